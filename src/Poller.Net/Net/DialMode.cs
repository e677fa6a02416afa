namespace Poller.Net;

/// <summary>
/// How a dial waits, and for how long in all; with a null time-out the system decides. The time runs from the creation of this value, by
/// the monotonic clock of <paramref name="clock"/>.
/// </summary>
internal readonly struct DialMode(bool blocking, TimeSpan? timeout, TimeProvider clock, CancellationToken token)
{
    // Go's saneMinimum. A try with less time is not worth it.
    private static readonly TimeSpan MinShare = TimeSpan.FromSeconds(2);

    private readonly long _start = clock.GetTimestamp();

    public bool Blocking => blocking;

    /// <summary>The time-out of the whole dial.</summary>
    public TimeSpan? Timeout => timeout;

    public TimeProvider Clock => clock;

    public CancellationToken Token => token;

    /// <summary>The time that is left; zero if the time-out has passed, null if there is none.</summary>
    public TimeSpan? Left
    {
        get
        {
            if (timeout is not { } span) return null;
            TimeSpan left = span - clock.GetElapsedTime(_start);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>
    /// How long the next address may take if <paramref name="addresses"/> have not been tried yet: an equal share of the time left, but at
    /// least two seconds, and never more than is left. The twin of partialDeadline in Go's net/dial.go.
    /// </summary>
    public TimeSpan? Share(int addresses)
    {
        if (Left is not { } left) return null;
        TimeSpan share = left / addresses;
        return share > MinShare ? share : left < MinShare ? left : MinShare;
    }
}
