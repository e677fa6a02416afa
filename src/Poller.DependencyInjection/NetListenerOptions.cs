using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>The options of a listener that <c>AddNetListener</c> adds.</summary>
/// <remarks>They are read once, when the host starts. A later change has no effect.</remarks>
public sealed class NetListenerOptions
{
    private string? _name;

    /// <summary>
    /// The listener's name in the log. The default is its network and address, such as <c>tcp :8888</c>. If a service manager such as
    /// systemd has handed over sockets of this name (<c>FileDescriptorName=</c>, systemd.socket(5)), the listener takes those, and
    /// <see cref="Network"/> and <see cref="Address"/> have no effect.
    /// </summary>
    public string Name { get => _name ?? $"{Network} {Address}"; set => _name = value; }

    /// <summary>The network: <c>tcp</c>, <c>tcp4</c>, <c>tcp6</c>, <c>unix</c> or <c>unixpacket</c>.</summary>
    public string Network { get; set; } = "tcp";

    /// <summary>
    /// The address, as <see cref="NetStack.Listen"/> takes it, such as <c>:8888</c>. With port 0 the system chooses the port, and
    /// <see cref="NetListenerService.LocalEndPoints"/> tells it.
    /// </summary>
    public string Address { get; set; } = "";

    /// <summary>
    /// The options of the listening socket, such as the largest number of open connections and the idle time-out. With
    /// <see cref="ListenOptions.ReusePort"/> on TCP, there is a listener for each loop of the poller, and the other options hold for each
    /// one.
    /// </summary>
    public ListenOptions Listen { get; set; } = new();

    /// <summary>The key of the poller that it listens with, as in <c>AddKeyedPoller</c>. Null means the one without a key.</summary>
    public object? PollerKey { get; set; }

    /// <summary>Whether the name was set, and so may be that of a service manager's socket.</summary>
    internal bool HasName => _name is not null;
}
