using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>Accepts wait, end and go on.</summary>
public abstract class AcceptTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_accept_takes_who_came_before_and_who_comes_after(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using TcpConn before = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
        using Conn first = await listener.StartAccept(blocking).Within();
        Assert.Equal(before.LocalEndPoint, first.RemoteEndPoint);

        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
        using TcpConn after = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
        using Conn second = await accepting.Within();
        Assert.Equal(after.LocalEndPoint, second.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Acceptors_that_queue_take_one_connection_each(NetpollDispatch dispatch, bool blocking)
    {
        const int Count = 8;
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Operation<Conn>[] accepting = [.. Enumerable.Range(0, Count).Select(_ => listener.StartAccept(blocking).Waiting())];
        IPEndPoint address = (IPEndPoint)listener.LocalEndPoint;
        TcpConn[] clients = await Task.WhenAll(Enumerable.Range(0, Count).Select(_ => fixture.Net.DialTcpAsync(address).AsTask())).Within();
        Conn[] servers = await Task.WhenAll(accepting.Select(static a => a.Task)).Within();
        HashSet<EndPoint> accepted = [.. servers.Select(static s => s.RemoteEndPoint)];
        Assert.Equal(clients.Select(static c => c.LocalEndPoint).ToHashSet<EndPoint>(), accepted);
        foreach (Conn conn in (Conn[])[.. clients, .. servers]) conn.Dispose();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Close_unblocks_every_acceptor(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Operation<Conn>[] accepting = [.. Enumerable.Range(0, 3).Select(_ => listener.StartAccept(blocking).Waiting())];
        listener.Dispose();
        foreach (Operation<Conn> accept in accepting)
        {
            NetOpException closed = await Assert.ThrowsAsync<NetOpException>(accept.Within);
            Assert.True(closed.IsClosed);
            Assert.Equal(SocketError.OperationAborted, closed.SocketErrorCode);
            Assert.Equal("accept", closed.Operation);
            Assert.Contains(listener.LocalEndPoint.ToString()!, closed.Message, StringComparison.Ordinal);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_closed_listener_is_disposed_and_keeps_its_address(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        listener.Dispose();
        listener.Dispose();
        ObjectDisposedException e = await Assert.ThrowsAsync<ObjectDisposedException>(() => listener.StartAccept(blocking).Within());
        Assert.Contains("accept tcp", e.Message, StringComparison.Ordinal);
        Assert.Equal(nameof(TcpConnListener), e.ObjectName);
        Assert.Throws<ObjectDisposedException>(() => listener.SetDeadline(null));
        Assert.NotEqual(0, ((IPEndPoint)listener.LocalEndPoint).Port);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_an_accept_and_the_listener_serves_on(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using CancellationTokenSource cancel = new();
        Task<TcpConn> parked = listener.AcceptTcpAsync(cancel.Token).AsTask();
        Task<Conn> queued = listener.AcceptAsync(cancel.Token).AsTask();
        Assert.False(parked.IsCompleted || queued.IsCompleted);
        await cancel.CancelAsync();
        Assert.Equal(cancel.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => parked.Within())).CancellationToken);
        Assert.Equal(cancel.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => queued.Within())).CancellationToken);
        ValueTask<Conn> late = listener.AcceptAsync(cancel.Token);
        Assert.Equal(cancel.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => late.Within())).CancellationToken);

        using TcpConn client = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_ends_an_accept_and_the_listener_serves_on(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using TcpConn waits = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
        listener.SetDeadline(DateTimeOffset.UtcNow - TimeSpan.FromSeconds(1));
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => listener.StartAccept(blocking).Within());
        Assert.True(e.IsTimeout);
        Assert.IsType<TimeoutException>(e.InnerException);
        Assert.StartsWith($"accept tcp {listener.LocalEndPoint}: ", e.Message, StringComparison.Ordinal);

        listener.SetDeadline(null);
        using Conn first = await listener.StartAccept(blocking).Within();
        Assert.Equal(waits.LocalEndPoint, first.RemoteEndPoint);

        listener.SetDeadline(DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(30));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => listener.StartAccept(blocking).Within())).IsTimeout);

        listener.SetDeadline(default(DateTimeOffset));
        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
        using TcpConn client = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
        using Conn second = await accepting.Within();

        accepting = listener.StartAccept(blocking).Waiting();
        listener.SetDeadline(DateTimeOffset.UnixEpoch);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(accepting.Within)).IsTimeout);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_accept_of_a_connection_that_was_reset_meanwhile_does_not_fail(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        for (int i = 0; i < 20; i++)
        {
            TcpConn aborted = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
            EndPoint abortedFrom = aborted.LocalEndPoint;
            aborted.Reset();
            using TcpConn client = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
            Conn accepted = await listener.StartAccept(blocking).Within();
            if (accepted.RemoteEndPoint.Equals(abortedFrom))
            {
                // Linux still hands out the connection; other systems do not.
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => accepted.ReadAsync(blocking, new byte[1]));
                Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
                accepted.Dispose();
                accepted = await listener.StartAccept(blocking).Within();
            }
            using (accepted) Assert.Equal(client.LocalEndPoint, accepted.RemoteEndPoint);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Connections_outlive_their_listener(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using TcpConn client = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
        using Conn server = await listener.StartAccept(blocking).Within();
        listener.Dispose();
        await client.WriteAsync(blocking, new byte[] { 1 });
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[8]));
    }
}
