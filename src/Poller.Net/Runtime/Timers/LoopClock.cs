namespace Poller.Net;

// The twin of runtimeNano in Go's internal/poll, and of the conversion in its setDeadlineImpl.
//
// Deadlines are times of a monotonic clock, in ns. A user may name one by the time of day, which can be stepped. Go's time.Time holds both;
// a DateTimeOffset holds only the time of day. So each loop keeps the difference between the time of day and its own clock, and compares
// the two again now and then. If the time of day is stepped later, a deadline that was set before does not change.

/// <summary>The clock of one loop. Safe from any thread.</summary>
internal sealed class LoopClock(TimeProvider provider)
{
    // How old the comparison of the two clocks may become, in ns. Suppose the time of day is stepped by less than Second. Until the next
    // comparison, deadlines that are prolonged in sync are then wrong by the size of the step. A comparison takes about 70 ns, and no
    // measurement shows ten of them a second. Half the value compares twice as often and gains nobody anything. Double the value lets the
    // wrong deadlines last twice as long.
    private const long MaxComparisonAge = 100_000_000;

    // In sync: how far a deadline must be ahead of the last look, and by how much it may move at most. In ns. With half the value, a
    // handler that held up the loop for half a second could set a deadline that is already past, and it would not be refused. With double
    // the value, deadlines of one to two seconds, which are common, would take the slow path, which reads a clock and takes a lock: about
    // 90 ns, not 10.
    private const long Second = 1_000_000_000;

    // Constant. Now counts from the first, and times of day count from the second: in ns since the year 1 they would not fit a long. The
    // third is how many ns a tick of the clock has; 0 if that is not a whole number.
    private readonly long _origin = provider.GetTimestamp();
    private readonly DateTimeOffset _utcOrigin = provider.GetUtcNow();
    private readonly long _nanosecondsPerTick =
        1_000_000_000 % provider.TimestampFrequency == 0 ? 1_000_000_000 / provider.TimestampFrequency : 0;

    // Atomic, in ns. How far the time of day, from its origin, is ahead of Now; when the two were last compared; when anyone last looked at
    // the clock. A reader may get any of the last few values: each was right when it was written.
    private long _utcOffset;
    private long _compared;
    private long _looked;

    /// <summary>What tells the time.</summary>
    public TimeProvider Provider => provider;

    /// <summary>The time in ns since the clock was created; it is above 0.</summary>
    public long Now
    {
        get
        {
            long timestamp = provider.GetTimestamp() - _origin;
            return 1 + (_nanosecondsPerTick != 0
                ? timestamp * _nanosecondsPerTick
                : (long)((Int128)timestamp * 1_000_000_000 / provider.TimestampFrequency));
        }
    }

    /// <summary>Notes the time. The loop calls it before others see that it is awake, and setting a deadline calls it.</summary>
    public void Look(long now)
    {
        if (now > Volatile.Read(ref _looked)) Volatile.Write(ref _looked, now);
        if (now - Volatile.Read(ref _compared) < MaxComparisonAge) return;
        Volatile.Write(ref _compared, now);
        Compare();
    }

    /// <summary>The time <paramref name="span"/> from now. A span that is not above zero gives <see cref="PollDeadlines.Past"/>.</summary>
    public long After(TimeSpan span)
    {
        if (span <= TimeSpan.Zero) return PollDeadlines.Past;
        long now = Now;
        Look(now);
        const long Farthest = PollTimers.Never - 1;
        return span.Ticks < (Farthest - now) / TimeSpan.NanosecondsPerTick ? now + span.Ticks * TimeSpan.NanosecondsPerTick : Farthest;
    }

    /// <summary>A time of day by this clock. A time that is not ahead gives <see cref="PollDeadlines.Past"/>.</summary>
    public long At(DateTimeOffset time) => After(time - Compare());

    /// <summary>
    /// As <see cref="At"/>, for a deadline that is prolonged, by at most <paramref name="atMost"/> ns. False if the caller must take the
    /// slow path and set the deadline to <see cref="At"/>.
    /// </summary>
    /// <remarks>
    /// <paramref name="inSync"/> means that the loop is awake. We then read no clock and use the time of the last look, which may be stale.
    /// If the new deadline is less than 1 s ahead of that look, it may already be past, so we refuse. The deadline may also move by at most
    /// 1 s: it would move further if the time of day was stepped since, or if the machine was suspended.
    /// </remarks>
    public bool TryAt(DateTimeOffset time, bool inSync, out long when, out long atMost)
    {
        const long Century = 100 * 366 * TimeSpan.TicksPerDay;
        when = 0;
        atMost = inSync ? Second : long.MaxValue;
        long ticks = (time - _utcOrigin).Ticks;
        if (ticks is < 0 or > Century) return false;
        if (!inSync && time <= Compare()) return false;
        when = ticks * TimeSpan.NanosecondsPerTick - Volatile.Read(ref _utcOffset);
        return !inSync || when >= Volatile.Read(ref _looked) + Second;
    }

    private DateTimeOffset Compare()
    {
        DateTimeOffset time = provider.GetUtcNow();
        Volatile.Write(ref _utcOffset, (time - _utcOrigin).Ticks * TimeSpan.NanosecondsPerTick - Now);
        return time;
    }
}
