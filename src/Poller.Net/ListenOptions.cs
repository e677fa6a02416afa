namespace Poller.Net;

/// <summary>
/// The options of a listener: the twin of Go's <c>net.ListenConfig</c>. The defaults are Go's, except that Multipath TCP is off. Those that
/// a network does not have, such as <see cref="KeepAlive"/> outside of TCP, have no effect there.
/// </summary>
public sealed record ListenOptions
{
    internal static readonly ListenOptions Default = new();

    /// <summary>Sees the descriptor before it is bound. The default is null.</summary>
    public SocketControl? Control { get; init; }

    /// <summary>
    /// How many connections may wait to be accepted (listen(2)). The default, null, is the most that the system allows; it cuts a larger
    /// number down to that.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is below 1.</exception>
    public int? Backlog
    {
        get;
        init => field = value is null or > 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "Backlog: a number above 0 was expected.");
    }

    /// <summary>The keep-alive of accepted connections.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public KeepAliveConfig KeepAlive { get; init => field = value ?? throw new ArgumentNullException(nameof(value)); } = new();

    /// <summary>
    /// Whether several sockets may listen on one address if each of them sets this (SO_REUSEPORT, socket(7)). On Linux and FreeBSD the
    /// system then spreads the connections over them. The default is false: a listener sets SO_REUSEADDR alone.
    /// </summary>
    public bool ReusePort { get; init; }

    /// <summary>
    /// How many accepted connections may be open at once. Further ones wait in the backlog, and an accept waits, until one is closed. The
    /// default, null, sets no limit. A connection counts until its descriptor is closed or detached.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is below 1.</exception>
    public int? MaxConnections
    {
        get;
        init => field = value is null or > 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "MaxConnections: a number above 0 was expected.");
    }

    /// <summary>
    /// How long nothing may happen on an accepted connection, up to 24 days. The default, null, sets no limit. After that time, or at most
    /// an eighth of it later, the connection is over: the operations that wait fail with <see cref="NetOpException.IsTimeout"/>, and later
    /// ones do too, whatever deadlines you set. Dispose it then.
    /// </summary>
    /// <remarks>
    /// The time begins again when a read, a write or another wait completes, and when bytes come or go meanwhile. It passes also while you
    /// have no operation under way.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">The time is not above zero, or is too long.</exception>
    public TimeSpan? IdleTimeout
    {
        get;
        init => field = value is null || (value > TimeSpan.Zero && value <= TimeSpan.FromMilliseconds(int.MaxValue))
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "IdleTimeout: a time above 0, up to 24 days, was expected.");
    }

    /// <summary>
    /// Whether a TCP listener takes Multipath TCP too (RFC 8684, Linux). If the system has none, it takes TCP. The default is false.
    /// </summary>
    public bool MultipathTcp { get; init; }

    /// <summary>
    /// Whether a listener on <c>[::]</c> takes IPv4 too (IPV6_V6ONLY, ipv6(7)). The default, null, means that it does, unless the network
    /// is of one family. Other addresses are of one family anyway.
    /// </summary>
    public bool? DualStack { get; init; }
}
