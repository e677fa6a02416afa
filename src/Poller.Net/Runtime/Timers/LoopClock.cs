namespace Poller.Net;

// The twin of runtimeNano in Go's internal/poll, and of the conversion in its setDeadlineImpl.
//
// Deadlines count by a monotonic clock, in ns. A user may name one by the time of day, which can be stepped. In Go the two travel together
// inside of a time.Time; a DateTimeOffset holds the time of day alone. So each loop keeps what the time of day is ahead of its own clock,
// and compares the two anew now and then. A deadline goes by the time of day as it was when the deadline was set.

/// <summary>The clock of one loop. Safe from any thread.</summary>
internal sealed class LoopClock(TimeProvider provider)
{
    // How old the comparison of the two clocks may be, in ns. Until it is made anew, a time of day that was stepped by less than Second
    // misplaces deadlines that are prolonged in sync, by as much as the step. A comparison takes about 70 ns, and ten a second are not seen
    // in any measurement. Half of it compares twice as often and gains nobody anything; twice of it lets that last twice as long.
    private const long Often = 100_000_000;

    // In sync, how far ahead of the last look a deadline has to be, and by how much it may move. In ns. With half of it, a handler that
    // held the loop up for half a second could set a deadline that is past already and not have it refused. With twice of it, deadlines of
    // one to two seconds, which are common, take the way of those that are set: a clock is read and a lock taken, about 90 ns and not 10.
    private const long Second = 1_000_000_000;

    // Constant. Where Now counts from, and what times of day are told from: in ns, of a clock that counts from the year 1, they would not
    // fit. Nanoseconds in one tick of the clock; 0 when that is not a whole number.
    private readonly long _origin = provider.GetTimestamp();
    private readonly DateTimeOffset _utcOrigin = provider.GetUtcNow();
    private readonly long _nanosecondsPerTick =
        1_000_000_000 % provider.TimestampFrequency == 0 ? 1_000_000_000 / provider.TimestampFrequency : 0;

    // Atomic, in ns. By how much the time of day, from its origin, is ahead of Now; when the two were compared; when anybody looked at the
    // clock last. Whoever reads them takes any of the last few values: each was right when it was written.
    private long _utcOffset;
    private long _compared;
    private long _looked;

    /// <summary>The time, in ns since the clock was made; above 0.</summary>
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

    /// <summary>Notes the time. The loop does so before it is awake to others, and so does whoever sets a deadline.</summary>
    public void Look(long now)
    {
        if (now > Volatile.Read(ref _looked)) Volatile.Write(ref _looked, now);
        if (now - Volatile.Read(ref _compared) < Often) return;
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
    /// A time of day by this clock, for a deadline that is prolonged to it by at most <paramref name="atMost"/> ns. False when the deadline
    /// is to be set instead, to <see cref="At"/>.
    /// </summary>
    /// <remarks>
    /// With <paramref name="inSync"/> the loop is awake, and no clock is read. The time is then the one of the last look, which may be
    /// stale. So a deadline is refused that is less than a second ahead of that look, as it may be past by now; and one that would move by
    /// more than a second, as it does when the time of day was stepped since, or when the machine was suspended.
    /// </remarks>
    public bool TryTell(DateTimeOffset time, bool inSync, out long when, out long atMost)
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
