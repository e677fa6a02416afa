using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>The addresses of UDP sockets, of one family and of both.</summary>
public abstract class UdpAddressTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    /// <summary>Both forms of the operation.</summary>
    public static TheoryData<bool> Blocking => [false, true];

    [Theory, MemberData(nameof(Blocking))]
    public async Task A_wildcard_receives_both_families_and_answers_each_at_its_own_address(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        byte[] buffer = new byte[16];
        SocketAddress sender = Udp.NewAddress();
        foreach (IPAddress loopback in (IPAddress[])[IPAddress.Loopback, IPAddress.IPv6Loopback, IPAddress.Loopback])
        {
            using UdpConn client = fixture.Net.DialUdp(server.At(loopback));
            for (int i = 0; i < 3; i++) await client.WriteAsync(blocking, "hi"u8.ToArray());
            Assert.Equal(2, await server.StartReceiveFrom(blocking, buffer, sender).Within());
            Assert.Equal(client.LocalEndPoint, sender.ToEndPoint());
            Assert.Equal(loopback.AddressFamily, sender.Family);
            Assert.Equal(client.LocalEndPoint, (await server.ReceiveAsync(blocking, buffer)).RemoteEndPoint);
            SocketAddress again = Udp.NewAddress();
            await server.ReceiveMessageAsync(blocking, buffer, address: again);
            Assert.Equal(sender, again);

            await server.SendToAsync(blocking, "1"u8.ToArray(), sender);
            await server.SendToAsync(blocking, "2"u8.ToArray(), client.LocalEndPoint);
            await server.SendMessageAsync(blocking, "3"u8.ToArray(), default, sender);
            Assert.Equal(client.LocalEndPoint, sender.ToEndPoint()); // A send leaves the caller's address as it is.
            foreach (byte expected in "123"u8.ToArray())
            {
                Assert.Equal(1, await client.ReadAsync(blocking, buffer));
                Assert.Equal(expected, buffer[0]);
            }
        }
    }

    [Theory, MemberData(nameof(Blocking))]
    public async Task A_mapped_address_is_the_IPv4_address(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.Loopback.MapToIPv6(), 0));
        Assert.Equal(IPAddress.Loopback, server.LocalEndPoint.Address);
        using UdpConn client = fixture.Net.ListenUdp(Udp.Any);
        await client.SendToAsync(blocking, "x"u8.ToArray(), server.At(IPAddress.Loopback.MapToIPv6()));
        Assert.Equal(client.LocalEndPoint, (await server.ReceiveAsync(blocking, new byte[4])).RemoteEndPoint);
        using UdpConn dialed = fixture.Net.DialUdp(server.At(IPAddress.Loopback.MapToIPv6()));
        Assert.Equal(server.LocalEndPoint, dialed.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Blocking))]
    public async Task A_socket_of_one_IPv6_address_takes_no_IPv4(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        NetOpException error = await Assert.ThrowsAsync<NetOpException>(
            () => server.SendToAsync(blocking, new byte[1], new IPEndPoint(IPAddress.Loopback, 9)));
        Assert.Equal(SocketError.NetworkUnreachable, error.SocketErrorCode);
        Assert.Contains("127.0.0.1:9", error.Message, StringComparison.Ordinal);
        Assert.Contains("an IPv6 address was expected", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_that_came_with_a_short_one_takes_a_long_one_again()
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        SocketAddress sender = Udp.NewAddress();
        foreach (IPAddress loopback in (IPAddress[])[IPAddress.Loopback, IPAddress.IPv6Loopback])
        {
            using UdpConn client = fixture.Net.DialUdp(server.At(loopback));
            client.Write([1]);
            Assert.Equal(1, server.ReceiveFrom(new byte[1], sender));
            Assert.Equal(client.LocalEndPoint, sender.ToEndPoint());
        }
        ArgumentException small = Assert.Throws<ArgumentException>(
            () => server.ReceiveFrom(new byte[1], new SocketAddress(AddressFamily.InterNetwork)));
        Assert.Contains("28 were expected, as in new SocketAddress(AddressFamily.InterNetworkV6)", small.Message, StringComparison.Ordinal);
    }
}
