using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// A socket of packets over IP: what <see cref="UdpConn"/> and <see cref="IpConn"/> share. It has one peer (a dial) or none (a listen).
/// </summary>
/// <remarks>
/// <para>
/// Each call moves one packet. A packet of 0 bytes is one too: <c>Write</c> of an empty buffer sends it, and a read that returns 0 has
/// received it. A read with a buffer that is too short drops the rest of the packet and does not say so, as in Go;
/// <see cref="ReceiveMessageAsync"/> does. A read into an empty buffer waits for a packet and leaves it; a receive into an empty buffer
/// takes it.
/// </para>
/// <para>
/// With a peer, <c>Write</c> sends to it, and reads and receives see only what it sends; <c>SendTo</c> is refused. If nobody has the peer's
/// port, a later read or write fails with <see cref="SocketError.ConnectionRefused"/>; the socket stays usable. Without a peer,
/// <see cref="Conn.RemoteEndPoint"/> and <c>Write</c> are refused.
/// </para>
/// <para>
/// Addresses: on a dual-stack socket you see an IPv4 peer by its plain IPv4 address, and send to such addresses.
/// </para>
/// <para>Packets have no end, so <see cref="Conn.CloseRead"/> and <see cref="Conn.CloseWrite"/> are refused.</para>
/// </remarks>
public abstract class IpPacketConn : Conn, IPacketConn
{
    private protected IpPacketConn(PacketFd fd) : base(fd) { }

    /// <inheritdoc/>
    /// <remarks>Each call returns a copy, which the caller may change.</remarks>
    public override IPEndPoint LocalEndPoint => (IPEndPoint)_fd.LocalEndPoint;

    /// <summary>The peer's address.</summary>
    /// <remarks>Each call returns a copy, which the caller may change.</remarks>
    /// <exception cref="ObjectDisposedException">The socket was closed, and has no peer.</exception>
    /// <exception cref="NetOpException">The socket has no peer: <see cref="SocketError.NotConnected"/>.</exception>
    public override IPEndPoint RemoteEndPoint => (IPEndPoint)_fd.RemoteEndPoint;

    /// <summary>The hops that a packet to one machine may take: 1 to 255 (IP_TTL of ip(7), IPV6_UNICAST_HOPS of ipv6(7)).</summary>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public int Ttl
    {
        get => Packets.GetIpOption(SocketOptionName.IpTimeToLive, SocketOptionName.HopLimit, "get Ttl");
        set => Packets.SetIpOption(SocketOptionName.IpTimeToLive, SocketOptionName.HopLimit, value, "set Ttl");
    }

    /// <summary>
    /// The service class of packets: 0 to 255 (IP_TOS of ip(7), IPV6_TCLASS of ipv6(7)). The upper six bits are the DSCP of RFC 2474.
    /// </summary>
    /// <inheritdoc cref="Ttl"/>
    public int TypeOfService
    {
        get => Packets.GetIpOption(SocketOptionName.TypeOfService, SocketOptionName.TypeOfService, "get TypeOfService");
        set => Packets.SetIpOption(SocketOptionName.TypeOfService, SocketOptionName.TypeOfService, value, "set TypeOfService");
    }

    /// <summary>
    /// Whether packets may go to a broadcast address (SO_BROADCAST of socket(7)). On a new socket they may, as in Go; an adopted one has
    /// what it had.
    /// </summary>
    /// <inheritdoc cref="Ttl"/>
    public bool EnableBroadcast
    {
        get => _fd.GetOption(SocketOptionLevel.Socket, SocketOptionName.Broadcast, "get EnableBroadcast") != 0;
        set => _fd.SetOption(SocketOptionLevel.Socket, SocketOptionName.Broadcast, value ? 1 : 0, "set EnableBroadcast");
    }

    /// <summary>The hops that a packet to a multicast group may take; 1, the default, keeps it in the local network.</summary>
    /// <inheritdoc cref="Ttl"/>
    public int MulticastTtl
    {
        get => Packets.GetIpOption(SocketOptionName.MulticastTimeToLive, SocketOptionName.MulticastTimeToLive, "get MulticastTtl");
        set => Packets.SetIpOption(SocketOptionName.MulticastTimeToLive, SocketOptionName.MulticastTimeToLive, value, "set MulticastTtl");
    }

    /// <summary>Whether sockets of this machine receive what this one sends to their groups; true by default.</summary>
    /// <inheritdoc cref="Ttl"/>
    public bool MulticastLoopback
    {
        get => Packets.GetIpOption(SocketOptionName.MulticastLoopback, SocketOptionName.MulticastLoopback, "get MulticastLoopback") != 0;
        set => Packets.SetIpOption(
            SocketOptionName.MulticastLoopback, SocketOptionName.MulticastLoopback, value ? 1 : 0, "set MulticastLoopback");
    }

    /// <summary>
    /// Whether each message brings its destination address and its interface as control data (IP_PKTINFO of ip(7), IPV6_RECVPKTINFO of
    /// ipv6(7)); <see cref="PacketInfo.TryRead"/> reads them. Only Linux.
    /// </summary>
    /// <inheritdoc cref="Ttl"/>
    public bool ReceivesPacketInfo
    {
        get => Packets.GetIpOption(SocketOptionName.PacketInformation, SocketOptionName.PacketInformation, "get ReceivesPacketInfo") != 0;
        set => Packets.SetIpOption(
            SocketOptionName.PacketInformation, SocketOptionName.PacketInformation, value ? 1 : 0, "set ReceivesPacketInfo");
    }

    private protected PacketFd Packets => (PacketFd)_fd;

