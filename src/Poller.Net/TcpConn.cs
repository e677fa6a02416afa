using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// A TCP connection: the twin of Go's <c>net.TCPConn</c>. TCP_NODELAY and keep-alive (15 s, 15 s, 9 probes) are on, as in Go.
/// </summary>
public sealed class TcpConn : Conn
{
    internal TcpConn(NetFd fd) : base(fd) { }

    /// <inheritdoc/>
    /// <remarks>A copy, which its receiver may change.</remarks>
    public override IPEndPoint LocalEndPoint => _fd.LocalEndPoint;

    /// <inheritdoc/>
    /// <remarks>A copy, which its receiver may change.</remarks>
    public override IPEndPoint RemoteEndPoint => _fd.RemoteEndPoint;

    /// <summary>Sets whether small writes are sent at once (TCP_NODELAY, tcp(7)), as they are by default, or gathered first.</summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public void SetNoDelay(bool noDelay) => _fd.SetOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, noDelay ? 1 : 0, "set no delay");

    /// <summary>
    /// What a close does with bytes that are not yet sent or acknowledged (SO_LINGER, socket(7)): null sends them in the background, which
    /// is the default; 0 throws them away and resets the connection; above 0 they are thrown away after so many seconds, and the connection
    /// is reset. A close returns at once in any case: the poller waits for the peer's acknowledgement, and no thread does. Bytes that the
    /// peer sends meanwhile are thrown away. When the poller is disposed or fails meanwhile, the system sends the rest in the background.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Below 0, or above 65535.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public void SetLinger(int? seconds)
    {
        if (seconds is < 0 or > ushort.MaxValue)
        {
            throw new ArgumentOutOfRangeException(nameof(seconds), seconds, "null, or 0 to 65535 seconds, was expected.");
        }
        _fd.SetOption(SocketOptionLevel.Socket, SocketOptionName.Linger, seconds ?? -1, "set linger");
        _fd.Linger = seconds ?? 0;
    }
}
