// The echo server as a user writes it with System.Net.Sockets. Arguments: "deadline" or "bufferless".

using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Peers;

bool withDeadline = args.Contains("deadline"), bufferless = args.Contains("bufferless");

using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
listener.Listen();
Control.SayListening(((IPEndPoint)listener.LocalEndPoint!).Port);
_ = AcceptAsync(listener, withDeadline, bufferless);
Control.Answer();
Environment.Exit(0); // The process's end closes the connections. If we disposed the listener, the accept loop would report that.

static async Task AcceptAsync(Socket listener, bool withDeadline, bool bufferless)
{
    try
    {
        while (true)
        {
            Socket socket = await listener.AcceptAsync();
            socket.NoDelay = true;
            _ = bufferless ? ServeBufferlessAsync(socket) : withDeadline ? ServeWithDeadlineAsync(socket) : ServeAsync(socket);
        }
    }
    catch (Exception e)
    {
        Control.Report(e);
    }
}

static async Task ServeAsync(Socket socket)
{
    using Socket _ = socket;
    try
    {
        byte[] buffer = new byte[Requests.BufferSize];
        while (true)
        {
            int n = await socket.ReceiveAsync(buffer.AsMemory());
            if (n == 0) return;
            if (buffer[0] == Requests.Sink)
            {
                await SinkAsync(socket, n);
                return;
            }
            Requests.Perform(buffer[0]);
            await socket.SendAsync(buffer.AsMemory(0, n));
        }
    }
    catch (Exception e)
    {
        Control.Report(e);
    }
}

static async Task ServeWithDeadlineAsync(Socket socket)
{
    using Socket _ = socket;
    try
    {
        byte[] buffer = new byte[Requests.BufferSize];
        CancellationTokenSource deadline = new();
        try
        {
            while (true)
            {
                deadline.CancelAfter(TimeSpan.FromMinutes(1));
                int n = await socket.ReceiveAsync(buffer.AsMemory(), deadline.Token);
                if (n == 0) return;
                if (!deadline.TryReset())
                {
                    deadline.Dispose();
                    deadline = new CancellationTokenSource();
                }
                Requests.Perform(buffer[0]);
                await socket.SendAsync(buffer.AsMemory(0, n));
            }
        }
        finally
        {
            deadline.Dispose();
        }
    }
    catch (Exception e)
    {
        Control.Report(e);
    }
}

// For many idle connections: an empty receive waits without a buffer.
static async Task ServeBufferlessAsync(Socket socket)
{
    using Socket _ = socket;
    try
    {
        while (true)
        {
            await socket.ReceiveAsync(Memory<byte>.Empty);
            byte[] buffer = ArrayPool<byte>.Shared.Rent(Requests.BufferSize);
            int n = await socket.ReceiveAsync(buffer.AsMemory());
            if (n > 0) await socket.SendAsync(buffer.AsMemory(0, n));
            ArrayPool<byte>.Shared.Return(buffer);
            if (n == 0) return;
        }
    }
    catch (Exception e)
    {
        Control.Report(e);
    }
}

static async Task SinkAsync(Socket socket, long received)
{
    byte[] buffer = new byte[Requests.SinkBufferSize];
    while (true)
    {
        int n = await socket.ReceiveAsync(buffer.AsMemory());
        if (n == 0) break;
        received += n;
    }
    BinaryPrimitives.WriteInt64LittleEndian(buffer, received);
    await socket.SendAsync(buffer.AsMemory(0, sizeof(long)));
}
