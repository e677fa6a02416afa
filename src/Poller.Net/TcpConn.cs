namespace Poller.Net;

/// <summary>A TCP connection: the twin of Go's <c>net.TCPConn</c>. TCP_NODELAY and keep-alive (15 s, 15 s, 9 probes) are on, as in Go.</summary>
public sealed class TcpConn : Conn
{
    internal TcpConn(NetFd fd) : base(fd) { }
}
