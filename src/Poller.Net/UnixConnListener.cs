using System.Net.Sockets;

namespace Poller.Net;

/// <summary>A listener on a Unix socket: the twin of Go's <c>net.UnixListener</c>.</summary>
public sealed class UnixConnListener : ConnListener
{
    internal UnixConnListener(NetListenFd fd) : base(fd) => LocalEndPoint = (UnixDomainSocketEndPoint)fd.LocalEndPoint;

    /// <summary>
    /// The path that it listens on, as it was given, or the abstract name, which the system may have chosen. It stays known after the
    /// close.
    /// </summary>
    public override UnixDomainSocketEndPoint LocalEndPoint { get; }

    /// <summary>
    /// Whether the close removes the file at the path: true unless you set it. It removes the file that the listener made, and no other: if
    /// somebody has put another file there since, that stays. A process that ends without the close leaves the file.
    /// </summary>
    public bool UnlinkOnClose { get => _fd.UnlinksOnClose; set => _fd.UnlinksOnClose = value; }

    /// <summary>As <see cref="ConnListener.AcceptAsync"/>, with the connection's own type.</summary>
    public ValueTask<UnixConn> AcceptUnixAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<UnixConn>(op, op.Version);
    }

    /// <summary>The blocking form of <see cref="AcceptUnixAsync"/>.</summary>
    public UnixConn AcceptUnix() => (UnixConn)Accept();
}
