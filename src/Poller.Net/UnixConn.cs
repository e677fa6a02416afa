using System.Net.Sockets;

namespace Poller.Net;

/// <summary>A connection over a Unix socket, or a Unix socket of datagrams: the twin of Go's <c>net.UnixConn</c>.</summary>
/// <remarks>
/// <para>There are three networks:</para>
/// <list type="bullet">
/// <item><c>unix</c> is a stream of bytes without borders, as TCP is.</item>
/// <item>
/// <c>unixpacket</c> is a connection of messages: a read takes one message, or its beginning if the buffer is shorter, and a write sends
/// one. A read of a message of 0 bytes returns 0, as the end does.
/// </item>
/// <item><c>unixgram</c> is a socket of datagrams. It has no end: a read waits, also if nobody is left who could send.</item>
/// </list>
/// <para>
/// A socket without a name has an end point whose text is empty. That of an abstract name begins with <c>@</c>.
/// </para>
/// </remarks>
public sealed class UnixConn : Conn
{
    internal UnixConn(UnixFd fd) : base(fd) { }

    /// <inheritdoc/>
    public override UnixDomainSocketEndPoint LocalEndPoint => (UnixDomainSocketEndPoint)_fd.LocalEndPoint;

    /// <inheritdoc/>
    public override UnixDomainSocketEndPoint RemoteEndPoint => (UnixDomainSocketEndPoint)_fd.RemoteEndPoint;

    /// <summary>
    /// The process at the other end. The system noted it when the connection was made: for an accepted connection the one that dialed, for
    /// a dialed one the one that listened (SO_PEERCRED, unix(7); getpeereid(3) on macOS and the BSDs).
    /// </summary>
    /// <exception cref="NetOpException">It is a socket of datagrams, which has no connection.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public PeerCredentials PeerCredentials => Fd.PeerCredentials;

    private UnixFd Fd => (UnixFd)_fd;
}
