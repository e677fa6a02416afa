using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of Go's net/unixsock_posix.go. The parts:
//
//   UnixFd.cs          what it is, its file, its peer's credentials
//   UnixFd.Handles.cs  messages with descriptors or other control data
//   UnixFd.SendTo.cs   datagrams to any address

/// <summary>The descriptor of a <see cref="UnixConn"/>.</summary>
internal sealed partial class UnixFd : PacketFd
{
    // Constant once the socket is its user's. The file that bind(2) made; null for a name, and for a socket that was not bound.
    private BoundPath? _file;

    // Atomic.
    private bool _leavesFile;

    public UnixFd(SocketNetwork network, nint fd, EndPoint? remote = null, BoundPath? file = null)
        : base(network, fd, AddressFamily.Unix, isDualStack: false, remote) => _file = file;

    /// <summary>Whether the close removes the file that the socket made.</summary>
    public bool UnlinksOnClose { get => !Volatile.Read(ref _leavesFile); set => Volatile.Write(ref _leavesFile, !value); }

    /// <summary>Notes that a new socket was bound.</summary>
    public void NoteBound(EndPoint local, Netpoller poller) => _file = BoundPath.Of((UnixDomainSocketEndPoint)local, poller);

    public PeerCredentials GetPeerCredentials()
    {
        const string Operation = "get PeerCredentials";
        using Reference held = Hold(Operation);
        IoResult result = Api.PeerCredentials(Fd, out PeerCredentials credentials);
        if (result.IsSuccess) return credentials;
        string? hint = result == Errno.ENOTCONN ? "a connection was expected; only unix and unixpacket have them" : null;
        throw Refused(Operation, result.Errno, hint);
    }

    protected override string ObjectName => nameof(UnixConn);

    public override Conn ToConn() => new UnixConn(this);

    protected override string? HintFor(string operation, IoResult result) =>
        result == Errno.ENOTCONN
            ? operation is "write" or SendName or SendMessageName ? "the socket has no peer; an address was expected" : null
        : operation is SendName or SendMessageName && result == Errno.ETOOMANYREFS
            ? "fewer descriptors were expected in messages that nobody has received yet: as many as the process may have open"
        : operation is "dial" or SendToName or SendMessageName ? HintForReaching(result)
        : base.HintFor(operation, result);

    protected override void Destroy()
    {
        _pause?.Remove();
        if (TryClose() && UnlinksOnClose) _file?.Unlink();
        base.Destroy();
    }

    private static string? HintForReaching(IoResult result) =>
        result == Errno.ENOENT ? "a socket at this path was expected; there is none"
        : result == Errno.ECONNREFUSED ? "nobody listens there; a file may be what a listener has left behind"
        : result == Errno.EPROTOTYPE ? "the socket there is of another kind; the same network on both sides was expected"
        : result == Errno.EACCES ? "the right to write to the socket, and to search its directories, was expected"
        : null;
}