    /// <summary>Chooses the interface by which packets to multicast groups leave; 0 lets the system choose.</summary>
    /// <param name="interfaceIndex">
    /// The interface's index: <see cref="System.Net.NetworkInformation.IPv4InterfaceProperties.Index"/>.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The index is below 0.</exception>
    /// <inheritdoc cref="Ttl"/>
    public void SetMulticastInterface(int interfaceIndex) => Packets.SetMulticastInterface(interfaceIndex, "set multicast interface");

    /// <summary>Joins a multicast group: the socket receives what is sent to the group and to its own port.</summary>
    /// <param name="group">The group's address.</param>
    /// <param name="interfaceIndex">The interface on which it joins; 0 lets the system choose.</param>
    /// <exception cref="ArgumentException">The address is no group's, or is not of the socket's family.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The index is below 0.</exception>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    /// <exception cref="NetOpException">The system refused, for example because the socket is in the group already.</exception>
    public void JoinMulticastGroup(IPAddress group, int interfaceIndex = 0) =>
        Packets.SetMembership(group, interfaceIndex, joins: true, "join multicast group");

    /// <summary>Leaves a multicast group.</summary>
    /// <param name="group">The group's address.</param>
    /// <param name="interfaceIndex">The interface on which it joined, as it was given.</param>
    /// <exception cref="NetOpException">The system refused, for example because the socket is not in the group.</exception>
    /// <inheritdoc cref="JoinMulticastGroup" path="/exception[not(@cref='T:Poller.Net.NetOpException')]"/>
    public void DropMulticastGroup(IPAddress group, int interfaceIndex = 0) =>
        Packets.SetMembership(group, interfaceIndex, joins: false, "drop multicast group");

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">
    /// The address has too little room. Create it by <c>new SocketAddress(AddressFamily.InterNetworkV6)</c>, which has room for both
    /// families.
    /// </exception>
    public ValueTask<int> ReceiveFromAsync(Memory<byte> buffer, SocketAddress address, CancellationToken cancellationToken = default) =>
        Packets.ReceiveFromAsync(buffer, address, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<SocketReceiveFromResult> ReceiveFromAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        Packets.ReceiveFromAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    /// <inheritdoc cref="ReceiveFromAsync(Memory{byte}, SocketAddress, CancellationToken)" path="/exception"/>
    public int ReceiveFrom(Span<byte> buffer, SocketAddress address) => Packets.ReceiveFrom(buffer, address);

    /// <inheritdoc/>
    public SocketReceiveFromResult ReceiveFrom(Span<byte> buffer) => Packets.ReceiveFrom(buffer);

    /// <inheritdoc/>
    public ValueTask SendToAsync(ReadOnlyMemory<byte> buffer, SocketAddress address, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(address);
        return Packets.SendToAsync(buffer, address, cancellationToken);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The end point is no <see cref="IPEndPoint"/>.</exception>
    public ValueTask SendToAsync(ReadOnlyMemory<byte> buffer, EndPoint remote, CancellationToken cancellationToken = default) =>
        Packets.SendToAsync(buffer, AddressOf(remote), cancellationToken);

    /// <inheritdoc/>
    public void SendTo(ReadOnlySpan<byte> buffer, SocketAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        Packets.SendTo(buffer, address);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The end point is no <see cref="IPEndPoint"/>.</exception>
    public void SendTo(ReadOnlySpan<byte> buffer, EndPoint remote) => Packets.SendTo(buffer, AddressOf(remote));

    /// <summary>Receives one packet with its control data (recvmsg(2)), and says whether one of the two was cut.</summary>
    /// <param name="buffer">It receives the packet.</param>
    /// <param name="control">It receives the control data, which <see cref="ControlReader"/> reads; it may be empty.</param>
    /// <param name="address">It receives the sender's address; null if you do not need it.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    /// <exception cref="ArgumentException">The address has too little room.</exception>
    public ValueTask<ReceivedMessage> ReceiveMessageAsync(
        Memory<byte> buffer, Memory<byte> control, SocketAddress? address, CancellationToken cancellationToken = default) =>
        Packets.ReceiveMessageAsync(buffer, control, address, cancellationToken);

    /// <summary>The blocking form of <see cref="ReceiveMessageAsync"/>.</summary>
    /// <inheritdoc cref="ReceiveMessageAsync"/>
    public ReceivedMessage ReceiveMessage(Span<byte> buffer, Span<byte> control, SocketAddress? address) =>
        Packets.ReceiveMessage(buffer, control, address);

    /// <summary>Sends one packet with control data (sendmsg(2)).</summary>
    /// <param name="buffer">The packet.</param>
    /// <param name="control">The control data, which <see cref="ControlWriter"/> writes; it may be empty.</param>
    /// <param name="address">The receiver's address; null means the peer.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    public ValueTask SendMessageAsync(
        ReadOnlyMemory<byte> buffer,
        ReadOnlyMemory<byte> control,
        SocketAddress? address,
        CancellationToken cancellationToken = default) =>
        Packets.SendMessageAsync(buffer, control, address, cancellationToken);

    /// <summary>The blocking form of <see cref="SendMessageAsync"/>.</summary>
    /// <inheritdoc cref="SendMessageAsync"/>
    public void SendMessage(ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SocketAddress? address) =>
        Packets.SendMessage(buffer, control, address);

    private static SocketAddress AddressOf(EndPoint remote)
    {
        ArgumentNullException.ThrowIfNull(remote);
        return remote is IPEndPoint ip ? ip.Serialize()
            : throw new ArgumentException($"{remote}: an IPEndPoint was expected.", nameof(remote));
    }
}
