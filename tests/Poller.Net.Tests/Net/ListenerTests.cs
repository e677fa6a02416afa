using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>A listener as a sequence of connections, and its awaited end.</summary>
public abstract class ListenerTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Accept_all_yields_every_connection_and_ends_with_the_listener(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Task<List<EndPoint>> accepting = CollectAsync(listener);
        List<EndPoint> dialed = [];
        for (int i = 0; i < 20; i++)
        {
            using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
            Assert.Equal(1, await client.ReadAsync(new byte[1]).Within()); // It was accepted.
            dialed.Add(client.LocalEndPoint);
        }
        listener.Dispose();
        Assert.Equal(dialed, await accepting.Within());
        Assert.Empty(await CollectAsync(listener).Within());

        static async Task<List<EndPoint>> CollectAsync(ConnListener listener)
        {
            List<EndPoint> peers = [];
            await foreach (Conn conn in listener.AcceptAllAsync())
            {
                using (conn)
                {
                    peers.Add(conn.RemoteEndPoint);
                    await conn.WriteAsync(new byte[] { 1 });
                }
            }
            return peers;
        }
    }

    [Fact]
    public async Task Accept_all_throws_for_a_deadline_and_for_its_token_and_goes_on_after_them()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        listener.SetDeadline(DateTimeOffset.UnixEpoch);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => FirstAsync(CancellationToken.None).Within());
        Assert.True(e.IsTimeout);
        listener.SetDeadline(null);

        using CancellationTokenSource cancel = new();
        Task<Conn?> accepting = FirstAsync(cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.Within());

        using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using Conn? server = await FirstAsync(CancellationToken.None).Within();
        Assert.Equal(client.LocalEndPoint, server!.RemoteEndPoint);

        async Task<Conn?> FirstAsync(CancellationToken token)
        {
            await foreach (Conn conn in listener.AcceptAllAsync(token)) return conn;
            return null;
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_awaited_end_of_a_listener_means_a_closed_descriptor_and_a_free_port(NetpollDispatch dispatch, bool blocking)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        IPEndPoint address = listener.LocalEndPoint;
        int closed = api.CloseCount;
        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
        await listener.DisposeAsync().Within();
        Assert.True(api.CloseCount > closed, "the descriptor was expected to be closed.");
        using Socket next = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        next.Bind(address);
        next.Listen();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(accepting.Within)).IsClosed);
        await listener.DisposeAsync().Within(); // A second dispose does nothing.
    }

    // From its fork(2) to its exec(2), a child process has a copy of each descriptor.
    [Fact]
    public async Task The_awaited_end_of_a_listener_frees_its_port_while_a_copy_of_its_descriptor_is_open()
    {
        using Fixture fixture = new();
        TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        IPEndPoint address = listener.LocalEndPoint;
        using Fd copy = new Fd((int)Raw.FdOf(listener)).Duplicate();
        await listener.DisposeAsync().Within();

        using TcpConnListener next = fixture.Net.ListenTcp(address);
        ValueTask<TcpConn> accepting = next.AcceptTcpAsync();
        using TcpConn client = await fixture.Net.DialTcpAsync(address).Within();
        using TcpConn accepted = await accepting.Within();
        Assert.Equal(client.LocalEndPoint, accepted.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task The_typed_forms_of_accept_are_alike(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        ValueTask<TcpConn> one = listener.AcceptTcpAsync();
        using TcpConn first = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn accepted = await one.Within();
        using TcpConn second = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn other = await new Operation<TcpConn>(listener.AcceptTcp).Within();
        Assert.Equal((first.LocalEndPoint, second.LocalEndPoint), (accepted.RemoteEndPoint, other.RemoteEndPoint));
    }

    [Fact]
    public void An_error_can_be_made_by_hand_and_reads_as_the_librarys()
    {
        IPEndPoint local = new(IPAddress.Loopback, 1), remote = new(IPAddress.IPv6Loopback, 2);
        NetOpException reset = new("read", "tcp", local, remote, SocketError.ConnectionReset);
        Assert.Equal($"read tcp 127.0.0.1:1->[::1]:2: {new SocketException((int)SocketError.ConnectionReset).Message}", reset.Message);
        Assert.Equal((SocketError.ConnectionReset, false, false), (reset.SocketErrorCode, reset.IsTimeout, reset.IsClosed));
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(reset.InnerException).SocketErrorCode);

        NetOpException timeout = new("dial", "tcp", null, remote, SocketError.TimedOut, new TimeoutException()) { IsTimeout = true };
        Assert.True(timeout.IsTimeout);
        Assert.IsType<TimeoutException>(timeout.InnerException);
        Assert.StartsWith("dial tcp [::1]:2: ", timeout.Message, StringComparison.Ordinal);
    }
}
