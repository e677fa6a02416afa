namespace Poller.Net;

/// <summary>What a probe has found out about one loop: <see cref="Netpoller.ProbeAsync"/>.</summary>
public readonly record struct LoopProbe
{
    /// <summary>The loop's number, from 0 up, as in the metrics' tag <c>poller.loop</c>.</summary>
    public int Loop { get; init; }

    /// <summary>Whether the loop has run the probe. False also if it has ended.</summary>
    public bool Responded { get; init; }

    /// <summary>
    /// How long the loop took to respond. If it has not responded yet, how long it has taken so far: an earlier probe that is still under
    /// way may have begun the time.
    /// </summary>
    public TimeSpan Elapsed { get; init; }

    /// <summary>The exception of its backend that ended the loop; null if none did.</summary>
    public Exception? Failure { get; init; }
}
