namespace Poller.Net;

// Who is at the other end of a Unix socket.
internal partial interface ISocketApi
{
    /// <summary>
    /// Who connected or listened at the other end, as the system noted it then: SO_PEERCRED (unix(7)), or getpeereid(3), which does not
    /// tell the process.
    /// </summary>
    IoResult PeerCredentials(nint fd, out PeerCredentials credentials);
}
