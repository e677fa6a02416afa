namespace Poller.Net;

/// <summary>
/// How a dial waits, and for how long in all; with a null time-out the system decides. The time runs from the creation of the first of
/// these values, by the monotonic clock of <see cref="Clock"/>.
/// </summary>
internal readonly struct DialMode
{
    /// <summary>The longest time that a wait for a task may have: 24 days.</summary>
    public static readonly TimeSpan MaxWait = TimeSpan.FromMilliseconds(int.MaxValue);

    // Go's saneMinimum. A try with less time is not worth it.
    private static readonly TimeSpan MinShare = TimeSpan.FromSeconds(2);

    private readonly long _start;

    public DialMode(bool blocking, TimeSpan? timeout, TimeProvider clock, CancellationToken token)
        : this(blocking, timeout, clock, clock.GetTimestamp(), token) { }

    private DialMode(bool blocking, TimeSpan? timeout, TimeProvider clock, long start, CancellationToken token)
    {
        Blocking = blocking;
        Timeout = timeout;
        Clock = clock;
        Token = token;
        _start = start;
    }

    public bool Blocking { get; }

    /// <summary>The time-out of the whole dial.</summary>
    public TimeSpan? Timeout { get; }

    public TimeProvider Clock { get; }

    public CancellationToken Token { get; }

    /// <summary>The time that is left; zero if the time-out has passed, null if there is none.</summary>
    public TimeSpan? Left
    {
        get
        {
            if (Timeout is not { } span) return null;
            TimeSpan left = span - Clock.GetElapsedTime(_start);
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

    /// <summary>The same dial, which waits by awaiting, and ends by another token.</summary>
    public DialMode Async(CancellationToken token) => new(blocking: false, Timeout, Clock, _start, token);
}
