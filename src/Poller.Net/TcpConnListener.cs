using System.Net;

namespace Poller.Net;

/// <summary>A TCP listener: the twin of Go's <c>net.TCPListener</c>.</summary>
public sealed class TcpConnListener : ConnListener
{
    // Kept here, so that it is known after the close too. LocalEndPoint returns copies.
    private readonly IPEndPoint _local;

    internal TcpConnListener(NetListenFd fd) : base(fd) => _local = (IPEndPoint)fd.LocalEndPoint;

    /// <summary>
    /// The address it listens on, with the port that the system chose if port 0 was asked for. It stays known after the close. Each call
    /// returns a copy, which the caller may change.
    /// </summary>
    public override IPEndPoint LocalEndPoint => EndPoints.Copy(_local);

    /// <summary>As <see cref="ConnListener.AcceptAsync"/>, with the connection's own type.</summary>
    public ValueTask<TcpConn> AcceptTcpAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<TcpConn>(op, op.Version);
    }

    /// <summary>The blocking form of <see cref="AcceptTcpAsync"/>.</summary>
    public TcpConn AcceptTcp() => new(_fd.Accept());
}
