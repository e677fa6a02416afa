using Microsoft.Extensions.Time.Testing;

namespace Poller.Net.Tests;

/// <summary>Deadlines by a clock that moves when it is told to: they pass exactly then.</summary>
public sealed class DeadlineClockTests
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_passes_at_its_tick_and_not_one_before(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new(new DateTimeOffset(2050, 1, 1, 0, 0, 0, TimeSpan.Zero)); // Its timestamps, in ns, are beyond a long.
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        for (int round = 0; round < 3; round++)
        {
            server.SetReadDeadline(clock.GetUtcNow() + TimeSpan.FromSeconds(10));
            Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
            await Fixture.PassAsync(other);
            clock.Advance(TimeSpan.FromSeconds(10) - TimeSpan.FromTicks(1));
            await Fixture.PassAsync(other);
            reading.Waiting();
            clock.Advance(TimeSpan.FromTicks(1));
            await Fixture.PassAsync(other);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_that_was_prolonged_or_cleared_does_not_pass_at_its_old_time(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        DateTimeOffset start = clock.GetUtcNow();
        server.SetReadDeadline(start + TimeSpan.FromSeconds(1));
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        server.SetReadDeadline(start + TimeSpan.FromSeconds(2));
        clock.Advance(TimeSpan.FromSeconds(1.5));
        await Fixture.PassAsync(other);
        reading.Waiting();

        server.SetReadDeadline(null);
        clock.Advance(TimeSpan.FromDays(1));
        await Fixture.PassAsync(other);
        reading.Waiting();
        client.Write([1]);
        Assert.Equal(1, await reading.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_time_out_counts_from_the_start_of_each_operation(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        server.ReadTimeout = 1000;
        for (int i = 0; i < 5; i++)
        {
            Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
            clock.Advance(TimeSpan.FromMilliseconds(999));
            await Fixture.PassAsync(other);
            reading.Waiting();
            client.Write([1]);
            Assert.Equal(1, await reading.Within());
        }
        Operation<int> last = server.StartRead(blocking, new byte[1]).Waiting();
        clock.Advance(TimeSpan.FromMilliseconds(1000));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(last.Within)).IsTimeout);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Reader_and_writer_of_one_deadline_end_together(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        conn.SetDeadline(clock.GetUtcNow() + TimeSpan.FromMinutes(1));
        Operation<int> reading = conn.StartRead(blocking, new byte[1]).Waiting();
        Operation<int> writing = conn.StartWrite(blocking, new byte[16 << 20]).Waiting();
        clock.Advance(TimeSpan.FromMinutes(1));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(writing.Within)).IsTimeout);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Deadlines_pass_in_their_order(NetpollDispatch dispatch)
    {
        const int Count = 50;
        int seed = Random.Shared.Next();
        Random random = new(seed);
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        DateTimeOffset start = clock.GetUtcNow();
        int[] seconds = [.. Enumerable.Range(1, Count)];
        random.Shuffle(seconds);
        Operation<int>[] reading = new Operation<int>[Count + 1];
        foreach (int second in seconds)
        {
            (TcpConn _, TcpConn server) = await fixture.PairAsync();
            server.SetReadDeadline(start + TimeSpan.FromSeconds(random.Next(1, 1000)));
            reading[second] = server.StartRead(blocking: false, new byte[1]).Waiting();
            server.SetReadDeadline(start + TimeSpan.FromSeconds(second));
        }
        for (int second = 1; second <= Count; second++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Assert.ThrowsAsync<NetOpException>(reading[second].Within);
            bool alone = reading[(second + 1)..].All(static r => !r.Task.IsCompleted);
            Assert.True(alone, $"seed {seed}: a later deadline passed at second {second}.");
        }
    }

    [Theory]
    [InlineData(typeof(SystemClock))]
    [InlineData(typeof(OwnClock))]
    [InlineData(typeof(FakeTimeProvider))]
    public async Task A_deadline_years_ahead_holds_up_no_nearer_one(Type kind)
    {
        TimeProvider clock = kind == typeof(SystemClock) ? TimeProvider.System : (TimeProvider)Activator.CreateInstance(kind)!;
        using Fixture fixture = new(clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        foreach (double days in (double[])[50, 1000, 400_000])
        {
            server.SetReadDeadline(clock.GetUtcNow() + TimeSpan.FromDays(days));
            Operation<int> reading = server.StartRead(blocking: false, new byte[1]).Waiting();
            await Fixture.PassAsync(other);
            await Fixture.PassAsync(other);
            client.Write([1]);
            Assert.Equal(1, await reading.Within());
        }
        server.SetReadDeadline(DateTimeOffset.MaxValue);
        await Fixture.PassAsync(other);
        if (clock is FakeTimeProvider) return;
        server.SetReadDeadline(clock.GetUtcNow() + TimeSpan.FromMilliseconds(5));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).Within())).IsTimeout);
    }

    private sealed class SystemClock;

    // The system's time, by timers of its own as far as the loop can tell.
    private sealed class OwnClock : TimeProvider;
}
