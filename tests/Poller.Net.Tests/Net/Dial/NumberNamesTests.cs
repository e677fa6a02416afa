using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>Names of services, protocols and networks: the cases of Go's port_test, and the files they are read from.</summary>
public sealed class NumberNamesTests
{
    [Theory]
    [InlineData("tcp", "0", 0)]
    [InlineData("udp", "0", 0)]
    [InlineData("udp", "domain", 53)]
    [InlineData("tcp", "http", 80)]
    [InlineData("tcp4", "https", 443)]
    [InlineData("tcp6", "SSH", 22)]
    [InlineData("tcp", "hTtPs", 443)]
    [InlineData("tcp", "domain", 53)]
    [InlineData("tcp", "65535", 65535)]
    [InlineData("tcp", "", 0)]
    public void A_port_is_a_number_or_the_name_of_a_service(string network, string port, int expected) =>
        Assert.Equal(expected, NetAddress.Parse(SocketNetwork.Of(network, SystemSocketApi.Current), $"localhost:{port}").Port);

    [Theory]
    [InlineData("udp", "http-of-nobody")]
    [InlineData("udp", "telnet")]
    [InlineData("tcp", "no such")]
    [InlineData("tcp", "\u017fsh")]
    [InlineData("tcp", "\u017fmtp")]
    [InlineData("tcp", "tcp/http")]
    [InlineData("tcp", "65536")]
    [InlineData("tcp", "-1")]
    [InlineData("udp", "123456789")]
    public void A_port_that_is_neither_is_named_with_the_protocol(string network, string port)
    {
        SocketNetwork of = SocketNetwork.Of(network, SystemSocketApi.Current);
        FormatException e = Assert.Throws<FormatException>(() => NetAddress.Parse(of, $"localhost:{port}"));
        string text = $"port \"{port}\" is not a number from 0 to 65535, nor the name of a {network} service";
        Assert.Contains(text, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_services_adds_to_the_small_table_and_overrules_it()
    {
        Dictionary<string, int> names = NumberNames.ReadServices(
        [
            "# comment", "", "alone", "echo 7/tcp", "echo\t\t7/udp # after", "http 8080/tcp www WorldWideWeb", "bad x/tcp",
            "worse 70000/tcp", "none 0/tcp", "signed -1/tcp", "much 1/tcp/udp", "no-protocol 9", "nul 8\0/tcp", "#http 1/tcp", "\r",
        ]);
        Assert.Equal((7, 7), (names["tcp/echo"], names["udp/ECHO"]));
        Assert.Equal((8080, 8080, 8080), (names["tcp/http"], names["tcp/www"], names["tcp/worldwideweb"]));
        Assert.Equal(443, names["tcp/https"]);
        Assert.All((string[])["bad", "worse", "none", "signed", "much", "nul", "alone"], n => Assert.False(names.ContainsKey($"tcp/{n}")));
    }

    [Fact]
    public void A_file_of_protocols_adds_to_the_small_table()
    {
        Dictionary<string, int> names = NumberNames.ReadProtocols(
            ["ip\t0\tIP\t# internet protocol", "sctp 132 SCTP", "icmp 99", "big 256", "text x", "hopopt 0 HOPOPT"]);
        Assert.Equal((0, 132, 1, 58), (names["ip"], names["Sctp"], names["ICMP"], names["ipv6-icmp"]));
        Assert.DoesNotContain("big", names);
        Assert.DoesNotContain("text", names);
    }

    [Theory]
    [InlineData("tcp", SocketType.Stream, 6, AddressFamily.Unspecified)]
    [InlineData("udp4", SocketType.Dgram, 17, AddressFamily.InterNetwork)]
    [InlineData("unixpacket", SocketType.Seqpacket, 0, AddressFamily.Unix)]
    [InlineData("ip:icmp", SocketType.Raw, 1, AddressFamily.Unspecified)]
    [InlineData("ip4:icmp", SocketType.Raw, 1, AddressFamily.InterNetwork)]
    [InlineData("ip4:ICMP", SocketType.Raw, 1, AddressFamily.InterNetwork)]
    [InlineData("ip:1", SocketType.Raw, 1, AddressFamily.Unspecified)]
    [InlineData("ip6:ipv6-icmp", SocketType.Raw, 58, AddressFamily.InterNetworkV6)]
    [InlineData("ip6:255", SocketType.Raw, 255, AddressFamily.InterNetworkV6)]
    public void A_network_is_found_by_its_name(string name, SocketType type, int protocol, AddressFamily family)
    {
        using Netpoller poller = new(EpollBackend.Factory);
        SocketNetwork found = new NetStack(poller).FindNetwork(name);
        Assert.Equal((name, type, protocol, family), (found.Name, found.Type, (int)found.Protocol, found.Family));
        Assert.Equal(type == SocketType.Raw, found.IsRaw);
    }

    [Theory]
    [InlineData("ip:icmp", "127.0.0.1", "127.0.0.1")]
    [InlineData("ip:ipv6-icmp", "::1", "::1")]
    [InlineData("ip:icmp", "", "0.0.0.0")]
    [InlineData("ip6:ipv6-icmp", "", "::")]
    [InlineData("ip4:icmp", "::ffff:127.0.0.1", "127.0.0.1")]
    public void An_address_of_a_raw_network_has_no_port(string network, string address, string expected)
    {
        NetAddress parsed = NetAddress.Parse(SocketNetwork.OfRaw(network, SystemSocketApi.Current)!, address);
        Assert.Equal((expected, 0), ($"{parsed.ForListen(SystemNameLookup.Instance).Address}", parsed.Port));
        Assert.False(parsed.Network.IsDualStackAt(new System.Net.IPEndPoint(System.Net.IPAddress.IPv6Any, 0)));
    }

    [Theory]
    [InlineData("127.0.0.1:0", "not an IPv6 address")]
    [InlineData("localhost/", "is not a name")]
    [InlineData("[::1]", "not an IPv6 address")]
    [InlineData("::1", "is not an address of ip4:icmp")]
    [InlineData("127.1", "is not an IPv4 address of four decimal parts")]
    public void An_address_of_a_raw_network_that_is_malformed_is_named(string address, string why)
    {
        SocketNetwork network = SocketNetwork.OfRaw("ip4:icmp", SystemSocketApi.Current)!;
        FormatException e = Assert.Throws<FormatException>(() => NetAddress.Parse(network, address));
        Assert.StartsWith($"address \"{address}\": ", e.Message, StringComparison.Ordinal);
        Assert.Contains(why, e.Message, StringComparison.Ordinal);
        Assert.Contains("a host without a port was expected", e.Message, StringComparison.Ordinal);
    }
}
