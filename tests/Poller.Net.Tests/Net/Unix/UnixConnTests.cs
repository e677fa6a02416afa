using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>Connections over Unix sockets: Go's unixsock_test.go and conn_test.go, and what the errors say.</summary>
public abstract class UnixConnTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly byte[] Plenty = new byte[16 << 20];

    [Theory, MemberData(nameof(Unix.AllWithConnections), MemberType = typeof(Unix))]
    public async Task What_one_end_writes_the_other_reads_and_then_the_end(NetpollDispatch dispatch, bool blocking, string network)
    {
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        {
            byte[] buffer = new byte[16];
            Operation<int> reading = server.StartRead(blocking, buffer).Waiting();
            await client.WriteAsync(blocking, "hello"u8.ToArray());
            Assert.Equal(5, await reading.Within());
            Assert.Equal("hello"u8, buffer.AsSpan(0, 5));

            reading = client.StartRead(blocking, buffer).Waiting();
            client.CloseWrite(); // A half close: the other direction goes on.
            Assert.Equal(0, await server.ReadAsync(blocking, buffer));
            await server.WriteAsync(blocking, "bye"u8.ToArray());
            Assert.Equal(3, await reading.Within());
            server.Dispose();
            Assert.Equal(0, await client.ReadAsync(blocking, buffer));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_large_write_waits_for_the_reader_and_every_byte_arrives(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        {
            byte[] sent = new byte[3 << 20], received = new byte[3 << 20];
            Random.Shared.NextBytes(sent);
            Operation<int> writing = client.StartWrite(blocking, sent).Waiting();
            await Operation.Run(blocking, () => server.ReadExactlyAsync(blocking, received)).Within();
            Assert.Equal(sent.Length, await writing.Within());
            Assert.True(sent.AsSpan().SequenceEqual(received), "the bytes that arrived are not those that were sent.");
        }
    }

    [Theory, MemberData(nameof(Unix.AllWithConnections), MemberType = typeof(Unix))]
    public async Task CloseRead_ends_a_read_that_waits(NetpollDispatch dispatch, bool blocking, string network)
    {
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        {
            Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
            server.CloseRead();
            Assert.Equal(0, await reading.Within());

            // Unlike TCP, a Unix socket tells the writer.
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => client.WriteAsync(blocking, new byte[1]));
            Assert.Equal(SocketError.Shutdown, e.SocketErrorCode);
        }
    }

    [Theory, MemberData(nameof(Unix.AllWithConnections), MemberType = typeof(Unix))]
    public async Task A_close_and_a_deadline_and_a_token_end_what_waits(NetpollDispatch dispatch, bool blocking, string network)
    {
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        {
            Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
            server.SetReadDeadline(TimeSpan.FromMilliseconds(1));
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(reading.Within);
            Assert.True(e.IsTimeout, e.Message);
            server.SetReadDeadline(null);

            using CancellationTokenSource cancel = new();
            Task<int> cancelled = server.ReadAsync(new byte[1], cancel.Token).AsTask();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.Within());

            reading = server.StartRead(blocking, new byte[1]).Waiting();
            server.Dispose();
            e = await Assert.ThrowsAsync<NetOpException>(reading.Within);
            Assert.True(e.IsClosed, e.Message);
            Assert.Equal(network, e.Network);
            ObjectDisposedException closed = Assert.Throws<ObjectDisposedException>(server.CloseWrite);
            Assert.Equal(nameof(UnixConn), closed.ObjectName);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_write_to_a_peer_that_has_gone_fails_as_the_system_says(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        {
            Operation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
            server.Dispose();
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(writing.Within);
            Assert.Equal(SocketError.Shutdown, e.SocketErrorCode); // EPIPE.

            // The peer left bytes unread, so it is a reset, once, and then the end.
            e = await Assert.ThrowsAsync<NetOpException>(() => client.ReadAsync(blocking, new byte[1]));
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
            Assert.Equal(0, await client.ReadAsync(blocking, new byte[1]));
        }
    }

    [Theory, MemberData(nameof(Unix.AllWithConnections), MemberType = typeof(Unix))]
    public async Task Both_ends_know_each_others_credentials(NetpollDispatch dispatch, bool blocking, string network)
    {
        _ = blocking;
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        {
            PeerCredentials self = Unix.OwnCredentials;
            Assert.Equal(self, client.GetPeerCredentials());
            Assert.Equal(self, server.GetPeerCredentials());
            server.Dispose();
            Assert.Equal(self, client.GetPeerCredentials());
            Assert.Throws<ObjectDisposedException>(() => server.GetPeerCredentials());
        }
    }

    [Fact]
    public async Task The_end_points_are_the_path_the_chosen_name_and_the_empty_text_of_none()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        using UnixConnListener listener = fixture.Net.ListenUnix(path);
        Assert.Equal(path, listener.LocalEndPoint);
        using UnixConn client = await fixture.Net.DialUnixAsync(path).Within();
        using UnixConn server = await listener.AcceptUnixAsync().Within();
        Assert.Equal(path, client.RemoteEndPoint);
        Assert.Equal(path, server.LocalEndPoint);
        Assert.Equal("", client.LocalEndPoint.ToString());
        Assert.Equal("", server.RemoteEndPoint.ToString());

        using UnixConnListener chosen = fixture.Net.ListenUnix(new UnixDomainSocketEndPoint("\0"));
        Assert.Matches("^@[0-9a-f]{5}$", chosen.LocalEndPoint.ToString());
        string name = $"@poller-{Guid.NewGuid():N}";
        using ConnListener named = fixture.Net.Listen("unix", name);
        Assert.Equal(name, named.LocalEndPoint.ToString());
        using Conn dialed = await fixture.Net.DialAsync("unix", name).Within();
        Assert.Equal(name, dialed.RemoteEndPoint.ToString());
        Assert.Equal(named.LocalEndPoint, dialed.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Dials_that_fail_say_what_was_expected(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        string path = directory.NewPath();
        NetOpException e = await FailsAsync(path, SocketError.AddressNotAvailable);
        Assert.Contains("there is none", e.Message, StringComparison.Ordinal);

        using (Socket left = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            left.Bind(new UnixDomainSocketEndPoint(path));
            e = await FailsAsync(path, SocketError.ConnectionRefused);
            Assert.Contains("nobody listens there", e.Message, StringComparison.Ordinal);
        }

        path = directory.NewPath();
        using ConnListener packets = fixture.Net.Listen("unixpacket", path);
        e = await FailsAsync(path, SocketError.ProtocolType);
        Assert.Contains("another kind", e.Message, StringComparison.Ordinal);

        async Task<NetOpException> FailsAsync(string path, SocketError code)
        {
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(fixture.Net.StartDial(blocking, "unix", path).Within);
            Assert.Equal(code, e.SocketErrorCode);
            Assert.StartsWith($"dial unix {path}: ", e.Message, StringComparison.Ordinal);
            return e;
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_dial_to_a_full_listener_waits_for_room(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        using Socket listener = FullListenerOn(path, out Socket first);
        using Socket owned = first;
        Operation<UnixConn> dialing = fixture.Net.StartDialUnix(blocking, path).Waiting();
        listener.Accept().Dispose();
        using UnixConn conn = await dialing.Within();
        using Socket peer = listener.Accept();
        await conn.WriteAsync(blocking, "x"u8.ToArray());
        Assert.Equal(1, peer.Receive(new byte[8]));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_end_of_its_poller_ends_a_dial_to_a_full_listener(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        using Socket listener = FullListenerOn(path, out Socket first);
        using Socket owned = first;
        Operation<UnixConn> dialing = fixture.Net.StartDialUnix(blocking, path).Waiting();
        fixture.Poller.Dispose();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dialing.Within);
        Assert.True(e.IsClosed);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_time_out_and_a_token_end_a_dial_to_a_full_listener(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        using Socket listener = FullListenerOn(path, out Socket first);
        using Socket owned = first;
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(
            fixture.Net.StartDialUnix(blocking, path, TimeSpan.FromMilliseconds(20)).Within);
        Assert.True(e.IsTimeout, e.Message);
        Assert.Equal($"dial unix {path}: the time-out of 20 ms passed", e.Message);

        using CancellationTokenSource cancel = new();
        Task<UnixConn> dialing = fixture.Net.DialUnixAsync(path, cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => dialing.Within());
    }

    [Fact]
    public async Task With_inline_dispatch_a_blocking_dial_on_the_loop_s_thread_does_not_wait_for_its_own_loop()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(NetpollDispatch.Inline);
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        using Socket listener = FullListenerOn(path, out Socket first);
        using Socket owned = first;
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        {
            Task<InvalidOperationException> handling = HandleAsync();
            await client.WriteAsync(false, new byte[1]);
            InvalidOperationException e = await handling.Within();
            Assert.StartsWith("dial: a blocking call", e.Message, StringComparison.Ordinal);

            async Task<InvalidOperationException> HandleAsync()
            {
                await server.ReadAsync(new byte[1]).ConfigureAwait(false);
                return Assert.Throws<InvalidOperationException>(() => fixture.Net.DialUnix(path));
            }
        }
    }

    [Fact]
    public async Task A_peer_of_NET_understands_the_connection()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        UnixDomainSocketEndPoint path = directory.NewEndPoint();
        using UnixConnListener listener = fixture.Net.ListenUnix(path);
        using Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(path).Within();
        using UnixConn server = await listener.AcceptUnixAsync().Within();
        byte[] buffer = new byte[8];
        await client.SendAsync("ping"u8.ToArray());
        Assert.Equal(4, await server.ReadAsync(buffer).Within());
        await server.WriteAsync("pong!"u8.ToArray()).Within();
        Assert.Equal(5, await client.ReceiveAsync(buffer));
        client.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await server.ReadAsync(buffer).Within());

        UnixDomainSocketEndPoint other = directory.NewEndPoint();
        using Socket theirs = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        theirs.Bind(other);
        theirs.Listen();
        using UnixConn ours = await fixture.Net.DialUnixAsync(other).Within();
        using Socket accepted = await theirs.AcceptAsync();
        await ours.WriteAsync("hello"u8.ToArray()).Within();
        Assert.Equal(5, await accepted.ReceiveAsync(buffer));
    }

    // Linux takes one more connection than the backlog says.
    private static Socket FullListenerOn(UnixDomainSocketEndPoint path, out Socket first)
    {
        Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(path);
        listener.Listen(0);
        first = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        first.Connect(path);
        return listener;
    }
}
