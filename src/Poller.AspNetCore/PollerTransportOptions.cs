using Poller.Net;

namespace Poller.AspNetCore;

/// <summary>
/// The options of the transport. The defaults are those of ASP.NET Core's own sockets transport. Where work runs is the poller's own
/// option: <see cref="DependencyInjection.PollerOptions.Dispatch"/>.
/// </summary>
/// <remarks>The transport reads them when it binds or connects. A later change has no effect on what is open.</remarks>
public sealed class PollerTransportOptions
{
    /// <summary>
    /// How the transport listens: the backlog, which is 512 by default, keep-alive, limits, and a hook that sees each listener's socket
    /// before it is bound (<see cref="ListenOptions.Control"/>).
    /// </summary>
    /// <remarks>
    /// On <c>[::]</c> a listener takes IPv4 too, unless you set <see cref="ListenOptions.DualStack"/> to false. A listener of a
    /// <c>FileHandleEndPoint</c> is bound already. For it only <see cref="ListenOptions.KeepAlive"/>,
    /// <see cref="ListenOptions.MaxConnections"/> and <see cref="ListenOptions.IdleTimeout"/> count.
    /// </remarks>
    public ListenOptions Listen { get; set => field = value ?? throw new ArgumentNullException(nameof(value)); } = new() { Backlog = 512 };

    /// <summary>Whether the system sends small writes at once (TCP_NODELAY, tcp(7)). The default is true.</summary>
    public bool NoDelay { get; set; } = true;

    /// <summary>
    /// How many bytes the transport reads before the app takes them. Beyond it the transport stops reading until the app has taken half of
    /// them. The default is 1 MiB. Null or 0 sets no limit.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is below 0.</exception>
    public long? MaxReadBufferSize { get; set => field = NotNegative(value, nameof(MaxReadBufferSize)); } = 1024 * 1024;

    /// <summary>
    /// How many flushed bytes may wait to be sent. Beyond it a flush completes only once at most half of that is left. The default is
    /// 64 KiB. Null or 0 sets no limit.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is below 0.</exception>
    public long? MaxWriteBufferSize { get; set => field = NotNegative(value, nameof(MaxWriteBufferSize)); } = 64 * 1024;

    private static long? NotNegative(long? value, string name) =>
        value is null or >= 0 ? value : throw new ArgumentOutOfRangeException(name, value, "0 or more bytes, or null, were expected.");
}
