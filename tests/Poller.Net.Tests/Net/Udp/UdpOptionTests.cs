using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>The options of UDP sockets, multicast and control data. What an option does is asked of the socket under it.</summary>
public abstract class UdpOptionTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly IPAddress Group = IPAddress.Parse("239.77.1.2");

    private static int Loopback => NetworkInterface.LoopbackInterfaceIndex;

    [Fact]
    public void Options_are_set_on_the_socket()
    {
        using Fixture fixture = new();
        using UdpConn conn = fixture.Net.ListenUdp(Udp.Any);
        using Socket socket = Raw.SocketOf(conn);
        Assert.True(conn.EnableBroadcast);
        Assert.True(socket.EnableBroadcast);
        conn.EnableBroadcast = false;
        Assert.False(socket.EnableBroadcast);

        conn.Ttl = 7;
        conn.TypeOfService = 0x28;
        conn.MulticastTtl = 3;
        conn.MulticastLoopback = false;
        Assert.Equal((7, 0x28, 3, false), (conn.Ttl, conn.TypeOfService, conn.MulticastTtl, conn.MulticastLoopback));
        Assert.Equal(7, socket.Ttl);
        Assert.Equal(3, socket.GetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastTimeToLive));
        Assert.Equal(0x28, socket.GetSocketOption(SocketOptionLevel.IP, SocketOptionName.TypeOfService));
        Assert.False(socket.MulticastLoopback);

        conn.ReceiveBufferSize = 100_000;
        conn.SendBufferSize = 50_000;
        Assert.InRange(conn.ReceiveBufferSize, 100_000, 200_000);
        Assert.InRange(conn.SendBufferSize, 50_000, 100_000);
        Assert.Throws<ArgumentOutOfRangeException>(() => conn.ReceiveBufferSize = -1);
        Assert.Equal(SocketError.InvalidArgument, Assert.Throws<NetOpException>(() => conn.Ttl = 0).SocketErrorCode);
    }

    [Fact]
    public void An_option_of_a_dual_stack_socket_is_set_for_both_families()
    {
        using Fixture fixture = new();
        using UdpConn conn = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        using Socket socket = Raw.SocketOf(conn);
        conn.Ttl = 9;
        conn.MulticastTtl = 4;
        Assert.Equal(9, conn.Ttl);
        foreach (SocketOptionLevel level in (SocketOptionLevel[])[SocketOptionLevel.IP, SocketOptionLevel.IPv6])
        {
            Assert.Equal(4, socket.GetSocketOption(level, SocketOptionName.MulticastTimeToLive));
        }
        Assert.Equal(9, socket.GetSocketOption(SocketOptionLevel.IP, SocketOptionName.IpTimeToLive));
    }

    [Fact]
    public async Task The_options_of_a_listener_hold_for_packets()
    {
        using Fixture fixture = new();
        List<string> seen = [];
        ListenOptions shared = new() { ReusePort = true, Control = (_, network, address) => seen.Add($"{network} {address}") };
        using UdpConn first = fixture.Net.ListenUdp(Udp.Any, shared);
        using UdpConn second = fixture.Net.ListenUdp(first.LocalEndPoint, shared);
        Assert.Equal(first.LocalEndPoint, second.LocalEndPoint);
        Assert.Equal(["udp4 127.0.0.1:0", $"udp4 {first.LocalEndPoint}"], seen);

        ListenOptions alone = new() { DualStack = false };
        (UdpConn six, UdpConn four) = Udp.OfOnePort(
            fixture.Net, () => fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0), alone));
        using (six)
        using (four)
        {
            using UdpConn client = fixture.Net.DialUdp(four.At(IPAddress.Loopback));
            client.Write([1]);
            Assert.Equal(1, (await four.ReceiveFromAsync(new byte[8]).Within()).ReceivedBytes);
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_group_is_joined_heard_and_left(bool dualStack)
    {
        using Fixture fixture = new();
        using UdpConn first = fixture.Net.ListenUdp(new IPEndPoint(dualStack ? IPAddress.IPv6Any : Group, 0));
        using UdpConn sender = fixture.Net.ListenUdp(Udp.Any);
        sender.SetMulticastInterface(Loopback);
        first.JoinMulticastGroup(Group, Loopback);
        byte[] buffer = new byte[16];

        await sender.SendToAsync("one"u8.ToArray(), first.At(Group));
        SocketReceiveFromResult received = await first.ReceiveFromAsync(buffer).Within();
        Assert.Equal((3, (EndPoint)sender.LocalEndPoint), (received.ReceivedBytes, received.RemoteEndPoint));

        NetOpException twice = Assert.Throws<NetOpException>(() => first.JoinMulticastGroup(Group, Loopback));
        Assert.Equal((SocketError.AddressAlreadyInUse, "join multicast group"), (twice.SocketErrorCode, twice.Operation));

        first.DropMulticastGroup(Group, Loopback);
        await sender.SendToAsync("two"u8.ToArray(), first.At(Group));
        await sender.SendToAsync("three"u8.ToArray(), first.At(IPAddress.Loopback));
        Assert.Equal(5, (await first.ReceiveFromAsync(buffer).Within()).ReceivedBytes);
        NetOpException gone = Assert.Throws<NetOpException>(() => first.DropMulticastGroup(Group, Loopback));
        Assert.Equal(SocketError.AddressNotAvailable, gone.SocketErrorCode);
    }

    [Fact]
    public async Task An_IPv6_group_is_joined_and_heard()
    {
        // The loopback has no route for IPv6 groups.
        NetworkInterface? card = NetworkInterface.GetAllNetworkInterfaces().FirstOrDefault(static card =>
            card.OperationalStatus == OperationalStatus.Up && card.SupportsMulticast
            && card.GetIPProperties().UnicastAddresses.Any(static a => a.Address.IsIPv6LinkLocal));
        if (card is null) return;
        int index = card.GetIPProperties().GetIPv6Properties().Index;
        IPAddress group = IPAddress.Parse("ff01::77:1");
        using Fixture fixture = new();
        using UdpConn conn = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        using UdpConn sender = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        sender.SetMulticastInterface(index);
        sender.MulticastLoopback = true;
        conn.JoinMulticastGroup(group, index);
        await sender.SendToAsync("six"u8.ToArray(), conn.At(group));
        Assert.Equal(3, (await conn.ReceiveFromAsync(new byte[8]).Within()).ReceivedBytes);
    }

    [Fact]
    public async Task Sockets_on_a_groups_address_share_its_port()
    {
        using Fixture fixture = new();
        using UdpConn first = fixture.Net.ListenUdp(new IPEndPoint(Group, 0));
        using UdpConn second = fixture.Net.ListenUdp(first.At(Group));
        using UdpConn sender = fixture.Net.ListenUdp(Udp.Any);
        sender.SetMulticastInterface(Loopback);
        foreach (UdpConn conn in (UdpConn[])[first, second]) conn.JoinMulticastGroup(Group, Loopback);
        await sender.SendToAsync("both"u8.ToArray(), first.At(Group));
        foreach (UdpConn conn in (UdpConn[])[first, second])
        {
            Assert.Equal(4, (await conn.ReceiveFromAsync(new byte[8]).Within()).ReceivedBytes);
        }
    }

    [Fact]
    public void A_group_that_cannot_be_is_named()
    {
        using Fixture fixture = new();
        using UdpConn conn = fixture.Net.ListenUdp(Udp.Any);
        ArgumentException no = Assert.Throws<ArgumentException>(() => conn.JoinMulticastGroup(IPAddress.Loopback));
        Assert.Contains("127.0.0.1: the address of a multicast group was expected", no.Message, StringComparison.Ordinal);
        ArgumentException six = Assert.Throws<ArgumentException>(() => conn.JoinMulticastGroup(IPAddress.Parse("ff02::1")));
        Assert.Contains("ff02::1: an IPv4 group was expected", six.Message, StringComparison.Ordinal);
        NetOpException card = Assert.Throws<NetOpException>(() => conn.JoinMulticastGroup(Group, 9999));
        Assert.Contains("9999 was given, and the index of an interface", card.Message, StringComparison.Ordinal);
        Assert.Throws<NetOpException>(() => conn.SetMulticastInterface(9999));
        Assert.Throws<ArgumentOutOfRangeException>(() => conn.SetMulticastInterface(-1));
        Assert.Throws<ArgumentNullException>(() => conn.JoinMulticastGroup(null!));
    }

    [Theory, InlineData(false, false), InlineData(false, true), InlineData(true, false), InlineData(true, true)]
    public async Task Control_data_says_where_a_packet_was_sent(bool blocking, bool dualStack)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(dualStack ? IPAddress.IPv6Any : IPAddress.Any, 0));
        server.ReceivesPacketInfo = true;
        Assert.True(server.ReceivesPacketInfo);
        byte[] buffer = new byte[8], control = new byte[128];
        IPAddress[] targets = [IPAddress.Loopback, IPAddress.Parse("127.0.0.2"), .. dualStack ? [IPAddress.IPv6Loopback] : (IPAddress[])[]];
        foreach (IPAddress target in targets)
        {
            using UdpConn client = fixture.Net.DialUdp(server.At(target));
            await client.WriteAsync(blocking, "x"u8.ToArray());
            ReceivedMessage message = await server.ReceiveMessageAsync(blocking, buffer, control);
            Assert.False(message.IsControlTruncated);
            Assert.True(PacketInfo.TryRead(control.AsSpan(0, message.ControlBytes), out PacketInfo info));
            Assert.Equal(new PacketInfo(target, Loopback), info);

            await client.WriteAsync(blocking, "x"u8.ToArray());
            message = await server.ReceiveMessageAsync(blocking, buffer, new byte[4]);
            Assert.True(message.IsControlTruncated);
            Assert.Equal((1, false), (message.Bytes, message.IsTruncated));
        }
        Assert.False(PacketInfo.TryRead([], out _));
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task Control_data_that_is_sent_holds_for_its_packet(bool blocking)
    {
        const int IPPROTO_IP = 0, IP_TTL = 2, IP_RECVTTL = 12;
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        using Socket socket = Raw.SocketOf(server);
        socket.SetRawSocketOption(IPPROTO_IP, IP_RECVTTL, BitConverter.GetBytes(1));
        byte[] ttl = new byte[ControlWriter.SpaceFor(sizeof(int))], control = new byte[64];
        new ControlWriter(ttl).Write(IPPROTO_IP, IP_TTL, BitConverter.GetBytes(33));
        await client.SendMessageAsync(blocking, "x"u8.ToArray(), ttl, null);
        ReceivedMessage message = await server.ReceiveMessageAsync(blocking, new byte[8], control);
        Assert.Equal((IPPROTO_IP, IP_TTL, 33), OneOf(control.AsSpan(0, message.ControlBytes)));

        static (int Level, int Type, int Value) OneOf(ReadOnlySpan<byte> control)
        {
            ControlReader reader = new(control);
            Assert.True(reader.TryRead(out ControlItem item));
            Assert.False(reader.TryRead(out _));
            return (item.Level, item.Type, BitConverter.ToInt32(item.Data));
        }
    }
}
