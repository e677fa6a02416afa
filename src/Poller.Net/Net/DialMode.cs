namespace Poller.Net;

/// <summary>
/// How a dial waits, and for how long in all: null is as long as the system lets it. The time runs from here, by the monotonic clock of
/// <paramref name="clock"/>.
/// </summary>
internal readonly struct DialMode(bool blocking, TimeSpan? timeout, TimeProvider clock, CancellationToken token)
{
    // Go's saneMinimum: less is not worth the try.
    private static readonly TimeSpan MinShare = TimeSpan.FromSeconds(2);

    private readonly long _start = clock.GetTimestamp();

    public bool Blocking => blocking;

    public TimeProvider Clock => clock;

    public CancellationToken Token => token;

    /// <summary>What is left of the time-out; zero when it has passed.</summary>
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
    /// How long one address may take where <paramref name="addresses"/> are yet to be tried: an equal share, two seconds at the least, and
    /// never more than is left. The twin of partialDeadline in Go's net/dial.go.
    /// </summary>
    public TimeSpan? Share(int addresses)
    {
        if (Left is not { } left) return null;
        TimeSpan share = left / addresses;
        return share > MinShare ? share : left < MinShare ? left : MinShare;
    }
}
