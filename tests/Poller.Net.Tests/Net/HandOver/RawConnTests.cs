namespace Poller.Net.Tests;

/// <summary>A user's own system calls on a connection's socket.</summary>
public abstract class RawConnTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_function_runs_again_after_each_wait_until_it_has_a_result(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[4];
        for (int i = 1; i <= 3; i++)
        {
            Operation<int> reading = StartRead(server, blocking, buffer).Waiting();
            client.Write(new byte[i]);
            Assert.Equal(i, await reading.Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_after_a_function_that_left_bytes_finds_them(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[64];
        for (int round = 0; round < 20; round++)
        {
            client.Write(new byte[3]);
            Assert.Equal(3, await server.ReadAsync(blocking, buffer).Within()); // A short read: the socket counts as drained.
            client.Write(new byte[5]);
            Assert.Equal(2, await StartRead(server, blocking, buffer.AsMemory(0, 2)).Within());
            Assert.Equal(3, await server.ReadAsync(blocking, buffer).Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_function_that_writes_waits_for_room(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] chunk = new byte[64 * 1024];
        long sent = 0;
        while (client.Raw.TryWrite(chunk, Send, out int n)) sent += n;
        Operation<int> writing;
        while (!(writing = StartWrite()).Waits()) sent += await writing.Within(); // The system found a little more room.
        byte[] buffer = new byte[1 << 20];
        long got = 0;
        while (got < sent) got += await server.ReadAsync(buffer).Within();
        Assert.InRange(await writing.Within(), 1, chunk.Length);

        Operation<int> StartWrite() => blocking
            ? new(() => client.Raw.Write(chunk, Send))
            : new(client.Raw.WriteAsync(chunk, Send).AsTask());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_function_that_throws_ends_its_own_operation_and_gives_the_lock_back(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        int calls = 0;
        Func<nint, int, TryResult<int>> call = (_, _) => ++calls == 1 ? TryResult.WouldBlock : throw new FormatException("mine");
        Operation<int> reading = blocking
            ? new(() => server.Raw.Read(0, call))
            : new(server.Raw.ReadAsync(0, call).AsTask());
        reading.Waiting();
        Operation<int> queued = server.StartRead(blocking, new byte[8]).Waiting();
        client.Write([1]);
        FormatException e = await Assert.ThrowsAsync<FormatException>(() => reading.Within());
        Assert.Equal("mine", e.Message);
        Assert.Equal(1, await queued.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Close_and_a_deadline_end_a_function_that_waits(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (_, TcpConn server) = await fixture.PairAsync();
        Operation<int> reading = StartRead(server, blocking, new byte[1]).Waiting();
        server.SetReadDeadline(TimeSpan.Zero);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => reading.Within());
        Assert.True(e.IsTimeout);
        server.SetReadDeadline(Timeout.InfiniteTimeSpan);
        reading = StartRead(server, blocking, new byte[1]).Waiting();
        server.Dispose();
        e = await Assert.ThrowsAsync<NetOpException>(() => reading.Within());
        Assert.True(e.IsClosed);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => StartRead(server, blocking, new byte[1]).Within());
        Assert.Throws<ObjectDisposedException>(() => server.Raw.Control(static _ => { }));
        Assert.Throws<ObjectDisposedException>(() => server.Raw.TryRead(new byte[1].AsMemory(), Receive, out int _));
    }

    [Fact]
    public async Task Control_runs_beside_a_read_that_waits()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        ValueTask<int> reading = server.ReadAsync(new byte[1]);
        nint seen = 0;
        server.Raw.Control(fd => seen = fd);
        Assert.Equal(Raw.FdOf(server), seen);
        Assert.Equal(seen + 1, server.Raw.Control(1, static (fd, one) => fd + one));
        Assert.False(server.Raw.TryRead(new byte[1].AsMemory(), Receive, out int _)); // Another read is under way.
        client.Write([1]);
        Assert.Equal(1, await reading.Within());
        Assert.Throws<InvalidOperationException>(() => default(RawConn).Control(static _ => { }));
    }

    private static Operation<int> StartRead(TcpConn conn, bool blocking, Memory<byte> buffer) => blocking
        ? new(() => conn.Raw.Read(buffer, Receive))
        : new(conn.Raw.ReadAsync(buffer, Receive).AsTask());

    private static TryResult<int> Receive(nint fd, Memory<byte> buffer) =>
        SystemSocketApi.Current.Receive(fd, buffer.Span) is { IsSuccess: true } result ? result.Value : TryResult.WouldBlock;

    private static TryResult<int> Send(nint fd, byte[] chunk) =>
        SystemSocketApi.Current.Send(fd, chunk) is { IsSuccess: true } result ? result.Value : TryResult.WouldBlock;
}
