using System.IO.Pipes;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Conformance;

// What holds of Unix sockets beside the semantics of a connection, which NetStackConformance has: messages, descriptors and files. The
// ideas are those of Go's net/unixsock_test.go and of unix(7).
//
// A pipe tells whether a descriptor is open: its reader finds the end when the last descriptor of the writing end is closed.

/// <summary>
/// The facts that hold for the Unix sockets of every <see cref="NetStack"/>: borders of messages, descriptors that are passed, and the
/// files of listeners. Inherit it in a test project, pass the stack, and run the tests. For the connections themselves, inherit
/// <see cref="NetStackConformance"/> with <c>unix</c> as its network.
/// </summary>
public abstract class UnixStackConformance : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    /// <summary>Creates one test.</summary>
    /// <param name="stack">The net stack. You own its poller; dispose it after the test.</param>
    protected UnixStackConformance(NetStack stack)
    {
        ArgumentNullException.ThrowIfNull(stack);
        Stack = stack;
    }

    /// <summary>The net stack that was passed to the constructor.</summary>
    protected NetStack Stack { get; }

    /// <summary>How many sequences to check if the environment does not say. The default takes about half a second.</summary>
    protected virtual int Sequences => 60;

    /// <summary>How long to wait for what comes through a descriptor that was passed, or for its end. 30 s by default.</summary>
    protected virtual TimeSpan Patience => Worker.Bound;

    /// <summary>
    /// After any sequence of sends and receives, blocking or async, each message has arrived once, in order and with its borders, and each
    /// receive has ended as it must.
    /// </summary>
    /// <param name="network">A network of messages.</param>
    [Theory, InlineData("unixgram"), InlineData("unixpacket")]
    public void Any_order_of_messages_follows_the_model(string network) => new SequenceCheck<PacketCommand, PacketHarness>(
        "The net stack broke the contract of UnixConn",
        PacketCommand.Sequences,
        PacketCommand.MaxLength,
        Worker.Bound,
        shrinkFor: Worker.Bound,
        patience =>
        {
            if (network == "unixgram")
            {
                UnixConn receiver = (UnixConn)Stack.ListenPacket(network, ""), sender = (UnixConn)Stack.ListenPacket(network, "");
                return new PacketHarness((sender, receiver.LocalEndPoint), (receiver, sender.LocalEndPoint), patience);
            }
            (Conn client, Conn server) = Stack.Pair(network, patience);
            return new PacketHarness((client, null), (server, null), patience);
        },
        static _ => { }).Run(Sequences);

    /// <summary>Each write is one message, also one of 0 bytes, and each read takes one.</summary>
    /// <param name="network">A network of messages.</param>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData("unixgram", false), InlineData("unixgram", true), InlineData("unixpacket", false), InlineData("unixpacket", true)]
    public void Messages_keep_their_borders(string network, bool blocking)
    {
        (UnixConn client, UnixConn server) = Pair(network);
        byte[] buffer = new byte[16];
        NetOperation<int> reading = server.StartRead(blocking, buffer).Waiting();
        client.StartWrite(blocking, new byte[3]).Result();
        Assert.Equal(3, reading.Result());
        foreach (int length in (int[])[7, 2, 0, 1]) client.StartWrite(blocking, new byte[length]).Result();
        foreach (int length in (int[])[7, 2, 0, 1]) Assert.Equal(length, server.StartRead(blocking, buffer).Result());
    }

    /// <summary>A message that is longer than the buffer is cut, and the next one begins at its own start.</summary>
    /// <param name="network">A network of messages.</param>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData("unixgram", false), InlineData("unixgram", true), InlineData("unixpacket", false), InlineData("unixpacket", true)]
    public void A_message_that_is_cut_is_told(string network, bool blocking)
    {
        (UnixConn client, UnixConn server) = Pair(network);
        byte[] buffer = new byte[4];
        for (int i = 0; i < 3; i++) client.StartWrite(blocking, "12345678"u8.ToArray()).Result();
        client.StartWrite(blocking, "abcd"u8.ToArray()).Result();
        ReceivedMessage message = blocking
            ? server.ReceiveMessage(buffer, default, null)
            : new NetOperation<ReceivedMessage>(server.ReceiveMessageAsync(buffer, default, null).AsTask()).Result();
        Assert.Equal(new ReceivedMessage { Bytes = 4, IsTruncated = true }, message);
        Assert.Equal(new ReceivedHandles { Bytes = 4, IsTruncated = true }, Receive(server, blocking, buffer, []));
        Assert.Equal(4, server.StartRead(blocking, buffer).Result());
        Assert.Equal(new ReceivedHandles { Bytes = 4 }, Receive(server, blocking, buffer, []));
        Assert.Equal("abcd"u8, buffer);
    }

    /// <summary>A writer whose peer's queue is full waits until the peer reads, and its message is not lost.</summary>
    /// <param name="network">A network of messages.</param>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData("unixgram", false), InlineData("unixgram", true), InlineData("unixpacket", false), InlineData("unixpacket", true)]
    public void A_message_to_a_full_peer_waits_until_it_reads(string network, bool blocking)
    {
        (UnixConn client, UnixConn server) = Pair(network);
        NetOperation<int> writing = client.StartWrite(blocking, new byte[4000]);
        int count = 1;
        for (; !writing.HasBegun(Worker.Bound); count++)
        {
            Assert.Equal(4000, writing.Result()); // One that fails will never wait.
            writing = client.StartWrite(blocking, new byte[4000]);
        }
        for (int i = 0; i < count; i++) Assert.Equal(4000, server.StartRead(blocking, new byte[5000]).Result());
        Assert.Equal(4000, writing.Result());
    }

    /// <summary>A datagram brings its sender's address, to which one can answer.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_datagram_brings_the_address_to_answer_to(bool blocking)
    {
        using SocketFiles files = new();
        UnixConn one = Own(Stack.ListenUnixgram(files.Next())), other = Own(Stack.ListenUnixgram(files.Next()));
        byte[] buffer = new byte[16];
        NetOperation<SocketReceiveFromResult> receiving =
            blocking ? new(() => other.ReceiveFrom(buffer)) : new(other.ReceiveFromAsync(buffer).AsTask());
        receiving.Waiting();
        one.SendTo("ask"u8, other.LocalEndPoint);
        SocketReceiveFromResult received = receiving.Result();
        Assert.Equal((3, one.LocalEndPoint), (received.ReceivedBytes, received.RemoteEndPoint));
        NetOperation.Run(blocking, async () =>
        {
            if (blocking) other.SendTo("answer"u8, received.RemoteEndPoint);
            else await other.SendToAsync("answer"u8.ToArray(), received.RemoteEndPoint).ConfigureAwait(false);
        }).Result();
        Assert.Equal(6, one.StartRead(blocking, buffer).Result());
    }

    /// <summary>
    /// Each descriptor arrives with the bytes that it was sent with, works, and stays out of the programs that the process starts.
    /// </summary>
    /// <param name="network">A network of connections.</param>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData("unix", false), InlineData("unix", true), InlineData("unixpacket", false), InlineData("unixpacket", true)]
    public void Descriptors_arrive_with_their_bytes(string network, bool blocking)
    {
        (UnixConn client, UnixConn server) = Pair(network);
        (Fd firstRead, Fd firstWrite) = Own(Fd.Pipe());
        (Fd secondRead, Fd secondWrite) = Own(Fd.Pipe());
        using SafeFileHandle first = Borrow(firstWrite), second = Borrow(secondWrite);
        Send(client, blocking, "1"u8.ToArray(), [first]);
        Send(client, blocking, "2"u8.ToArray(), [second, first]);
        foreach ((byte expected, int count) in ((byte, int)[])[((byte)'1', 1), ((byte)'2', 2)])
        {
            byte[] buffer = new byte[8];
            SafeHandle?[] handles = new SafeHandle?[3];
            Assert.Equal(new ReceivedHandles { Bytes = 1, Handles = count }, Receive(server, blocking, buffer, handles));
            Assert.Equal(expected, buffer[0]);
            using SafeHandle handle = handles[0]!;
            handles[1]?.Dispose();
            int flags = LibC.fcntl((int)handle.DangerousGetHandle(), LibC.F_GETFD, 0);
            Assert.True((flags & LibC.FD_CLOEXEC) != 0, "a descriptor that came is not close-on-exec");
            Assert.Equal(1, Fd.Write(handle.DangerousGetHandle(), [expected]));
            Assert.Equal(expected, ReadByte(expected == '1' ? firstRead : secondRead));
        }
    }

    /// <summary>A descriptor that nobody takes is closed: by a read, for lack of room, and by a close with the message unread.</summary>
    /// <param name="network">A network of connections.</param>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData("unix", false), InlineData("unix", true), InlineData("unixpacket", false), InlineData("unixpacket", true)]
    public void A_descriptor_that_nobody_takes_is_closed(string network, bool blocking)
    {
        (UnixConn client, UnixConn server) = Pair(network);
        (Fd read, Fd write) = Own(Fd.Pipe());
        using SafeFileHandle writer = Borrow(write);
        byte[] buffer = new byte[8];
        Send(client, blocking, "x"u8.ToArray(), [writer]);
        Assert.Equal(1, server.StartRead(blocking, buffer).Result());
        Send(client, blocking, "x"u8.ToArray(), [writer, writer]);
        Assert.Equal(new ReceivedHandles { Bytes = 1, HandlesDropped = true }, Receive(server, blocking, buffer, []));
        SafeHandle?[] handles = new SafeHandle?[1];
        Send(client, blocking, "x"u8.ToArray(), [writer, writer]);
        Assert.Equal(new ReceivedHandles { Bytes = 1, Handles = 1, HandlesDropped = true }, Receive(server, blocking, buffer, handles));
        handles[0]!.Dispose();
        Send(client, blocking, "x"u8.ToArray(), [writer]);
        write.Dispose();
        client.Dispose();
        server.Dispose();
        Assert.Equal(-1, ReadByte(read));
    }

    /// <summary>A stream that takes a send in parts takes its descriptors once, with the first of them.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_send_in_parts_sends_its_descriptors_once(bool blocking)
    {
        (UnixConn client, UnixConn server) = Pair("unix");
        using AnonymousPipeServerStream pipe = new(PipeDirection.In);
        byte[] sent = new byte[2 << 20], received = new byte[sent.Length];
        Random.Shared.NextBytes(sent);
        NetOperation<bool> sending = NetOperation.Run(blocking, async () =>
        {
            if (blocking) client.Send(sent, [pipe.ClientSafePipeHandle]);
            else await client.SendAsync(sent, [pipe.ClientSafePipeHandle]).ConfigureAwait(false);
        });
        List<int> counts = [];
        for (int total = 0; total < sent.Length;)
        {
            SafeHandle?[] handles = new SafeHandle?[2];
            ReceivedHandles part = Receive(server, blocking, received.AsMemory(total), handles);
            total += part.Bytes;
            counts.Add(part.Handles);
            handles[0]?.Dispose();
        }
        sending.Result();
        Assert.Equal(1, counts[0]);
        Assert.All(counts.Skip(1), static count => Assert.Equal(0, count));
        Assert.True(sent.AsSpan().SequenceEqual(received), "the bytes that arrived are not those that were sent");
    }

    /// <summary>The close of a listener removes the file that it made, and no other.</summary>
    [Fact]
    public void A_listener_removes_its_own_file_alone()
    {
        using SocketFiles files = new();
        UnixDomainSocketEndPoint path = files.Next();
        UnixConnListener first = Own(Stack.ListenUnix(path));
        Assert.Equal(SocketError.AddressAlreadyInUse, Assert.Throws<NetOpException>(() => Stack.ListenUnix(path)).SocketErrorCode);
        File.Delete(path.ToString());
        UnixConnListener second = Own(Stack.ListenUnix(path));
        first.Dispose();
        Assert.True(File.Exists(path.ToString()), "a listener removed the file of another");
        Own(new NetOperation<UnixConn>(() => Stack.DialUnix(path)).Result());
        second.Dispose();
        Assert.False(File.Exists(path.ToString()), "a listener left its file");
    }

    /// <summary>Disposes the test's connections.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes the test's connections. An override disposes more, such as the poller, after it has called this.</summary>
    /// <param name="disposing">Always true, because there is no finalizer.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing) return;
        foreach (IDisposable resource in _owned) resource.Dispose();
    }

    private static void Send(UnixConn conn, bool blocking, byte[] bytes, SafeHandle[] handles) => NetOperation.Run(blocking, async () =>
    {
        if (blocking) conn.Send(bytes, handles);
        else await conn.SendAsync(bytes, handles).ConfigureAwait(false);
    }).Result();

    private static ReceivedHandles Receive(UnixConn conn, bool blocking, Memory<byte> buffer, SafeHandle?[] handles) => (blocking
        ? new NetOperation<ReceivedHandles>(() => conn.Receive(buffer.Span, handles))
        : new NetOperation<ReceivedHandles>(conn.ReceiveAsync(buffer, handles).AsTask())).Result();

    private static SafeFileHandle Borrow(Fd descriptor) => new(descriptor.Number, ownsHandle: false);

    // Returns -1 at the end. No thread blocks in the read: it would block for ever if a descriptor of the other end is left open, and to
    // dispose a PipeStream waits for its reads.
    private int ReadByte(Fd pipe)
    {
        byte[] buffer = new byte[1];
        int result = 0;
        return SpinWait.SpinUntil(() => (result = Fd.Read(pipe.Number, buffer)) != -Errno.EAGAIN.Number, Patience)
            ? result == 0 ? -1 : result == 1 ? buffer[0] : throw new InvalidOperationException($"read of a pipe: {result}")
            : throw new TimeoutException($"neither a byte nor the end came through a pipe within {Patience.TotalSeconds} s");
    }

    private (Fd Read, Fd Write) Own((Fd Read, Fd Write) pipe) => (Own(pipe.Read), Own(pipe.Write));

    private T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    // Two ends of a connection, or a socket of datagrams and one that has it as its peer.
    private (UnixConn Client, UnixConn Server) Pair(string network)
    {
        using SocketFiles files = new();
        string path = files.Next().ToString();
        if (network == "unixgram")
        {
            UnixConn receiver = Own((UnixConn)Stack.ListenPacket(network, path));
            return (Own((UnixConn)Stack.StartDial(blocking: false, network, path).Result()), receiver);
        }
        using ConnListener listener = Stack.Listen(network, path);
        NetOperation<Conn> accepting = listener.StartAccept(blocking: false);
        UnixConn client = Own((UnixConn)Stack.StartDial(blocking: false, network, path).Result());
        return (client, Own((UnixConn)accepting.Result()));
    }

    private sealed class SocketFiles : IDisposable
    {
        private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("pk");
        private int _count;

        public UnixDomainSocketEndPoint Next() => new(Path.Combine(_directory.FullName, $"s{++_count}"));

        public void Dispose() => _directory.Delete(recursive: true);
    }
}
