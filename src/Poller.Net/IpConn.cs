namespace Poller.Net;

/// <summary>
/// A raw socket of one protocol over IP, such as ICMP: the twin of Go's <c>net.IPConn</c>. See <see cref="IpPacketConn"/>. A port is always
/// 0 here.
/// </summary>
/// <remarks>
/// IPv4: what <c>ReceiveFrom</c> returns begins after the IP header, as in Go. The buffer must have room for the header too, at most 60
/// bytes. <c>Read</c> and <see cref="IpPacketConn.ReceiveMessageAsync"/> return the header as well. IPv6 packets come without a header
/// (RFC 3542).
/// </remarks>
public sealed class IpConn : IpPacketConn
{
    internal IpConn(PacketFd fd) : base(fd) { }
}
