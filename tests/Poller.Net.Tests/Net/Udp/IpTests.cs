using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Raw sockets, where the process may open them, and the networks' names for sockets of packets.</summary>
public abstract class IpTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    // ICMP: an echo request of code 0, its checksum, the identifier 0x7777 and the sequence number 1.
    private static readonly byte[] Echo = [8, 0, 0x80, 0x87, 0x77, 0x77, 0, 1];

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_ping_of_this_machine_is_answered(bool blocking)
    {
        using Fixture fixture = new();
        if (TryOpen(() => (IpConn)fixture.Net.ListenPacket("ip4:icmp", "127.0.0.1")) is not { } conn) return;
        using (conn)
        {
            Assert.Equal(new IPEndPoint(IPAddress.Loopback, 0), conn.LocalEndPoint);
            await conn.SendToAsync(blocking, Echo, new IPEndPoint(IPAddress.Loopback, 0));
            byte[] buffer = new byte[128];
            while (true)
            {
                // Other ICMP packets of the machine come here too, and the request itself.
                SocketReceiveFromResult received = await conn.ReceiveAsync(blocking, buffer);
                if (received.ReceivedBytes != Echo.Length || buffer[0] != 0 || buffer[4] != 0x77) continue;
                Assert.Equal(Echo[4..], buffer[4..Echo.Length]);
                Assert.Equal(new IPEndPoint(IPAddress.Loopback, 0), received.RemoteEndPoint);
                return;
            }
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_dialed_one_reads_its_peers_packets_with_their_header(bool blocking)
    {
        using Fixture fixture = new();
        if (TryOpen(() => (IpConn)fixture.Net.Dial("ip4:1", "127.0.0.1")) is not { } conn) return;
        using (conn)
        {
            Assert.Equal(new IPEndPoint(IPAddress.Loopback, 0), conn.RemoteEndPoint);
            await conn.WriteAsync(blocking, Echo);
            byte[] buffer = new byte[128];
            while (true)
            {
                int n = await conn.ReadAsync(blocking, buffer);
                if (n != 20 + Echo.Length || buffer[20] != 0 || buffer[24] != 0x77) continue;
                Assert.Equal(0x45, buffer[0]);
                return;
            }
        }
    }

    [Fact]
    public async Task A_raw_socket_is_adopted()
    {
        using Fixture fixture = new();
        if (TryOpen(() => (IpConn)fixture.Net.ListenPacket("ip4:icmp", "127.0.0.1")) is not { } opened) return;
        using Socket socket = new(await opened.DetachAsync().Within());
        using IpConn conn = Assert.IsType<IpConn>(fixture.Net.AdoptConn(socket.SafeHandle));
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 0), conn.LocalEndPoint);
        await conn.SendToAsync(Echo, new IPEndPoint(IPAddress.Loopback, 0)).Within();
        int received;
        do received = (await conn.ReceiveFromAsync(new byte[128]).Within()).ReceivedBytes;
        while (received != Echo.Length); // The length without the IP header. The ICMP of other tests comes here too.
        conn.SetReadDeadline(TimeSpan.Zero);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => conn.ReadAsync(new byte[1]).Within());
        Assert.Equal("ip:1", e.Network);
    }

    [Fact]
    public void A_process_without_the_right_is_told_which_one()
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        foreach (Errno refused in (Errno[])[Errno.EPERM, Errno.EACCES])
        {
            api.Sockets.Enqueue(refused);
            NetOpException error = Assert.Throws<NetOpException>(() => fixture.Net.ListenPacket("ip4:icmp", ""));
            Assert.Equal(("listen", "ip4:icmp", SocketError.AccessDenied), (error.Operation, error.Network, error.SocketErrorCode));
            Assert.Contains("the right to open raw sockets was expected: CAP_NET_RAW", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("udp", "127.0.0.1:0", "127.0.0.1")]
    [InlineData("udp4", ":0", "0.0.0.0")]
    [InlineData("udp6", "[::1]:", "::1")]
    [InlineData("udp", ":0", "::")]
    [InlineData("udp", "[::]:0", "::")]
    [InlineData("udp6", ":0", "::")]
    public async Task A_network_and_an_address_are_listened_on_and_dialed(string network, string address, string expected)
    {
        using Fixture fixture = new();
        using IPacketConn packets = fixture.Net.ListenPacket(network, address);
        UdpConn server = Assert.IsType<UdpConn>(packets);
        Assert.Equal(IPAddress.Parse(expected), server.LocalEndPoint.Address);
        Assert.NotEqual(0, server.LocalEndPoint.Port);
        using Conn client = await fixture.Net.DialAsync(network, $":{server.LocalEndPoint.Port}");
        await client.WriteAsync("hi"u8.ToArray());
        Assert.Equal(client.LocalEndPoint, (await packets.ReceiveFromAsync(new byte[4]).Within()).RemoteEndPoint);
    }

    [Fact]
    public async Task A_socket_of_one_family_takes_no_other()
    {
        using Fixture fixture = new();
        (UdpConn six, UdpConn four) = Udp.OfOnePort(fixture.Net, () => (UdpConn)fixture.Net.ListenPacket("udp6", ":0"));
        using (six)
        using (four)
        {
            using Conn client = fixture.Net.Dial("udp4", $"127.0.0.1:{six.LocalEndPoint.Port}");
            await client.WriteAsync("four"u8.ToArray());
            Assert.Equal(4, (await four.ReceiveFromAsync(new byte[8]).Within()).ReceivedBytes);
        }
    }

    [Theory]
    [InlineData("tcp", "127.0.0.1:0")]
    [InlineData("unix", "/tmp/x")]
    [InlineData("nothing", "127.0.0.1:0")]
    public void A_network_without_packets_is_named(string network, string address)
    {
        using Fixture fixture = new();
        ArgumentException error = Assert.Throws<ArgumentException>(() => fixture.Net.ListenPacket(network, address));
        Assert.Contains($"\"{network}\"", error.Message, StringComparison.Ordinal);
        Assert.Contains("udp", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_of_another_family_is_named()
    {
        using Fixture fixture = new();
        FormatException error = Assert.Throws<FormatException>(() => fixture.Net.ListenPacket("udp4", "[::1]:0"));
        Assert.Contains("::1 is not an address of udp4", error.Message, StringComparison.Ordinal);
        Assert.Throws<FormatException>(() => fixture.Net.ListenPacket("udp", "127.0.0.1"));
        Assert.Throws<FormatException>(() => fixture.Net.ListenPacket("ip4:icmp", "127.0.0.1:80"));
    }

    // Null if this process may not.
    private static IpConn? TryOpen(Func<IpConn> open)
    {
        try
        {
            return open();
        }
        catch (NetOpException e) when (e.SocketErrorCode == SocketError.AccessDenied)
        {
            return null;
        }
    }
}
