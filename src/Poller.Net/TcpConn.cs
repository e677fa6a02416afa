using System.Net;
using System.Net.Sockets;

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
    public override IPEndPoint LocalEndPoint => _fd.LocalEndPoint;

    /// <inheritdoc/>
    /// <remarks>Each call returns a copy, which the caller may change.</remarks>
    public override IPEndPoint RemoteEndPoint => _fd.RemoteEndPoint;

    /// <inheritdoc/>
    public override bool NoDelay
    {
        get => _fd.GetOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, "get NoDelay") != 0;
        set => _fd.SetOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, value ? 1 : 0, "set NoDelay");
    }

    /// <inheritdoc/>
    public override LingerOption LingerState
    {
        get
        {
            int seconds = _fd.GetOption(SocketOptionLevel.Socket, SocketOptionName.Linger, "get LingerState");
            return new LingerOption(seconds >= 0, Math.Max(seconds, 0));
        }

        set
        {
            ArgumentNullException.ThrowIfNull(value);
            (bool on, int seconds) = (value.Enabled, value.LingerTime);
            if (on && seconds is < 0 or > ushort.MaxValue)
            {
                throw new ArgumentOutOfRangeException(nameof(value), seconds, "a linger time of 0 to 65535 seconds was expected.");
            }
            if (on && seconds > 0) _fd.MayLinger = true;
            _fd.SetOption(SocketOptionLevel.Socket, SocketOptionName.Linger, on ? seconds : -1, "set LingerState");
        }
    }
}
