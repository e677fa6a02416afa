using Microsoft.Extensions.Time.Testing;
using Poller.Abstractions;

namespace Poller.Net.Tests;

public sealed class PollTimersTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly LoopClock _time;
    private readonly PollTimers _timers = new();
    private readonly PollDesc _desc = new(0);

    public PollTimersTests()
    {
        _time = new LoopClock(_clock);
        _desc.Open(3);
    }

    [Fact]
    public void A_deadline_expires_at_its_time_and_not_before()
    {
        TestWaiter waiter = Parked(Direction.Read);
        Set(PollMode.Read, TimeSpan.FromMilliseconds(10));
        _clock.Advance(TimeSpan.FromMilliseconds(9.9999));
        Assert.Null(_timers.Expire(_time.Now));
        Assert.Equal(0, _desc.Check(Direction.Read));
        _clock.Advance(TimeSpan.FromMicroseconds(0.1));
        Assert.Same(waiter, _timers.Expire(_time.Now));
        Assert.Equal(IoResult.Timeout, _desc.Check(Direction.Read));
        Assert.Equal(0, _desc.Check(Direction.Write));
        Assert.Equal(PollTimers.Never, _timers.Next);
    }

    [Fact]
    public void A_past_deadline_expires_at_once_and_a_cleared_one_is_taken_back()
    {
        TestWaiter waiter = Parked(Direction.Write);
        _timers.SetDeadline(
            _desc, PollMode.ReadWrite, _time.After(TimeSpan.FromSeconds(-1)), out PollWaiter? reader, out PollWaiter? writer);
        Assert.Null(reader);
        Assert.Same(waiter, writer);
        Assert.Equal(IoResult.Timeout, _desc.Check(Direction.Read));
        _timers.SetDeadline(_desc, PollMode.ReadWrite, 0, out _, out _);
        Assert.Equal(0, _desc.Check(Direction.Read));
        Assert.Equal(0, _desc.Check(Direction.Write));
    }

    [Fact]
    public void A_later_deadline_keeps_the_timer_and_an_earlier_one_moves_it()
    {
        Set(PollMode.Read, TimeSpan.FromSeconds(10));
        long first = _timers.Next;
        Set(PollMode.Read, TimeSpan.FromSeconds(20));
        Assert.Equal(first, _timers.Next);
        _clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Null(_timers.Expire(_time.Now));
        Assert.Equal(0, _desc.Check(Direction.Read));
        Assert.Equal(first + 10_000_000_000, _timers.Next);
        Set(PollMode.Read, TimeSpan.FromSeconds(1));
        Assert.Equal(first + 1_000_000_000, _timers.Next);
    }

    [Fact]
    public void A_deadline_that_is_prolonged_by_the_time_of_day_keeps_its_timer_and_passes_at_its_time()
    {
        TestWaiter waiter = Parked(Direction.Read);
        _timers.SetDeadline(_desc, PollMode.Read, _time.At(_clock.GetUtcNow().AddSeconds(10)), out _, out _);
        long first = _timers.Next;
        _clock.Advance(TimeSpan.FromSeconds(9));
        Assert.True(TryProlong(PollMode.Read, _clock.GetUtcNow().AddSeconds(10), inSync: false));
        Assert.Equal(first, _timers.Next);
        _clock.Advance(TimeSpan.FromSeconds(10) - TimeSpan.FromTicks(1));
        Assert.Null(_timers.Expire(_time.Now));
        _clock.Advance(TimeSpan.FromTicks(1));
        Assert.Same(waiter, _timers.Expire(_time.Now));
    }

    [Fact]
    public void Nothing_is_prolonged_but_a_deadline_ahead_to_a_later_one()
    {
        _timers.SetDeadline(_desc, PollMode.Read, _time.At(_clock.GetUtcNow().AddSeconds(10)), out _, out _);
        Assert.False(Prolong(PollMode.Read, 9.999));
        Assert.False(Prolong(PollMode.Write, 20));
        Assert.False(Prolong(PollMode.ReadWrite, 20));
        Assert.False(TryProlong(PollMode.Read, DateTimeOffset.MaxValue, inSync: false));
        Assert.False(TryProlong(PollMode.Read, default, inSync: false));
        Assert.Equal(_time.After(TimeSpan.FromSeconds(20)), _desc.Deadlines!.DeadlineOf(Direction.Read));
        Assert.True(Prolong(PollMode.Read, 20));

        _clock.Advance(TimeSpan.FromSeconds(20));
        _timers.Expire(_time.Now);
        Assert.False(Prolong(PollMode.Read, 60));
        _timers.SetDeadline(_desc, PollMode.Read, PollDeadlines.None, out _, out _);
        Assert.False(Prolong(PollMode.Read, 60));

        bool Prolong(PollMode mode, double seconds) => TryProlong(mode, _clock.GetUtcNow().AddSeconds(seconds), inSync: false);
    }

    [Fact]
    public void After_a_step_of_the_time_of_day_deadlines_are_prolonged_by_the_new_time()
    {
        _timers.SetDeadline(_desc, PollMode.Read, _time.At(_clock.GetUtcNow().AddSeconds(10)), out _, out _);
        _clock.Advance(TimeSpan.FromSeconds(1));
        _clock.AdjustTime(_clock.GetUtcNow().AddHours(1));
        Assert.True(TryProlong(PollMode.Read, _clock.GetUtcNow().AddSeconds(30), inSync: false));
        Assert.Equal(_time.After(TimeSpan.FromSeconds(30)), _desc.Deadlines!.DeadlineOf(Direction.Read));
    }

    [Fact]
    public void In_sync_no_clock_is_read_and_what_may_be_past_or_stepped_is_left()
    {
        DateTimeOffset start = _clock.GetUtcNow();
        _timers.SetDeadline(_desc, PollMode.Read, _time.At(start.AddSeconds(10)), out _, out _);
        Assert.True(InSync(10.5));
        Assert.True(InSync(11.5));
        Assert.False(InSync(12.6)); // The time of day may have been stepped.

        // Nobody has looked since, so the last look counts as the time. After a new look, what is less than a second ahead may be past.
        _clock.Advance(TimeSpan.FromSeconds(11));
        Assert.True(InSync(11.6));
        _time.Look(_time.Now);
        Assert.False(InSync(11.9));
        Assert.True(InSync(12.1));

        bool InSync(double seconds) => TryProlong(PollMode.Read, start.AddSeconds(seconds), inSync: true);
    }

    [Fact]
    public void A_cleared_deadline_never_expires()
    {
        Set(PollMode.Read, TimeSpan.FromSeconds(1));
        _timers.SetDeadline(_desc, PollMode.Read, 0, out _, out _);
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Null(_timers.Expire(_time.Now));
        Assert.Equal(0, _desc.Check(Direction.Read));
        Assert.Equal(PollTimers.Never, _timers.Next);
    }

    [Fact]
    public void A_time_out_ends_a_wait_and_a_later_operation_takes_it_back()
    {
        SetTimeout(1);
        TestWaiter waiter = Parked(Direction.Read);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Same(waiter, _timers.Expire(_time.Now));
        Assert.Equal(IoResult.Timeout, _desc.Check(Direction.Read));
        Assert.Equal(0, _desc.Check(Direction.Write));
        Assert.False(_desc.Deadlines!.TryProlongTimeout(Direction.Read, _time.After(TimeSpan.FromSeconds(1))));
        SetTimeout(1);
        Assert.Equal(0, _desc.Check(Direction.Read));
        Assert.Equal(_time.After(TimeSpan.FromSeconds(1)), _timers.Next);
        _clock.Advance(TimeSpan.FromSeconds(2));
        _timers.Expire(_time.Now);
        _timers.SetTimeout(_desc, Direction.Read, PollDeadlines.None);
        Assert.Equal(0, _desc.Check(Direction.Read));
    }

    [Fact]
    public void The_timer_of_a_side_fires_for_the_earlier_of_its_deadline_and_its_time_out()
    {
        Set(PollMode.Read, TimeSpan.FromSeconds(3));
        SetTimeout(2);
        Assert.Equal(_time.After(TimeSpan.FromSeconds(2)), _timers.Next);
        _clock.Advance(TimeSpan.FromSeconds(2));
        _timers.Expire(_time.Now);
        Assert.Equal(IoResult.Timeout, _desc.Check(Direction.Read));
        Assert.Equal(_time.After(TimeSpan.FromSeconds(1)), _timers.Next);

        // The deadline passes before the time-out of the next operation does.
        SetTimeout(2);
        Assert.Equal(0, _desc.Check(Direction.Read));
        _clock.Advance(TimeSpan.FromSeconds(1));
        _timers.Expire(_time.Now);
        Assert.Equal(IoResult.Timeout, _desc.Check(Direction.Read));
        SetTimeout(1);
        Assert.Equal(IoResult.Timeout, _desc.Check(Direction.Read));
        Set(PollMode.Read, TimeSpan.FromSeconds(3));
        Assert.Equal(0, _desc.Check(Direction.Read));
    }

    [Theory, InlineData(false), InlineData(true)]
    public void An_evicted_desc_leaves_no_timer_and_takes_no_deadline(bool loopFailed)
    {
        Set(PollMode.ReadWrite, TimeSpan.FromSeconds(1));
        SetTimeout(1);
        TestWaiter waiter = Parked(Direction.Read);
        if (loopFailed) _desc.MarkFailed();
        _timers.Evict(_desc, out PollWaiter? reader, out _);
        Assert.Same(waiter, reader);
        Assert.Equal(PollTimers.Never, _timers.Next);
        Set(PollMode.Read, TimeSpan.FromSeconds(1));
        SetTimeout(1);
        Assert.Equal(PollTimers.Never, _timers.Next);
    }

    [Fact]
    public void A_span_beyond_the_clock_is_far_and_not_past()
    {
        Assert.InRange(_time.After(TimeSpan.MaxValue), _time.Now + 1, PollTimers.Never - 1);
        Assert.InRange(_time.After(TimeSpan.Zero), 1, _time.Now);
        Assert.InRange(_time.After(TimeSpan.MinValue), 1, _time.Now);
    }

    [Fact]
    public void Many_random_deadlines_expire_each_at_its_time()
    {
        int seed = Seed.Next();
        Random random = new(seed);
        long[] due = new long[2000];
        PollDesc[] descs = [.. Enumerable.Range(0, due.Length).Select(i => new PollDesc((uint)i))];
        foreach (PollDesc desc in descs) desc.Open(3);
        for (int step = 0; step < 20_000; step++)
        {
            int i = random.Next(due.Length);
            if (random.Next(8) == 0)
            {
                _clock.Advance(TimeSpan.FromMilliseconds(random.Next(3)));
                Assert.Null(_timers.Expire(_time.Now));
            }
            else
            {
                long when = random.Next(5) == 0 ? 0 : _time.After(TimeSpan.FromMilliseconds(random.Next(-2, 50)));
                due[i] = when;
                _timers.SetDeadline(descs[i], PollMode.Read, when, out _, out _);
            }
            long now = _time.Now;
            bool expected = due[i] != 0 && due[i] <= now;
            bool expired = descs[i].Check(Direction.Read) == IoResult.Timeout;
            Assert.True(expected == expired, $"seed {seed}, step {step}: desc {i} is due at {due[i]}, it is {now}, expired: {expired}.");
        }
    }

    // PollLoop does the same.
    private bool TryProlong(PollMode mode, DateTimeOffset deadline, bool inSync) =>
        _time.TryAt(deadline, inSync, out long when, out long atMost) && _desc.Deadlines!.TryProlong(mode, when, atMost);

    private TestWaiter Parked(Direction direction)
    {
        TestWaiter waiter = new();
        Assert.Equal(PollPark.Parked, _desc.Park(direction, waiter));
        return waiter;
    }

    private void SetTimeout(double seconds) => _timers.SetTimeout(_desc, Direction.Read, _time.After(TimeSpan.FromSeconds(seconds)));

    private void Set(PollMode mode, TimeSpan span)
    {
        _timers.SetDeadline(_desc, mode, _time.After(span), out PollWaiter? reader, out PollWaiter? writer);
        Assert.Null(reader);
        Assert.Null(writer);
    }
}
