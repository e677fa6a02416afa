using System.Net;

namespace Poller.Net;

// The twin of ListenUDP, DialUDP and ListenPacket in Go's net/udpsock.go and net/dial.go.
public sealed partial class NetStack
{
    /// <summary>
    /// Opens a UDP socket without a peer on one address. <see cref="IPAddress.IPv6Any"/> means every address of the machine, IPv4 and IPv6,
    /// unless <see cref="ListenOptions.DualStack"/> is false. A multicast address means every address too, and a port that other sockets
    /// may share; then join the group. With port 0 the system chooses the port.
    /// </summary>
    /// <param name="local">The address. It is copied.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <exception cref="NetOpException">The system refused, or the control hook threw.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public UdpConn ListenUdp(IPEndPoint local, ListenOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(local);
        SocketNetwork udp = _networks["udp"];
        return new UdpConn(PacketFd.Listen(Poller, udp, EndPoints.Copy(local), Checked(options, udp)));
    }

    /// <summary>
    /// Opens a UDP socket with a peer: an <see cref="IPEndPoint"/>, or a <see cref="DnsEndPoint"/>, whose name is looked up. It sends
    /// nothing, so it does not find out whether the peer is there.
    /// </summary>
    /// <inheritdoc cref="DialTcpAsync"/>
    public ValueTask<UdpConn> DialUdpAsync(EndPoint remote, CancellationToken cancellationToken = default) =>
        _dialer.DialUdpAsync(remote, cancellationToken);

    /// <summary>The blocking form of <see cref="DialUdpAsync(EndPoint, CancellationToken)"/>.</summary>
    /// <inheritdoc cref="DialUdpAsync(EndPoint, CancellationToken)"/>
    public UdpConn DialUdp(EndPoint remote) => _dialer.DialUdp(remote);

    /// <summary>
    /// Opens a socket of packets without a peer, on a network such as <c>udp</c> or <c>ip4:icmp</c>. An address means what it means for
    /// <see cref="Listen"/>, and a multicast address what it means for <see cref="ListenUdp"/>.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="address">The address.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <exception cref="ArgumentException">
    /// The network is unknown, its sockets carry no packets, or its one family contradicts <see cref="ListenOptions.DualStack"/>.
    /// </exception>
    /// <exception cref="FormatException">The address is not one of the network.</exception>
    /// <exception cref="NetOpException">
    /// The system refused, the name is unknown, or the control hook threw. Raw sockets need the right CAP_NET_RAW.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public IPacketConn ListenPacket(string network, string address, ListenOptions? options = null)
    {
        SocketNetwork found = FindNetwork(network);
        if (found.IsUnix && !found.HasConnections) return ListenUnixgram(found, UnixAddress.ParseLocal(address), options);
        if (!found.IsIpPacket)
        {
            const string Expected = "one of udp, unixgram, or one of raw sockets, like ip4:icmp, was expected";
            throw new ArgumentException($"network \"{network}\": {Expected}.", nameof(network));
        }
        IPEndPoint local = NetAddress.Parse(found, address).ForListen(Names);
        return (IpPacketConn)PacketFd.Listen(Poller, found, local, Checked(options, found)).ToConn();
    }
}
