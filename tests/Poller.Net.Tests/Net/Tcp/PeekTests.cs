namespace Poller.Net.Tests;

/// <summary>A peek leaves the bytes, and no edge is lost by it.</summary>
public abstract class PeekTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task It_waits_for_bytes_and_leaves_them_to_the_next(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[8];
        for (byte i = 0; i < 20; i++)
        {
            // After each short read the socket is drained. After a peek, short or not, it is not.
            Operation<int> peeking = server.StartPeek(blocking, buffer.AsMemory(0, 1 + i % 8)).Waiting();
            client.Write([i, 2, 3]);
            Assert.InRange(await peeking.Within(), 1, 3);
            Assert.Equal(i, buffer[0]);
            Assert.Equal(0, await server.StartPeek(blocking, Memory<byte>.Empty).Within());
            await server.ArrivedAsync(3);
            Assert.Equal(3, await server.StartPeek(blocking, buffer).Within());
            Assert.Equal(1, await server.ReadAsync(blocking, buffer.AsMemory(0, 1)));
            Assert.Equal(2, await server.StartPeek(blocking, buffer).Within());
            Assert.Equal([2, 3], buffer[..2]);
            Assert.Equal(2, await server.ReadAsync(blocking, buffer));
        }
        Operation<int> last = server.StartPeek(blocking, buffer).Waiting();
        client.CloseWrite();
        Assert.Equal(0, await last.Within());
        Assert.Equal(0, await server.ReadAsync(blocking, buffer));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_a_token_and_a_close_end_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> late = server.StartPeek(blocking, new byte[1]).Waiting();
        server.SetReadDeadline(DateTimeOffset.UnixEpoch);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(late.Within);
        Assert.True(e.IsTimeout);
        Assert.Equal("peek", e.Operation);
        server.SetReadDeadline(null);
        using CancellationTokenSource cancel = new();
        Task<int> canceled = server.PeekAsync(new byte[1], cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled.Within());
        client.Write([7]);
        Assert.Equal(1, await server.StartPeek(blocking, new byte[1]).Within());
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[1]));
        Operation<int> closed = server.StartPeek(blocking, new byte[1]).Waiting();
        server.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(closed.Within)).IsClosed);
    }
}

internal static class PeekOperation
{
    public static Operation<int> StartPeek(this Conn conn, bool blocking, Memory<byte> buffer) =>
        blocking ? new(() => conn.Peek(buffer.Span)) : new(conn.PeekAsync(buffer).AsTask());
}
