using Microsoft.Extensions.Time.Testing;
using Microsoft.Win32.SafeHandles;

namespace Poller.Net.Tests;

/// <summary>The idle time-out of accepted connections.</summary>
public abstract class IdleTimeoutTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    // With eight looks in the time-out, one every second.
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);
    private static readonly ListenOptions Options = new() { IdleTimeout = 8 * Look };

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_connection_on_which_nothing_happens_ends_for_good(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await PairAsync(fixture);
        using TcpConn held = client, ours = server;
        Operation<int> read = server.StartRead(blocking, new byte[1]).Waiting();
        for (int i = 0; i < 8; i++) clock.Advance(Look);
        await Fixture.PassAsync(await fixture.PairAsync());
        read.Waiting();
        clock.Advance(Look);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(read.Within);
        Assert.True(e.IsTimeout);
        Assert.EndsWith(": the idle time-out of 8000 ms passed", e.Message, StringComparison.Ordinal);
        Assert.IsType<TimeoutException>(e.InnerException);

        // No deadline brings it back.
        server.SetDeadline(TimeSpan.FromHours(1));
        server.SetReadDeadline(null);
        await client.WriteAsync(blocking, new byte[1]);
        foreach (Func<Operation<int>> use in (Func<Operation<int>>[])
            [() => server.StartRead(blocking, new byte[1]), () => server.StartWrite(blocking, new byte[1])])
        {
            e = await Assert.ThrowsAsync<NetOpException>(use().Within);
            Assert.EndsWith("the idle time-out of 8000 ms passed", e.Message, StringComparison.Ordinal);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_or_a_write_begins_the_time_again(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await PairAsync(fixture);
        using TcpConn held = client, ours = server;
        for (int i = 0; i < 5; i++)
        {
            for (int look = 0; look < 7; look++) clock.Advance(Look);
            if (i % 2 == 0)
            {
                await server.WriteAsync(blocking, new byte[1]);
            }
            else
            {
                Operation<int> read = server.StartRead(blocking, new byte[1]).Waiting();
                await client.WriteAsync(blocking, new byte[1]);
                Assert.Equal(1, await read.Within());
            }
        }

        // A read that waits lives on by what is written meanwhile.
        Operation<int> waiting = server.StartRead(blocking, new byte[1]).Waiting();
        for (int i = 0; i < 20; i++)
        {
            await server.WriteAsync(blocking, new byte[1]);
            clock.Advance(Look);
        }
        await client.WriteAsync(blocking, new byte[1]);
        Assert.Equal(1, await waiting.Within());
    }

    [Fact]
    public async Task A_try_of_the_callers_own_and_each_part_of_a_file_begin_the_time_again()
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(clock: clock, api: new SendsByteByByte());
        (TcpConn client, TcpConn server) = await PairAsync(fixture);
        using TcpConn held = client, ours = server;
        for (int i = 0; i < 5; i++)
        {
            for (int look = 0; look < 7; look++) clock.Advance(Look);
            Assert.True(server.Raw.TryWrite<int, int>(0, static (_, _) => 1, out _));
        }

        // The file takes longer than the time-out, and the socket is never full.
        string path = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(path, new byte[40]);
            using SafeFileHandle file = File.OpenHandle(path);
            Assert.Equal(40, await server.SendFileAsync(file, progress: new Clockwork(clock)).AsTask().Within());
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task An_operation_that_times_out_is_no_activity(NetpollDispatch dispatch)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await PairAsync(fixture);
        using TcpConn held = client, ours = server;
        server.SetReadDeadline(DateTimeOffset.UnixEpoch);
        for (int i = 0; i < 9; i++)
        {
            NetOpException passed = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).Within());
            Assert.EndsWith("the deadline passed", passed.Message, StringComparison.Ordinal);
            clock.Advance(Look);
        }
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).Within());
        Assert.EndsWith("the idle time-out of 8000 ms passed", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_outlives_the_listener_and_leaves_others_alone()
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(clock: clock);
        using TcpConnListener without = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using TcpConn other = await fixture.Net.DialTcpAsync(without.LocalEndPoint).Within();
        using TcpConn untouched = await without.AcceptTcpAsync().Within();
        (TcpConn client, TcpConn server) = await PairAsync(fixture); // It disposes its listener.
        using TcpConn held = client, ours = server;
        for (int i = 0; i < 30; i++) clock.Advance(Look);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(new byte[1]).Within())).IsTimeout);
        foreach (TcpConn conn in (TcpConn[])[client, other, untouched]) await conn.WriteAsync(new byte[1]).AsTask().Within();
    }

    [Fact]
    public async Task A_connection_that_comes_after_all_others_have_gone_ends_too()
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(clock: clock);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, Options);
        (await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within()).Dispose();
        (await listener.AcceptTcpAsync().Within()).Dispose();
        clock.Advance(Look); // There is nothing to look at any more.
        using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        for (int i = 0; i < 9; i++) clock.Advance(Look);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(new byte[1]).Within())).IsTimeout);
    }

    [Fact]
    public async Task A_connection_that_is_closed_is_not_kept_until_the_next_look()
    {
        const int Count = 50, OfOperations = 5; // What is kept of an operation may hold the last ones.
        using Fixture fixture = new(clock: new FakeTimeProvider());
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, Options);
        (TcpConn client, TcpConn server) = await PairAsync(fixture);
        using TcpConn held = client, ours = server;
        List<WeakReference> closed = await CloseAsync();
        SpinWait.SpinUntil(
            () =>
            {
                GC.Collect();
                return Kept() <= OfOperations; // A thread that has just finished with one may hold it for a moment.
            },
            Fixture.Patience);
        Assert.InRange(Kept(), 0, OfOperations);

        int Kept() => closed.Count(static conn => conn.IsAlive);

        async Task<List<WeakReference>> CloseAsync()
        {
            List<WeakReference> weak = [];
            for (int i = 0; i < Count; i++)
            {
                using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
                using TcpConn server = await listener.AcceptTcpAsync().Within();
                weak.Add(Raw.WeakFdOf(server));
            }
            return weak;
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(1L + int.MaxValue)]
    public void A_time_that_is_out_of_range_is_refused(long milliseconds) => Assert.Throws<ArgumentOutOfRangeException>(
        () => new ListenOptions { IdleTimeout = TimeSpan.FromMilliseconds(milliseconds) });

    private static async Task<(TcpConn Client, TcpConn Server)> PairAsync(Fixture fixture)
    {
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, Options);
        TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        return (client, await listener.AcceptTcpAsync().Within());
    }

    private sealed class SendsByteByByte : ForwardingSocketApi
    {
        public override IoResult SendFile(nint fd, nint file, long offset, int count) => base.SendFile(fd, file, offset, 1);
    }

    private sealed class Clockwork(FakeTimeProvider clock) : IProgress<long>
    {
        public void Report(long value) => clock.Advance(Look);
    }
}
