namespace Poller.Net;

// What the system knows of a connection beside its addresses.
internal partial interface ISocketApi
{
    /// <summary>
    /// Who connected or listened at the other end, as the system noted it then: SO_PEERCRED (unix(7)), or getpeereid(3), which does not
    /// tell the process.
    /// </summary>
    IoResult PeerCredentials(nint fd, out PeerCredentials credentials);

    /// <summary>
    /// TCP_INFO (tcp(7)) as Linux lays it out. Returns the length of what it wrote, in bytes. The error is ENOPROTOOPT on other systems.
    /// </summary>
    IoResult TcpInfo(nint fd, Span<byte> info);
}
