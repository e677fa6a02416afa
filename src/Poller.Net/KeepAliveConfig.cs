namespace Poller.Net;

/// <summary>
/// How the system finds out that the peer of a silent TCP connection is gone: it sends probes (tcp(7)). The twin of Go's
/// <c>net.KeepAliveConfig</c>, with its defaults.
/// </summary>
/// <remarks>
/// Times are rounded up to whole seconds. A null that is set leaves what the socket has, which is the system's on a new one. Null is read
/// where the system has none for a socket, and for a time that is too long for this type. On OpenBSD, sockets have no times of their own:
/// dials and listeners use the system's there, and a connection refuses to set them.
/// </remarks>
public sealed record KeepAliveConfig
{
    // include/net/tcp.h of Linux: MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL, and MAX_TCP_KEEPCNT.
    internal const int MaxSeconds = 32_767;
    private const int MaxCount = 127;

    /// <summary>No probes.</summary>
    public static KeepAliveConfig Off { get; } = new() { Enable = false };

    /// <summary>Whether the system sends probes. The default is true.</summary>
    public bool Enable { get; init; } = true;

    /// <summary>
    /// How long the connection is silent before the first probe, up to 32,767 s. The default is 15 s; null leaves it.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The time is not above zero, or is too long.</exception>
    public TimeSpan? Idle { get; init => field = Check(value, nameof(Idle)); } = TimeSpan.FromSeconds(15);

    /// <summary>The time between two probes, up to 32,767 s. The default is 15 s; null leaves it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The time is not above zero, or is too long.</exception>
    public TimeSpan? Interval { get; init => field = Check(value, nameof(Interval)); } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// After how many probes without an answer the connection ends, 1 to 127. The default is 9; null leaves it.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is out of range.</exception>
    public int? Count
    {
        get;
        init => field = value is null or (>= 1 and <= MaxCount)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"Count: 1 to {MaxCount} was expected.");
    } = 9;

    internal static KeepAliveConfig Default { get; } = new();

    internal int? IdleSeconds => Seconds(Idle);

    internal int? IntervalSeconds => Seconds(Interval);

    private static int? Seconds(TimeSpan? time) => time is { } span ? (int)((span.Ticks - 1) / TimeSpan.TicksPerSecond + 1) : null;

    private static TimeSpan? Check(TimeSpan? value, string name) =>
        value is null || (value > TimeSpan.Zero && value <= TimeSpan.FromSeconds(MaxSeconds))
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"{name}: a time above 0, up to {MaxSeconds} s, was expected.");
}
