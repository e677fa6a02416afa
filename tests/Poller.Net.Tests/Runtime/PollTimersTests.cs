using Microsoft.Extensions.Time.Testing;
using Poller.Abstractions;

namespace Poller.Net.Tests;

public sealed class PollTimersTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly PollTimers _timers;
    private readonly PollDesc _desc = new(0);

    public PollTimersTests()
    {
        _timers = new PollTimers(_clock);
        _desc.Open(3);
    }

    [Fact]
    public void A_deadline_expires_at_its_time_and_not_before()
    {
        TestWaiter waiter = Parked(PollMode.Read);
        Set(PollMode.Read, TimeSpan.FromMilliseconds(10));
        _clock.Advance(TimeSpan.FromMilliseconds(9.9999));
        Assert.Null(_timers.Expire(_timers.Now));
        Assert.Equal(0, _desc.Check(PollMode.Read));
        _clock.Advance(TimeSpan.FromMicroseconds(0.1));
        Assert.Same(waiter, _timers.Expire(_timers.Now));
        Assert.Equal(IoResult.Timeout, _desc.Check(PollMode.Read));
        Assert.Equal(0, _desc.Check(PollMode.Write));
        Assert.Equal(PollTimers.Never, _timers.Next);
    }

    [Fact]
    public void A_past_deadline_expires_at_once_and_a_cleared_one_is_taken_back()
    {
        TestWaiter waiter = Parked(PollMode.Write);
        _timers.Set(_desc, PollMode.ReadWrite, _timers.After(TimeSpan.FromSeconds(-1)), out PollWaiter? reader, out PollWaiter? writer);
        Assert.Null(reader);
        Assert.Same(waiter, writer);
        Assert.Equal(IoResult.Timeout, _desc.Check(PollMode.Read));
        _timers.Set(_desc, PollMode.ReadWrite, 0, out _, out _);
        Assert.Equal(0, _desc.Check(PollMode.Read));
        Assert.Equal(0, _desc.Check(PollMode.Write));
    }

    [Fact]
    public void A_later_deadline_keeps_the_timer_and_an_earlier_one_moves_it()
    {
        Set(PollMode.Read, TimeSpan.FromSeconds(10));
        long first = _timers.Next;
        Set(PollMode.Read, TimeSpan.FromSeconds(20));
        Assert.Equal(first, _timers.Next);
        _clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Null(_timers.Expire(_timers.Now));
        Assert.Equal(0, _desc.Check(PollMode.Read));
        Assert.Equal(first + 10_000_000_000, _timers.Next);
        Set(PollMode.Read, TimeSpan.FromSeconds(1));
        Assert.Equal(first + 1_000_000_000, _timers.Next);
    }

    [Fact]
    public void A_deadline_that_is_prolonged_by_the_time_of_day_keeps_its_timer_and_passes_at_its_time()
    {
        TestWaiter waiter = Parked(PollMode.Read);
        _timers.Set(_desc, PollMode.Read, _timers.At(_clock.GetUtcNow().AddSeconds(10)), out _, out _);
        long first = _timers.Next;
        _clock.Advance(TimeSpan.FromSeconds(9));
        Assert.True(_timers.TryProlong(_desc.Deadlines!, PollMode.Read, _clock.GetUtcNow().AddSeconds(10), inSync: false));
        Assert.Equal(first, _timers.Next);
        _clock.Advance(TimeSpan.FromSeconds(10) - TimeSpan.FromTicks(1));
        Assert.Null(_timers.Expire(_timers.Now));
        _clock.Advance(TimeSpan.FromTicks(1));
        Assert.Same(waiter, _timers.Expire(_timers.Now));
    }

    [Fact]
    public void Nothing_is_prolonged_but_a_deadline_ahead_to_a_later_one()
    {
        _timers.Set(_desc, PollMode.Read, _timers.At(_clock.GetUtcNow().AddSeconds(10)), out _, out _);
        Assert.False(Prolong(PollMode.Read, 9.999));
        Assert.False(Prolong(PollMode.Write, 20));
        Assert.False(Prolong(PollMode.ReadWrite, 20));
        Assert.False(_timers.TryProlong(_desc.Deadlines!, PollMode.Read, DateTimeOffset.MaxValue, inSync: false));
        Assert.False(_timers.TryProlong(_desc.Deadlines!, PollMode.Read, default, inSync: false));
        Assert.Equal(_timers.After(TimeSpan.FromSeconds(20)), _desc.Deadlines!.Of(PollMode.Read));
        Assert.True(Prolong(PollMode.Read, 20));

        _clock.Advance(TimeSpan.FromSeconds(20));
        _timers.Expire(_timers.Now);
        Assert.False(Prolong(PollMode.Read, 60));
        _timers.Set(_desc, PollMode.Read, PollDeadlines.None, out _, out _);
        Assert.False(Prolong(PollMode.Read, 60));

        bool Prolong(PollMode mode, double seconds) => _timers.TryProlong(_desc.Deadlines!, mode, _clock.GetUtcNow().AddSeconds(seconds), inSync: false);
    }

    [Fact]
    public void After_a_step_of_the_time_of_day_deadlines_are_prolonged_by_the_new_time()
    {
        _timers.Set(_desc, PollMode.Read, _timers.At(_clock.GetUtcNow().AddSeconds(10)), out _, out _);
        _clock.Advance(TimeSpan.FromSeconds(1));
        _clock.AdjustTime(_clock.GetUtcNow().AddHours(1));
        Assert.True(_timers.TryProlong(_desc.Deadlines!, PollMode.Read, _clock.GetUtcNow().AddSeconds(30), inSync: false));
        Assert.Equal(_timers.After(TimeSpan.FromSeconds(30)), _desc.Deadlines!.Of(PollMode.Read));
    }

    [Fact]
    public void In_sync_no_clock_is_read_and_what_may_be_past_or_stepped_is_left()
    {
        DateTimeOffset start = _clock.GetUtcNow();
        _timers.Set(_desc, PollMode.Read, _timers.At(start.AddSeconds(10)), out _, out _);
        Assert.True(InSync(10.5));
        Assert.True(InSync(11.5));
        Assert.False(InSync(12.6)); // The time of day may have been stepped.

        // Nobody has looked: it is taken for the time it was. Once somebody has, what is less than a second ahead may be past.
        _clock.Advance(TimeSpan.FromSeconds(11));
        Assert.True(InSync(11.6));
        _timers.Look(_timers.Now);
        Assert.False(InSync(11.9));
        Assert.True(InSync(12.1));

        bool InSync(double seconds) => _timers.TryProlong(_desc.Deadlines!, PollMode.Read, start.AddSeconds(seconds), inSync: true);
    }

    [Fact]
    public void A_cleared_deadline_never_expires()
    {
        Set(PollMode.Read, TimeSpan.FromSeconds(1));
        _timers.Set(_desc, PollMode.Read, 0, out _, out _);
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Null(_timers.Expire(_timers.Now));
        Assert.Equal(0, _desc.Check(PollMode.Read));
        Assert.Equal(PollTimers.Never, _timers.Next);
    }

    [Fact]
    public void An_evicted_desc_leaves_no_timer_and_takes_no_deadline()
    {
        Set(PollMode.ReadWrite, TimeSpan.FromSeconds(1));
        TestWaiter waiter = Parked(PollMode.Read);
        _timers.Evict(_desc, out PollWaiter? reader, out _);
        Assert.Same(waiter, reader);
        Assert.Equal(PollTimers.Never, _timers.Next);
        Set(PollMode.Read, TimeSpan.FromSeconds(1));
        Assert.Equal(PollTimers.Never, _timers.Next);
    }

    [Fact]
    public void A_span_beyond_the_clock_is_far_and_not_past()
    {
        Assert.InRange(_timers.After(TimeSpan.MaxValue), _timers.Now + 1, PollTimers.Never - 1);
        Assert.InRange(_timers.After(TimeSpan.Zero), 1, _timers.Now);
        Assert.InRange(_timers.After(TimeSpan.MinValue), 1, _timers.Now);
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
                Assert.Null(_timers.Expire(_timers.Now));
            }
            else
            {
                long when = random.Next(5) == 0 ? 0 : _timers.After(TimeSpan.FromMilliseconds(random.Next(-2, 50)));
                due[i] = when;
                _timers.Set(descs[i], PollMode.Read, when, out _, out _);
            }
            long now = _timers.Now;
            bool expected = due[i] != 0 && due[i] <= now;
            bool expired = descs[i].Check(PollMode.Read) == IoResult.Timeout;
            Assert.True(expected == expired, $"seed {seed}, step {step}: desc {i} is due at {due[i]}, it is {now}, expired: {expired}.");
        }
    }

    private TestWaiter Parked(PollMode mode)
    {
        TestWaiter waiter = new();
        Assert.Equal(PollPark.Parked, _desc.Park(mode, waiter));
        return waiter;
    }

    private void Set(PollMode mode, TimeSpan span)
    {
        _timers.Set(_desc, mode, _timers.After(span), out PollWaiter? reader, out PollWaiter? writer);
        Assert.Null(reader);
        Assert.Null(writer);
    }
}
