namespace Poller.Net;

// The calls of Unix sockets.
internal partial interface ISocketApi
{
    /// <summary>
    /// Who connected or listened at the other end, as the system noted it then: SO_PEERCRED (unix(7)), or getpeereid(3), which does not
    /// tell the process.
    /// </summary>
    IoResult PeerCredentials(nint fd, out PeerCredentials credentials);

    /// <summary>SOL_SOCKET: the level of control data that belongs to no protocol.</summary>
    int SocketLevel { get; }
}
