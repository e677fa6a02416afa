using System.Net.Security;
using Microsoft.Extensions.Time.Testing;

namespace Poller.Net.Tests;

/// <summary>Deadlines by a clock that moves when it is told to: they pass exactly then.</summary>
public abstract class DeadlineClockTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
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
    public async Task Of_a_deadline_and_a_time_out_the_earlier_ends_a_read(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        byte[] buffer = new byte[1];

        // The time-out, twice; it leaves the deadline as it is, and what comes after it alone.
        server.SetReadDeadline(clock.GetUtcNow() + TimeSpan.FromSeconds(5));
        server.ReadTimeout = 2000;
        for (int i = 0; i < 2; i++) await AssertEndsAsync(TimeSpan.FromSeconds(2));
        client.Write([1]);
        Assert.Equal(1, await server.ReadAsync(blocking, buffer));

        // The deadline, after the second that is left; it holds until it is moved.
        await AssertEndsAsync(TimeSpan.FromSeconds(1));
        client.Write([1]);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, buffer))).IsTimeout);
        server.ReadTimeout = Timeout.Infinite;
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, buffer))).IsTimeout);
        server.SetReadDeadline(null);
        Assert.Equal(1, await server.ReadAsync(blocking, buffer));

        async Task AssertEndsAsync(TimeSpan after)
        {
            Operation<int> reading = server.StartRead(blocking, buffer).Waiting();
            clock.Advance(after - TimeSpan.FromTicks(1));
            await Fixture.PassAsync(other);
            reading.Waiting();
            clock.Advance(TimeSpan.FromTicks(1));
            await Fixture.PassAsync(other);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Of_a_deadline_and_a_time_out_the_earlier_ends_a_write(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        foreach ((int deadline, int timeout) in ((int, int)[])[(1000, 3000), (3000, 1000)])
        {
            conn.SetWriteDeadline(TimeSpan.FromMilliseconds(deadline));
            conn.WriteTimeout = timeout;
            Operation<int> writing = conn.StartWrite(blocking, new byte[16 << 20]).Waiting();
            clock.Advance(TimeSpan.FromSeconds(1));
            Assert.True((await Assert.ThrowsAsync<NetOpException>(writing.Within)).IsTimeout);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_that_is_moved_during_a_read_with_a_time_out_counts_as_moved(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        server.ReadTimeout = 10_000;
        server.SetReadDeadline(TimeSpan.FromSeconds(1));
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        server.SetReadDeadline(TimeSpan.FromSeconds(2));
        clock.Advance(TimeSpan.FromSeconds(1.5));
        await Fixture.PassAsync(other);
        reading.Waiting();
        server.SetReadDeadline(null);
        clock.Advance(TimeSpan.FromSeconds(8));
        await Fixture.PassAsync(other);
        reading.Waiting();
        clock.Advance(TimeSpan.FromSeconds(0.5));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_time_out_that_is_set_anew_holds_for_later_reads_alone(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();

        // The read under way keeps the one that it began with.
        server.ReadTimeout = 1000;
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        server.ReadTimeout = Timeout.Infinite;
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);

        // One that ended before its time-out leaves a stale one, which the next does not meet.
        server.ReadTimeout = 1000;
        client.Write([1]);
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[1]));
        server.ReadTimeout = Timeout.Infinite;
        reading = server.StartRead(blocking, new byte[1]).Waiting();
        clock.Advance(TimeSpan.FromSeconds(2));
        await Fixture.PassAsync(other);
        await Fixture.PassAsync(other);
        reading.Waiting();
        client.Write([1]);
        Assert.Equal(1, await reading.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_that_was_queued_counts_its_time_out_from_when_it_starts(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        Operation<int> first = server.StartRead(blocking, new byte[1]).Waiting();
        server.ReadTimeout = 1000;
        Operation<int> queued = server.StartRead(blocking, new byte[1]).Waiting();
        clock.Advance(TimeSpan.FromSeconds(10));
        await Fixture.PassAsync(other);
        queued.Waiting();
        client.Write([1]);
        Assert.Equal(1, await first.Within());
        PollDesc[] descs = fixture.Poller.Loops[0].Cache.Snapshot();
        bool HasStarted() => descs.Any(static desc => desc.Deadlines?.TimeoutOf(Direction.Read) > PollDeadlines.Past);
        Assert.True(SpinWait.SpinUntil(HasStarted, Fixture.Patience), "the queued read did not start.");
        clock.Advance(TimeSpan.FromMilliseconds(999));
        await Fixture.PassAsync(other);
        queued.Waiting();
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(queued.Within)).IsTimeout);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_from_now_holds_whatever_the_time_of_day_does(NetpollDispatch dispatch, bool blocking)
    {
        SteppedClock clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        using ConnListener listener = fixture.Net.Listen("tcp", "127.0.0.1:0");
        TimeSpan span = TimeSpan.FromSeconds(10);
        for (int round = 0; round < 4; round++)
        {
            // Set, and then prolonged; over and over, by each of the three.
            conn.SetDeadline(span / 2);
            if (round % 2 == 0) conn.SetDeadline(span);
            else conn.SetReadDeadline(span);
            conn.SetWriteDeadline(span);
            listener.SetDeadline(span);
            Operation<int> reading = conn.StartRead(blocking, new byte[1]).Waiting();
            Operation<int> writing = conn.StartWrite(blocking, new byte[16 << 20]).Waiting();
            Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
            clock.Step = TimeSpan.FromHours(round % 2 == 0 ? 8 : -8);
            clock.Advance(span - TimeSpan.FromTicks(1));
            await Fixture.PassAsync(other);
            reading.Waiting();
            writing.Waiting();
            accepting.Waiting();
            clock.Advance(TimeSpan.FromTicks(1));
            await Fixture.PassAsync(other);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(writing.Within)).IsTimeout);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(accepting.Within)).IsTimeout);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_infinite_span_clears_a_deadline_and_one_that_is_not_ahead_expires(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        foreach (long ticks in (long[])[0, -1, Timeout.InfiniteTimeSpan.Ticks + 1, Timeout.InfiniteTimeSpan.Ticks - 1, long.MinValue])
        {
            server.SetReadDeadline(TimeSpan.FromTicks(ticks));
            Assert.True((await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, new byte[1]))).IsTimeout);
        }
        foreach (TimeSpan never in (TimeSpan[])[Timeout.InfiniteTimeSpan, TimeSpan.MaxValue])
        {
            server.SetReadDeadline(TimeSpan.FromSeconds(1));
            server.SetReadDeadline(never);
            Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
            clock.Advance(TimeSpan.FromDays(1));
            await Fixture.PassAsync(other);
            await Fixture.PassAsync(other);
            reading.Waiting();
            client.Write([1]);
            Assert.Equal(1, await reading.Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_deadline_holds_under_SslStream_with_a_time_out(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using SslStream tlsClient = new(
            client, leaveInnerStreamOpen: true,
            TestCertificate.IsIt);
        using SslStream tlsServer = new(server, leaveInnerStreamOpen: true);
        await Task.WhenAll(
            tlsClient.AuthenticateAsClientAsync("poller.test"),
            tlsServer.AuthenticateAsServerAsync(TestCertificate.Value)).Within();
        tlsServer.ReadTimeout = 60_000;
        Assert.Equal(60_000, server.ReadTimeout);
        byte[] buffer = new byte[8];
        await tlsClient.WriteAsync(new byte[1]);
        Assert.Equal(1, await tlsServer.ReadAsync(buffer).AsTask().Within());

        server.SetReadDeadline(TimeSpan.FromSeconds(1));
        Operation<int> reading = blocking ? new(() => tlsServer.Read(buffer)) : new(tlsServer.ReadAsync(buffer).AsTask());
        reading.Waiting();
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsTimeout);
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
    [InlineData("system")]
    [InlineData("own")]
    [InlineData("fake")]
    public async Task A_deadline_years_ahead_holds_up_no_nearer_one(string kind)
    {
        TimeProvider clock = kind switch { "system" => TimeProvider.System, "own" => new OwnClock(), _ => new FakeTimeProvider() };
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

    // The system's time, by timers of its own as far as the loop can tell.
    private sealed class OwnClock : TimeProvider;
}
