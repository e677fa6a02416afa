// The echo server as a user writes it with PollerKit. Arguments: the dispatch, the backend, and "deadline" or "bufferless".

using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using Peers;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;
using Poller.Posix;

NetpollDispatch dispatch = Enum.Parse<NetpollDispatch>(args[0], ignoreCase: true);
INetpollFactory backend = args[1] switch
{
    "epoll" => new EpollNetpollFactory(),
    "epoll-level" => new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level }),
    "posix" => new PosixNetpollFactory(),
    _ => throw new ArgumentException($"backend \"{args[1]}\": epoll, epoll-level or posix was expected."),
};
bool withDeadline = args.Contains("deadline"), bufferless = args.Contains("bufferless");

using Netpoller poller = new(backend, new NetpollerOptions { Dispatch = dispatch });
using ConnListener listener = new NetStack(poller).Listen("tcp", "127.0.0.1:0");
Control.SayListening(((IPEndPoint)listener.LocalEndPoint).Port);
_ = AcceptAsync(listener, withDeadline, bufferless);
Control.Answer();
Environment.Exit(0); // The process's end closes the connections. If we disposed the poller, their handlers would report that.

static async Task AcceptAsync(ConnListener listener, bool withDeadline, bool bufferless)
{
    try
    {
        while (true)
        {
            Conn conn = await listener.AcceptAsync();
            _ = bufferless ? ServeBufferlessAsync(conn) : ServeAsync(conn, withDeadline);
        }
    }
    catch (Exception e)
    {
        Control.Report(e);
    }
}

static async Task ServeAsync(Conn conn, bool withDeadline)
{
    using Conn _ = conn;
    try
    {
        byte[] buffer = new byte[Requests.BufferSize];
        while (true)
        {
            if (withDeadline) conn.SetReadDeadline(DateTimeOffset.UtcNow.AddMinutes(1));
            int n = await conn.ReadAsync(buffer);
            if (n == 0) return;
            if (buffer[0] == Requests.Sink)
            {
                await SinkAsync(conn, n);
                return;
            }
            Requests.Perform(buffer[0]);
            await conn.WriteAsync(buffer.AsMemory(0, n));
        }
    }
    catch (Exception e)
    {
        Control.Report(e);
    }
}

// For many idle connections: a connection holds no buffer while it waits.
static async Task ServeBufferlessAsync(Conn conn)
{
    using Conn _ = conn;
    try
    {
        while (await conn.WaitToReadAsync())
        {
            byte[] buffer = ArrayPool<byte>.Shared.Rent(Requests.BufferSize);
            int n = await conn.ReadAsync(buffer);
            await conn.WriteAsync(buffer.AsMemory(0, n));
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
    catch (Exception e)
    {
        Control.Report(e);
    }
}

static async Task SinkAsync(Conn conn, long received)
{
    byte[] buffer = new byte[Requests.SinkBufferSize];
    while (true)
    {
        int n = await conn.ReadAsync(buffer);
        if (n == 0) break;
        received += n;
    }
    BinaryPrimitives.WriteInt64LittleEndian(buffer, received);
    await conn.WriteAsync(buffer.AsMemory(0, sizeof(long)));
}
