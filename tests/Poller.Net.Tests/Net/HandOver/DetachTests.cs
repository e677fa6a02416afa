using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Sockets that go to System.Net.Sockets and come from there.</summary>
public abstract class DetachTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_detached_connection_goes_on_as_a_socket_and_comes_back(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[16];
        client.Write([1, 2]);
        Assert.Equal(2, await server.ReadAsync(blocking, buffer).Within());
        SafeSocketHandle handle = blocking ? await Task.Run(server.Detach).Within() : await server.DetachAsync().Within();
        await Task.Yield();
        using Socket socket = new(handle);
        Assert.True(socket.Blocking);
        client.Write([3]);
        socket.ReceiveTimeout = (int)Fixture.Patience.TotalMilliseconds;
        Assert.Equal(1, socket.Receive(buffer));
        socket.Send([4]);
        Assert.Equal(1, await client.ReadAsync(blocking, buffer).Within());

        using Conn back = fixture.Net.AdoptConn(socket.SafeHandle);
        Assert.IsType<TcpConn>(back);
        Assert.True(back.NoDelay);
        Assert.Equal(client.LocalEndPoint, back.RemoteEndPoint);
        Operation<int> reading = back.StartRead(blocking, buffer).Waiting();
        client.Write([5, 6, 7]);
        Assert.Equal(3, await reading.Within());
        socket.Dispose(); // The connection has the socket now.
        client.Write([8]);
        Assert.Equal(1, await back.ReadAsync(blocking, buffer).Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_detach_ends_what_waits_and_a_second_one_is_refused(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        using SafeSocketHandle handle = await server.DetachAsync().Within();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => reading.Within());
        Assert.True(e.IsClosed);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => server.DetachAsync().Within());
        server.Dispose();
        Assert.False(handle.IsClosed);
        using (Socket socket = new(handle))
        {
            socket.Send([9]); // A dispose after the detach has not closed it.
        }
        Assert.Equal(1, await client.ReadAsync(new byte[8]).Within());
        client.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.DetachAsync().Within());
    }

    [Fact]
    public async Task Of_a_detach_and_a_dispose_at_once_one_gets_the_descriptor()
    {
        using Fixture fixture = new();
        for (int round = 0; round < 200; round++)
        {
            (TcpConn client, TcpConn server) = await fixture.PairAsync();
            nint fd = Raw.FdOf(server);
            using Barrier barrier = new(2);
            Task disposing = Operation.OnOwnThread(() =>
            {
                barrier.SignalAndWait();
                server.Dispose();
            });
            barrier.SignalAndWait();
            try
            {
                using Socket socket = new(await server.DetachAsync().Within());
                Assert.Equal(fd, socket.Handle);
            }
            catch (ObjectDisposedException)
            {
            }
            await disposing.Within();

            // Whoever got it has closed it, once.
            Assert.Equal(0, await client.ReadAsync(new byte[1]).Within());
            client.Dispose();
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_listener_is_handed_over_and_back_and_goes_on_listening(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        IPEndPoint address = listener.LocalEndPoint;
        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
        SafeSocketHandle handle = await (blocking ? Task.Run(listener.Detach) : listener.DetachAsync()).Within();
        await Assert.ThrowsAsync<NetOpException>(() => accepting.Within());
        await Task.Yield();
        using Socket first = await Raw.ConnectAsync(address); // It waits in the backlog.
        using (Socket socket = new(handle))
        {
            Assert.True(socket.Blocking);
            using ConnListener back = fixture.Net.AdoptListener(socket.SafeHandle);
            Assert.Equal(address, back.LocalEndPoint);
            using Conn conn = await back.StartAccept(blocking).Within();
            Assert.Equal(first.LocalEndPoint, conn.RemoteEndPoint);
            Assert.True(conn.NoDelay);
            nint seen = -1;
            back.Control(fd => seen = fd);
            Assert.Equal(seen, back.Control(0, static (fd, _) => fd));
        }
    }

    [Fact]
    public async Task A_Unix_listener_and_a_connection_are_handed_over_with_their_path()
    {
        using Fixture fixture = new();
        string path = Path.Combine(Path.GetTempPath(), $"detach-{Guid.NewGuid():N}.sock");
        using UnixConnListener listener = (UnixConnListener)fixture.Net.Listen("unix", path);
        using Socket socket = new(await listener.DetachAsync().Within());
        Assert.True(File.Exists(path));
        try
        {
            using ConnListener back = fixture.Net.AdoptListener(socket.SafeHandle);
            using UnixConn client = await fixture.Net.DialUnixAsync(new UnixDomainSocketEndPoint(path)).Within();
            using Conn server = await back.AcceptAsync().Within();
            using Socket detached = new(await client.DetachAsync().Within());
            detached.Send([1]);
            using Conn adopted = fixture.Net.AdoptConn(detached.SafeHandle);
            Assert.IsType<UnixConn>(adopted);
            adopted.Write([2]);
            byte[] got = new byte[2];
            await server.ReadExactlyAsync(got).AsTask().Within();
            Assert.Equal([1, 2], got);
        }
        finally
        {
            File.Delete(path); // It is the file of whoever bound it; a listener that was adopted leaves it.
        }
    }

    [Fact]
    public async Task A_detach_that_comes_after_the_close_of_a_listener_has_begun_is_refused()
    {
        ClosesLoudly api = new();
        using Fixture fixture = new(api: api);
        TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Task<SafeSocketHandle>? detaching = null;
        api.ShuttingDown = () => detaching = listener.DetachAsync();
        listener.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => detaching!.Within());
    }

    [Fact]
    public async Task The_close_of_a_connection_whose_user_has_set_SO_LINGER_does_not_block()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket socket = await Raw.ConnectAsync(listener.LocalEndPoint);
        socket.LingerState = new LingerOption(true, 120);
        using TcpConn peer = await listener.AcceptTcpAsync().Within();
        Conn adopted = fixture.Net.AdoptConn(socket.SafeHandle);
        FillUp(adopted);
        long start = Stopwatch.GetTimestamp();
        adopted.Dispose();
        Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, Fixture.Patience);

        TcpConn own = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).AsTask().Within();
        using TcpConn other = await listener.AcceptTcpAsync().Within();
        own.Raw.Control(static fd =>
        {
            using Socket view = new(new SafeSocketHandle(fd, ownsHandle: false));
            view.LingerState = new LingerOption(true, 120);
        });
        FillUp(own);
        start = Stopwatch.GetTimestamp();
        own.Dispose();
        Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, Fixture.Patience);
    }

    private static void FillUp(Conn conn)
    {
        byte[] chunk = new byte[64 * 1024];
        while (conn.Raw.TryWrite(chunk, static (fd, chunk) =>
            SystemSocketApi.Current.Send(fd, chunk) is { IsSuccess: true } sent ? new TryResult<int>(sent.Value) : TryResult.WouldBlock, out _))
        {
        }
    }

    private sealed class ClosesLoudly : ForwardingSocketApi
    {
        public Action? ShuttingDown { get; set; }

        public override IoResult Shutdown(nint fd, SocketShutdown how)
        {
            ShuttingDown?.Invoke();
            return base.Shutdown(fd, how);
        }
    }

    [Fact]
    public async Task A_socket_goes_back_and_forth_with_calls_that_wait_on_both_sides()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Conn conn = server;
        byte[] buffer = new byte[8];
        for (int round = 0; round < 6; round++)
        {
            using Socket socket = new(await conn.DetachAsync().Within());
            Task<int> receiving = socket.ReceiveAsync(buffer); // It waits, and so .NET registers the socket.
            Assert.False(receiving.IsCompleted);
            client.Write([1]);
            Assert.Equal(1, await receiving.Within());
            conn = fixture.Net.AdoptConn(socket.SafeHandle);
            ValueTask<int> reading = conn.ReadAsync(buffer);
            client.Write([2]);
            Assert.Equal(1, await reading.Within());
        }
        conn.Dispose();
        Assert.Equal(0, await client.ReadAsync(buffer).Within());
    }

    [Fact]
    public async Task A_handle_whose_socket_was_adopted_cannot_be_adopted_again()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket tcp = await Raw.ConnectAsync(listener.LocalEndPoint);
        using Socket udp = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        udp.Bind(Raw.AnyLoopbackPort);
        (Fd near, Fd far) = Fd.SocketPair();
        using (far)
        using (SafeSocketHandle unix = new(near.Release(), ownsHandle: true))
        {
            foreach (SafeHandle handle in (SafeHandle[])[tcp.SafeHandle, udp.SafeHandle, unix])
            {
                using Conn conn = fixture.Net.AdoptConn(handle);
                ArgumentException e = Assert.Throws<ArgumentException>(() => fixture.Net.AdoptConn(handle));
                Assert.Contains("has no peer", e.Message, StringComparison.Ordinal);
                Assert.Equal("handle", e.ParamName);
                e = Assert.Throws<ArgumentException>(() => fixture.Net.AdoptListener(handle));
                Assert.Contains("does not listen", e.Message, StringComparison.Ordinal);
                Assert.Equal("handle", e.ParamName);
            }
            ArgumentException number = Assert.Throws<ArgumentException>(() => fixture.Net.AdoptConn(unix.DangerousGetHandle()));
            Assert.Equal("descriptor", number.ParamName);
        }
    }

    [Fact]
    public async Task A_poller_that_was_disposed_is_named()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
        using Socket listening = Raw.Listen();
        fixture.Poller.Dispose();
        foreach (Action adopt in (Action[])
            [() => fixture.Net.AdoptConn(client.SafeHandle), () => fixture.Net.AdoptListener(listening.SafeHandle)])
        {
            ObjectDisposedException e = Assert.Throws<ObjectDisposedException>(adopt);
            Assert.Equal("adopt tcp: its poller was disposed before the operation.", e.Message);
        }
    }

    [Fact]
    public async Task A_UDP_socket_is_adopted_with_and_without_a_peer()
    {
        using Fixture fixture = new();
        using Socket bound = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        bound.Bind(Raw.AnyLoopbackPort);
        EndPoint address = bound.LocalEndPoint!;
        using Socket connected = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        connected.Connect(address);
        using UdpConn server = (UdpConn)fixture.Net.AdoptConn(bound.SafeHandle);
        using UdpConn client = (UdpConn)fixture.Net.AdoptConn(connected.SafeHandle);
        Assert.Equal(address, client.RemoteEndPoint);
        client.Write([1, 2, 3]);
        SocketAddress from = new(AddressFamily.InterNetwork);
        Assert.Equal(3, await server.ReceiveFromAsync(new byte[8], from).Within());
        Assert.Equal(client.LocalEndPoint, new IPEndPoint(0, 0).Create(from));
        Assert.Throws<ArgumentException>(() => fixture.Net.AdoptListener(bound.SafeHandle));
    }

    [Fact]
    public async Task A_descriptor_is_adopted_by_its_number_and_closed_with_the_connection()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Socket socket = await Raw.ConnectAsync(listener.LocalEndPoint);
        socket.NoDelay = false;
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        nint fd = new Fd((int)socket.Handle).Duplicate().Number;
        socket.Dispose();
        using (Conn conn = fixture.Net.AdoptConn(fd))
        {
            Assert.True(conn.NoDelay);
            Assert.False(Raw.IsInherited((TcpConn)conn));
            conn.Write([1]);
            Assert.Equal(1, await server.ReadAsync(new byte[8]).Within());
        }
        Assert.Equal(0, await server.ReadAsync(new byte[8]).Within());
    }

    [Fact]
    public async Task What_cannot_be_adopted_stays_its_owners_and_is_named()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
        using Socket listening = Raw.Listen();
        using Socket fresh = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        (Fd read, Fd write) = Fd.Pipe();
        using (read)
        using (write)
        using (SafeFileHandle pipe = new(read, ownsHandle: false))
        {
            Refused(() => fixture.Net.AdoptConn(listening.SafeHandle), "it is a tcp socket which listens; a connected socket was expected");
            Refused(() => fixture.Net.AdoptConn(fresh.SafeHandle), "it is a tcp socket which has no peer");
            Refused(() => fixture.Net.AdoptListener(client.SafeHandle), "does not listen; a listening socket was expected");
            Refused(() => fixture.Net.AdoptConn(pipe), "an open socket was expected");
            Refused(() => fixture.Net.AdoptConn(-1), "an open socket was expected");
            Assert.False(pipe.IsClosed);
        }
        Assert.Throws<ArgumentNullException>(() => fixture.Net.AdoptConn(null!));
        client.Send([1]); // They are as they were.
        using Conn conn = await listener.AcceptAsync().Within();
        Assert.Equal(1, await conn.ReadAsync(new byte[8]).Within());
        fixture.Poller.Dispose();
        SafeHandle handle = client.SafeHandle;
        Assert.Throws<ObjectDisposedException>(() => fixture.Net.AdoptConn(handle));
        Assert.False(handle.IsClosed);

        static void Refused(Action adopt, string message) =>
            Assert.Contains(message, Assert.Throws<ArgumentException>(adopt).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_adopt_that_fails_leaves_the_socket_blocking_and_open()
    {
        using Fixture fixture = new(api: new NoReplacing());
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        using Socket listening = Raw.Listen();
        Fd number = new Fd((int)client.Handle).Duplicate();
        Fd listeningNumber = new((int)listening.Handle);
        Assert.Equal(0, UnixFileApi.SetNonBlocking(number, false).Value);
        Assert.Equal(0, UnixFileApi.SetNonBlocking(listeningNumber, false).Value);
        client.NoDelay = false;
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 77);
        using (number)
        {
            NetOpException e = Assert.Throws<NetOpException>(() => fixture.Net.AdoptConn(client.SafeHandle));
            Assert.Contains("adopt", e.Message, StringComparison.Ordinal);
            Assert.Throws<NetOpException>(() => fixture.Net.AdoptListener(listening.SafeHandle));
            Assert.False(number.IsNonBlocking);
            Assert.False(listeningNumber.IsNonBlocking);

            fixture.Poller.Dispose();
            Assert.Throws<ObjectDisposedException>(() => fixture.Net.AdoptConn(client.SafeHandle));
            Assert.Throws<ObjectDisposedException>(() => fixture.Net.AdoptConn(number.Number));
            Assert.Throws<ObjectDisposedException>(() => fixture.Net.AdoptListener(listening.SafeHandle));
            Assert.False(number.IsNonBlocking);
            Assert.False(listeningNumber.IsNonBlocking);
        }
        foreach (Socket socket in (Socket[])[client, listening])
        {
            Assert.False(socket.NoDelay);
            Assert.Equal(0, (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive)!);
        }
        Assert.Equal(77, (int)client.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime)!);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        client.Send([1]);
        using Socket other = await Raw.ConnectAsync((IPEndPoint)listening.LocalEndPoint!); // It listens on.
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task An_adopt_without_a_free_descriptor_leaks_none_and_can_be_tried_again(int free)
    {
        HasDescriptors api = new() { Free = int.MaxValue };
        using Fixture fixture = new(api: api);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        using Socket listening = Raw.Listen();
        foreach (Action adopt in (Action[])
            [() => fixture.Net.AdoptConn(client.SafeHandle), () => fixture.Net.AdoptListener(listening.SafeHandle)])
        {
            api.Free = free;
            NetOpException e = Assert.Throws<NetOpException>(adopt);
            Assert.Equal(SocketError.TooManyOpenSockets, e.SocketErrorCode);
            Assert.Equal(free, api.Free);
        }
        api.Free = int.MaxValue;
        using Conn adopted = fixture.Net.AdoptConn(client.SafeHandle);
        using ConnListener adoptedListener = fixture.Net.AdoptListener(listening.SafeHandle);
        await adopted.WriteAsync(new byte[1]);
        Assert.Equal(1, await server.ReadAsync(new byte[8]).Within());
    }

    [Fact]
    public void A_number_that_no_descriptor_can_have_is_refused()
    {
        using Fixture fixture = new();
        using Socket bound = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        bound.Bind(Raw.AnyLoopbackPort);
        nint beyond = (nint)((1L << 32) + bound.Handle);
        ArgumentException e = Assert.Throws<ArgumentException>(() => fixture.Net.AdoptConn(beyond));
        Assert.Contains($"adopt fd {beyond}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_refusal_names_the_descriptor_that_the_caller_knows()
    {
        using Fixture fixture = new();
        using Socket fresh = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        ArgumentException e = Assert.Throws<ArgumentException>(() => fixture.Net.AdoptConn(fresh.SafeHandle));
        Assert.StartsWith($"adopt fd {fresh.Handle}: ", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<ArgumentException>(() => fixture.Net.AdoptListener(fresh.SafeHandle));
        Assert.StartsWith($"adopt fd {fresh.Handle}: ", e.Message, StringComparison.Ordinal);
    }

    /// <summary>A system whose dup2(2) loses the race that its manual page warns of.</summary>
    /// <summary>A process that may open so many more sockets.</summary>
    private sealed class HasDescriptors : ForwardingSocketApi
    {
        public int Free { get; set; }

        public override IoResult Socket(AddressFamily family, SocketType type, ProtocolType protocol) =>
            Take(Free == 0 ? Errno.EMFILE : base.Socket(family, type, protocol));

        public override IoResult Duplicate(nint fd) => Take(Free == 0 ? Errno.EMFILE : base.Duplicate(fd));

        public override IoResult Close(nint fd)
        {
            Free++;
            return base.Close(fd);
        }

        private IoResult Take(IoResult made)
        {
            if (made.IsSuccess) Free--;
            return made;
        }
    }

    private sealed class NoReplacing : ForwardingSocketApi
    {
        public override IoResult Replace(nint fd, nint by) => new Errno(16); // EBUSY
    }
}
