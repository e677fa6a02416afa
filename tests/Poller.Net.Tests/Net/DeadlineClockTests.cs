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
        using Rig rig = await Rig.StartAsync(dispatch, clock);
        for (int round = 0; round < 3; round++)
        {
            rig.Server.SetReadDeadline(clock.GetUtcNow() + TimeSpan.FromSeconds(10));
            Operation<int> reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
            await rig.PassAsync();
            await rig.AssertTimesOutAfterAsync(TimeSpan.FromSeconds(10), reading);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_that_was_prolonged_or_cleared_does_not_pass_at_its_old_time(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        DateTimeOffset start = rig.Clock.GetUtcNow();
        rig.Server.SetReadDeadline(start + TimeSpan.FromSeconds(1));
        Operation<int> reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
        rig.Server.SetReadDeadline(start + TimeSpan.FromSeconds(2));
        await rig.AdvanceAsync(TimeSpan.FromSeconds(1.5));
        reading.Waiting();

        rig.Server.SetReadDeadline(null);
        await rig.AdvanceAsync(TimeSpan.FromDays(1));
        reading.Waiting();
        rig.Client.Write([1]);
        Assert.Equal(1, await reading.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_time_out_counts_from_the_start_of_each_operation(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        rig.Server.ReadTimeout = 1000;
        for (int i = 0; i < 5; i++)
        {
            Operation<int> reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
            await rig.AdvanceAsync(TimeSpan.FromMilliseconds(999));
            reading.Waiting();
            rig.Client.Write([1]);
            Assert.Equal(1, await reading.Within());
        }
        Operation<int> last = rig.Server.StartRead(blocking, new byte[1]).Waiting();
        rig.Clock.Advance(TimeSpan.FromMilliseconds(1000));
        await AssertTimesOutAsync(last);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Of_a_deadline_and_a_time_out_the_earlier_ends_a_read(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        byte[] buffer = new byte[1];

        // The time-out, twice; it leaves the deadline as it is, and what comes after it alone.
        rig.Server.SetReadDeadline(rig.Clock.GetUtcNow() + TimeSpan.FromSeconds(5));
        rig.Server.ReadTimeout = 2000;
        for (int i = 0; i < 2; i++) await AssertEndsAsync(TimeSpan.FromSeconds(2));
        rig.Client.Write([1]);
        Assert.Equal(1, await rig.Server.ReadAsync(blocking, buffer));

        // The deadline, after the second that is left; it holds until it is moved.
        await AssertEndsAsync(TimeSpan.FromSeconds(1));
        rig.Client.Write([1]);
        await AssertTimesOutAsync(rig.Server.StartRead(blocking, buffer));
        rig.Server.ReadTimeout = Timeout.Infinite;
        await AssertTimesOutAsync(rig.Server.StartRead(blocking, buffer));
        rig.Server.SetReadDeadline(null);
        Assert.Equal(1, await rig.Server.ReadAsync(blocking, buffer));

        Task AssertEndsAsync(TimeSpan after) => rig.AssertTimesOutAfterAsync(after, rig.Server.StartRead(blocking, buffer).Waiting());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Of_a_deadline_and_a_time_out_the_earlier_ends_a_write(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        foreach ((int deadline, int timeout) in ((int, int)[])[(1000, 3000), (3000, 1000)])
        {
            rig.Server.SetWriteDeadline(TimeSpan.FromMilliseconds(deadline));
            rig.Server.WriteTimeout = timeout;
            Operation<int> writing = rig.Server.StartWrite(blocking, new byte[16 << 20]).Waiting();
            rig.Clock.Advance(TimeSpan.FromSeconds(1));
            await AssertTimesOutAsync(writing);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_that_is_moved_during_a_read_with_a_time_out_counts_as_moved(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        rig.Server.ReadTimeout = 10_000;
        rig.Server.SetReadDeadline(TimeSpan.FromSeconds(1));
        Operation<int> reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
        rig.Server.SetReadDeadline(TimeSpan.FromSeconds(2));
        await rig.AdvanceAsync(TimeSpan.FromSeconds(1.5));
        reading.Waiting();
        rig.Server.SetReadDeadline(null);
        await rig.AdvanceAsync(TimeSpan.FromSeconds(8));
        reading.Waiting();
        rig.Clock.Advance(TimeSpan.FromSeconds(0.5));
        await AssertTimesOutAsync(reading);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_time_out_that_is_set_anew_holds_for_later_reads_alone(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);

        // The read under way keeps the one that it began with.
        rig.Server.ReadTimeout = 1000;
        Operation<int> reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
        rig.Server.ReadTimeout = Timeout.Infinite;
        rig.Clock.Advance(TimeSpan.FromSeconds(1));
        await AssertTimesOutAsync(reading);

        // One that ended before its time-out leaves a stale one, which the next does not meet.
        rig.Server.ReadTimeout = 1000;
        rig.Client.Write([1]);
        Assert.Equal(1, await rig.Server.ReadAsync(blocking, new byte[1]));
        rig.Server.ReadTimeout = Timeout.Infinite;
        reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
        await rig.AdvanceAsync(TimeSpan.FromSeconds(2));
        await rig.PassAsync();
        reading.Waiting();
        rig.Client.Write([1]);
        Assert.Equal(1, await reading.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_that_was_queued_counts_its_time_out_from_when_it_starts(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        Operation<int> first = rig.Server.StartRead(blocking, new byte[1]).Waiting();
        rig.Server.ReadTimeout = 1000;
        Operation<int> queued = rig.Server.StartRead(blocking, new byte[1]).Waiting();
        await rig.AdvanceAsync(TimeSpan.FromSeconds(10));
        queued.Waiting();
        rig.Client.Write([1]);
        Assert.Equal(1, await first.Within());
        PollDesc[] descs = rig.Fixture.Poller.Loops[0].Cache.Snapshot();
        bool HasStarted() => descs.Any(static desc => desc.Deadlines?.TimeoutOf(Direction.Read) > PollDeadlines.Past);
        Assert.True(SpinWait.SpinUntil(HasStarted, Fixture.Patience), "the queued read did not start.");
        await rig.AdvanceAsync(TimeSpan.FromMilliseconds(999));
        queued.Waiting();
        rig.Clock.Advance(TimeSpan.FromMilliseconds(1));
        await AssertTimesOutAsync(queued);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_from_now_holds_whatever_the_time_of_day_does(NetpollDispatch dispatch, bool blocking)
    {
        SteppedClock clock = new();
        using Rig rig = await Rig.StartAsync(dispatch, clock);
        using ConnListener listener = rig.Fixture.Net.Listen("tcp", "127.0.0.1:0");
        TimeSpan span = TimeSpan.FromSeconds(10);
        for (int round = 0; round < 4; round++)
        {
            // Set, and then prolonged; over and over, by each of the three.
            rig.Server.SetDeadline(span / 2);
            if (round % 2 == 0) rig.Server.SetDeadline(span);
            else rig.Server.SetReadDeadline(span);
            rig.Server.SetWriteDeadline(span);
            listener.SetDeadline(span);
            Operation<int> reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
            Operation<int> writing = rig.Server.StartWrite(blocking, new byte[16 << 20]).Waiting();
            Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
            clock.Step = TimeSpan.FromHours(round % 2 == 0 ? 8 : -8);
            await rig.AdvanceAsync(span - TimeSpan.FromTicks(1));
            reading.Waiting();
            writing.Waiting();
            accepting.Waiting();
            await rig.AdvanceAsync(TimeSpan.FromTicks(1));
            await AssertTimesOutAsync(reading);
            await AssertTimesOutAsync(writing);
            await AssertTimesOutAsync(accepting);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_infinite_span_clears_a_deadline_and_one_that_is_not_ahead_expires(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        foreach (long ticks in (long[])[0, -1, Timeout.InfiniteTimeSpan.Ticks + 1, Timeout.InfiniteTimeSpan.Ticks - 1, long.MinValue])
        {
            rig.Server.SetReadDeadline(TimeSpan.FromTicks(ticks));
            await AssertTimesOutAsync(rig.Server.StartRead(blocking, new byte[1]));
        }
        foreach (TimeSpan never in (TimeSpan[])[Timeout.InfiniteTimeSpan, TimeSpan.MaxValue])
        {
            rig.Server.SetReadDeadline(TimeSpan.FromSeconds(1));
            rig.Server.SetReadDeadline(never);
            Operation<int> reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
            await rig.AdvanceAsync(TimeSpan.FromDays(1));
            await rig.PassAsync();
            reading.Waiting();
            rig.Client.Write([1]);
            Assert.Equal(1, await reading.Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_deadline_holds_under_SslStream_with_a_time_out(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        using SslStream tlsClient = new(rig.Client, leaveInnerStreamOpen: true, TestCertificate.IsIt);
        using SslStream tlsServer = new(rig.Server, leaveInnerStreamOpen: true);
        await Task.WhenAll(
            tlsClient.AuthenticateAsClientAsync("poller.test"),
            tlsServer.AuthenticateAsServerAsync(TestCertificate.Value)).Within();
        tlsServer.ReadTimeout = 60_000;
        Assert.Equal(60_000, rig.Server.ReadTimeout);
        byte[] buffer = new byte[8];
        await tlsClient.WriteAsync(new byte[1]);
        Assert.Equal(1, await tlsServer.ReadAsync(buffer).AsTask().Within());

        rig.Server.SetReadDeadline(TimeSpan.FromSeconds(1));
        Operation<int> reading = blocking ? new(() => tlsServer.Read(buffer)) : new(tlsServer.ReadAsync(buffer).AsTask());
        reading.Waiting();
        rig.Clock.Advance(TimeSpan.FromSeconds(1));
        await AssertTimesOutAsync(reading);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Reader_and_writer_of_one_deadline_end_together(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = await Rig.StartAsync(dispatch);
        rig.Server.SetDeadline(rig.Clock.GetUtcNow() + TimeSpan.FromMinutes(1));
        Operation<int> reading = rig.Server.StartRead(blocking, new byte[1]).Waiting();
        Operation<int> writing = rig.Server.StartWrite(blocking, new byte[16 << 20]).Waiting();
        rig.Clock.Advance(TimeSpan.FromMinutes(1));
        await AssertTimesOutAsync(reading);
        await AssertTimesOutAsync(writing);
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
        await AssertTimesOutAsync(server.StartRead(blocking: false, new byte[1]));
    }

    // The leader reads the clock, and then arms the clock's timer for what is left.
    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_clock_that_moves_while_its_timer_is_armed_ends_a_read_at_its_tick(NetpollDispatch dispatch)
    {
        MovedClock clock = new();
        using Rig rig = await Rig.StartAsync(dispatch, clock);
        Operation<int> reading = rig.Server.StartRead(blocking: false, new byte[1]).Waiting();

        // The deadline wakes the loop, which arms the timer. Nothing wakes it afterwards, so it does not arm it again.
        Task moved = clock.MoveAtNextArming(TimeSpan.FromMilliseconds(1));
        rig.Server.SetReadDeadline(TimeSpan.FromMilliseconds(1000));
        await moved.WaitAsync(Fixture.Patience);
        clock.Advance(TimeSpan.FromMilliseconds(999));
        await AssertTimesOutAsync(reading);
    }

    private static async Task AssertTimesOutAsync<T>(Operation<T> operation) =>
        Assert.True((await Assert.ThrowsAsync<NetOpException>(operation.Within)).IsTimeout);

    /// <summary>The two ends of a connection by a clock that the test moves.</summary>
    private sealed class Rig : IDisposable
    {
        private readonly (TcpConn, TcpConn) _other;

        private Rig(Fixture fixture, FakeTimeProvider clock, (TcpConn, TcpConn) pair, (TcpConn, TcpConn) other)
        {
            Fixture = fixture;
            Clock = clock;
            (Client, Server) = pair;
            _other = other;
        }

        public Fixture Fixture { get; }

        public FakeTimeProvider Clock { get; }

        public TcpConn Client { get; }

        public TcpConn Server { get; }

        public static async Task<Rig> StartAsync(NetpollDispatch dispatch, FakeTimeProvider? clock = null)
        {
            clock ??= new FakeTimeProvider();
            Fixture fixture = new(dispatch, clock: clock);
            return new Rig(fixture, clock, await fixture.PairAsync(), await fixture.PairAsync());
        }

        /// <summary>Comes back once the loop has looked at its deadlines.</summary>
        public Task PassAsync() => Fixture.PassAsync(_other);

        /// <summary>Moves the clock, and comes back once the loop has looked at its deadlines.</summary>
        public Task AdvanceAsync(TimeSpan by)
        {
            Clock.Advance(by);
            return PassAsync();
        }

        /// <summary>Asserts that an operation which waits times out after this time, and not one tick before.</summary>
        public async Task AssertTimesOutAfterAsync(TimeSpan span, Operation<int> operation)
        {
            await AdvanceAsync(span - TimeSpan.FromTicks(1));
            operation.Waiting();
            await AdvanceAsync(TimeSpan.FromTicks(1));
            await AssertTimesOutAsync(operation);
        }

        public void Dispose() => Fixture.Dispose();
    }

    // Moves once, between the reading of the clock and the arming of a timer.
    private sealed class MovedClock : FakeTimeProvider
    {
        private TaskCompletionSource? _moved;
        private TimeSpan _move;

        public Task MoveAtNextArming(TimeSpan by)
        {
            TaskCompletionSource moved = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _move = by;
            Volatile.Write(ref _moved, moved);
            return moved.Task;
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            new MovedTimer(this, base.CreateTimer(callback, state, dueTime, period));

        private sealed class MovedTimer(MovedClock clock, ITimer inner) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period)
            {
                TaskCompletionSource? moved = Interlocked.Exchange(ref clock._moved, null);
                if (moved is not null) clock.Advance(clock._move);
                bool changed = inner.Change(dueTime, period);
                moved?.SetResult();
                return changed;
            }

            public void Dispose() => inner.Dispose();

            public ValueTask DisposeAsync() => inner.DisposeAsync();
        }
    }

    // The system's time, by timers of its own as far as the loop can tell.
    private sealed class OwnClock : TimeProvider;
}
