using System.Net;

namespace Poller.Net;

// The twin of ListenUDP, DialUDP and ListenPacket in Go's net/udpsock.go and net/dial.go.
public sealed partial class NetStack
{
    /// <summary>
    /// Opens a UDP socket without a peer on one address. <see cref="IPAddress.IPv6Any"/> means every address of the machine, IPv4 and IPv6.
    /// A multicast address means every address too, and a port that other sockets may share; then join the group. With port 0 the system
    /// chooses the port.
    /// </summary>
    /// <exception cref="NetOpException">The system refused.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    public UdpConn ListenUdp(IPEndPoint local)
    {
        ArgumentNullException.ThrowIfNull(local);
        IPEndPoint copy = NetAddress.Copy(local);
        return new UdpConn(PacketFd.Listen(_poller, _networks["udp"], copy, dualStack: copy.Address.Equals(IPAddress.IPv6Any)));
    }

    /// <summary>
    /// Opens a UDP socket with a peer: an <see cref="IPEndPoint"/>, or a <see cref="DnsEndPoint"/>, whose name is looked up. It sends
    /// nothing, so it does not find out whether the peer is there.
    /// </summary>
    /// <inheritdoc cref="DialTcpAsync(EndPoint, CancellationToken)"/>
    public ValueTask<UdpConn> DialUdpAsync(EndPoint remote, CancellationToken cancellationToken = default) =>
        DialUdpAsync(remote, Mode(null, cancellationToken));

    /// <summary>The blocking form of <see cref="DialUdpAsync(EndPoint, CancellationToken)"/>.</summary>
    /// <inheritdoc cref="DialUdpAsync(EndPoint, CancellationToken)"/>
    public UdpConn DialUdp(EndPoint remote) => Blocking.Result(DialUdpAsync(remote, Mode(null)));

    /// <summary>
    /// Opens a socket of packets without a peer, on a network such as <c>udp</c> or <c>ip4:icmp</c>. An address means what it means for
    /// <see cref="Listen(string, string)"/>, and a multicast address what it means for <see cref="ListenUdp"/>.
    /// </summary>
    /// <exception cref="ArgumentException">The network is unknown, or its sockets carry no packets.</exception>
    /// <exception cref="FormatException">The address is not one of the network.</exception>
    /// <exception cref="NetOpException">The system refused, or the name is unknown. Raw sockets need the right CAP_NET_RAW.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    public IPacketConn ListenPacket(string network, string address)
    {
        SocketNetwork found = FindNetwork(network);
        if (!found.IsIpPacket)
        {
            throw new ArgumentException(
                $"network \"{network}\": one of udp, or one of raw sockets, like ip4:icmp, was expected.", nameof(network));
        }
        IPEndPoint local = NetAddress.Parse(found, address).ForListen(_names, out bool dualStack);
        return (PacketConn)PacketFd.Listen(_poller, found, local, dualStack).ToConn();
    }

    private async ValueTask<UdpConn> DialUdpAsync(EndPoint remote, DialMode mode)
    {
        ArgumentNullException.ThrowIfNull(remote);
        return remote switch
        {
            IPEndPoint ip => new UdpConn(PacketFd.Connect(_poller, _networks["udp"], null, NetAddress.Copy(ip))),
            DnsEndPoint name => (UdpConn)await DialPacketAsync(NetAddress.Of(FindNetwork("udp", name.AddressFamily), name), mode)
                .ConfigureAwait(false),
            _ => throw new ArgumentException($"{remote}: an IPEndPoint or a DnsEndPoint was expected.", nameof(remote)),
        };
    }

    // Takes the first address of a name that the system takes. If it takes none, throws the first one's error.
    private async ValueTask<PacketConn> DialPacketAsync(NetAddress address, DialMode mode)
    {
        mode.Token.ThrowIfCancellationRequested();
        NetOpException? first = null;
        foreach (IPEndPoint remote in await address.ForDialAsync(_names, mode).ConfigureAwait(false))
        {
            try
            {
                return (PacketConn)PacketFd.Connect(_poller, address.Network, null, remote).ToConn();
            }
            catch (NetOpException e)
            {
                first ??= e;
            }
        }
        throw first!;
    }
}
