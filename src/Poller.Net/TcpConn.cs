using System.Net;

namespace Poller.Net;

/// <summary>
/// A TCP connection: the twin of Go's <c>net.TCPConn</c>. As in Go, TCP_NODELAY and keep-alive are on; a probe goes out after 15 s of
/// silence and then every 15 s, and after 9 probes without an answer the connection ends.
/// </summary>
public sealed class TcpConn : Conn
{
    internal TcpConn(NetFd fd) : base(fd) { }

    /// <inheritdoc/>
    /// <remarks>Each call returns a copy, which the caller may change.</remarks>
    public override IPEndPoint LocalEndPoint => (IPEndPoint)_fd.LocalEndPoint;

    /// <inheritdoc/>
    /// <remarks>Each call returns a copy, which the caller may change.</remarks>
    public override IPEndPoint RemoteEndPoint => (IPEndPoint)_fd.RemoteEndPoint;
}
