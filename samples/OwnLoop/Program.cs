// The readiness API that .NET lacks: one thread, one epoll instance, any descriptors, under your own tokens. There is no runtime; the loop
// below is the whole program. It watches the near ends of a pipe and of a TCP connection, and plays the far ends itself.

using System.IO.Pipes;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Poller.Abstractions;
using Poller.Epoll;

EpollNetpollFactory factory = new();
if (!factory.IsSupported(out string? reason))
{
    Console.Error.WriteLine($"{factory.Name}: {reason}");
    return 1;
}

using AnonymousPipeServerStream pipe = new(PipeDirection.In);
using AnonymousPipeClientStream farPipe = new(PipeDirection.Out, pipe.ClientSafePipeHandle);
using TcpListener listener = new(IPAddress.Loopback, 0);
listener.Start();
using TcpClient far = new();
far.Connect((IPEndPoint)listener.LocalEndpoint);
using Socket socket = listener.AcceptSocket();
socket.Blocking = false;

// A token is 64 bits that come back with each event. Put in whatever finds your state again, such as an index.
PollToken pipeToken = new(1), socketToken = new(2);
using INetpoll poller = factory.Create();
poller.Init();
Check("pipe", poller.Open(pipe.SafePipeHandle, pipeToken));
Check("socket", poller.Open(socket.SafeHandle, socketToken));

// The actions of the far ends. The loop runs the next one whenever it has nothing to do.
Queue<Action> script = new(
[
    () => farPipe.Write("from the pipe"u8),
    () => far.Client.Send("from the socket"u8),
    () => far.Client.Shutdown(SocketShutdown.Send),
    () => farPipe.Dispose(),
]);

PollEvent[] events = new PollEvent[16];
byte[] buffer = new byte[64 * 1024];
for (int open = 2; open > 0;)
{
    int count = poller.Poll(events, TimeSpan.FromMilliseconds(10)); // Timeout.InfiniteTimeSpan waits until another thread calls Break.
    if (count == 0 && script.TryDequeue(out Action? act)) act();

    foreach ((PollToken token, PollReadiness readiness) in events.AsSpan(0, count))
    {
        Console.WriteLine($"{(token == pipeToken ? "pipe" : "socket")}: {readiness}");
        if (!readiness.HasFlag(PollReadiness.Readable)) continue; // A socket is writable from the start, and the poller reports that once.
        if (token == pipeToken ? ReadPipe() : ReadSocket()) open--;
    }
}

// Unregister each descriptor before it is closed. Otherwise a new descriptor with the same number could report under the old token.
Check("pipe", poller.Close(pipe.SafePipeHandle));
Check("socket", poller.Close(socket.SafeHandle));
Console.WriteLine("both have ended");
return 0;

// One read takes all that a pipe can hold. It does not block, because the poller has reported something to read.
bool ReadPipe() => Show("pipe", pipe.Read(buffer)) == 0;

// An edge is reported once, so read until the socket is empty. Then the next byte raises a new edge.
bool ReadSocket()
{
    while (true)
    {
        int read = socket.Receive(buffer, SocketFlags.None, out SocketError error);
        if (error == SocketError.WouldBlock) return false;
        if (error != SocketError.Success) throw new SocketException((int)error);
        if (Show("socket", read) == 0) return true;
    }
}

int Show(string name, int read)
{
    Console.WriteLine(read == 0 ? $"{name}: the end" : $"{name}: \"{Encoding.UTF8.GetString(buffer, 0, read)}\"");
    return read;
}

// The poller returns a descriptor's errors and does not throw them. EPERM means that it cannot be polled, like a regular file.
static void Check(string name, Errno error)
{
    if (error != Errno.None) throw new NetpollException(name, error);
}
