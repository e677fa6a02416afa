using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>Network names and addresses that are not: the error names the text and what was expected.</summary>
public sealed class AddressTests : NetTest<EpollBackend>
{
    [Theory]
    [InlineData("")]
    [InlineData("TCP")]
    [InlineData("tcp5")]
    [InlineData("tcp:icmp")]
    [InlineData("ip")]
    [InlineData("ip:")]
    [InlineData("ip5:icmp")]
    [InlineData("ip4:nosuch")]
    [InlineData("ip4:256")]
    [InlineData("ip4:-1")]
    [InlineData("ip4:1:2")]
    [InlineData("ip4:\u0661")]
    public async Task An_unknown_network_is_named_with_all_that_are_known(string network)
    {
        using Fixture fixture = new();
        ArgumentException[] errors =
        [
            Assert.Throws<ArgumentException>(() => fixture.Net.Listen(network, "127.0.0.1:0")),
            Assert.Throws<ArgumentException>(() => fixture.Net.Dial(network, "127.0.0.1:1")),
            await Assert.ThrowsAsync<ArgumentException>(() => fixture.Net.DialAsync(network, "127.0.0.1:1").Within()),
        ];
        string text = $"unknown network \"{network}\"; tcp, tcp4, tcp6, udp, udp4, udp6, unix, unixgram, unixpacket, or ip, ip4 or ip6 with ";
        Assert.All(errors, e => Assert.StartsWith(text, e.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", "the port is missing")]
    [InlineData("nonsense", "the port is missing")]
    [InlineData("127.0.0.1", "the port is missing")]
    [InlineData("[::1]", "the port is missing")]
    [InlineData("[::1", "a bracket is not closed")]
    [InlineData("[::1:80", "a bracket is not closed")]
    [InlineData("::1", "too many colons")]
    [InlineData("::1:80", "too many colons")]
    [InlineData("tcp:127.0.0.1:80", "too many colons")]
    [InlineData("127.0.0.1:nosuch", "port \"nosuch\"")]
    [InlineData("127.0.0.1:80/tcp", "port \"80/tcp\"")]
    [InlineData("127.0.0.1:http ", "port \"http \"")]
    [InlineData("127.0.0.1:http\0", "port \"http\\u0000\"")]
    [InlineData("127.0.0.1:65536", "port \"65536\"")]
    [InlineData("127.0.0.1:99999999999999", "port \"99999999999999\"")]
    [InlineData("127.0.0.1:-1", "port \"-1\"")]
    [InlineData("127.0.0.1:+1", "port \"+1\"")]
    [InlineData("127.0.0.1: 0", "port \" 0\"")]
    [InlineData("127.0.0.1:80 ", "port \"80 \"")]
    [InlineData("127.0.0.1:٣", "port \"٣\"")]
    [InlineData("127.0.0.1:0\0", "port \"0\\u0000\"")]
    [InlineData("127.0.0.1:0\0\0\0", "port \"0\\u0000\\u0000\\u0000\"")]
    [InlineData("127.0.0.1\0.example.org:0", "is not a name")]
    [InlineData("localhost\0.example.org:0", "is not a name")]
    [InlineData("0x7f.1\0:0", "is not a name")]
    [InlineData("localhost\u202e:0", "is not a name")]
    [InlineData(" 127.0.0.1:0", "is not a name")]
    [InlineData("127.0.0.1 :0", "is not a name")]
    [InlineData("127.0.0.1\t:0", "is not a name")]
    [InlineData("127.0.0.1/8:0", "is not a name")]
    [InlineData("bücher.example:0", "IdnMapping")]
    [InlineData("[::1\0]:0", "not an IPv6 address")]
    [InlineData("[ ::1]:0", "not an IPv6 address")]
    [InlineData("[]:80", "not an IPv6 address")]
    [InlineData("[127.0.0.1]:80", "not an IPv6 address")]
    [InlineData("[localhost]:80", "not an IPv6 address")]
    [InlineData("[::1/64]:80", "not an IPv6 address")]
    [InlineData("[[::1]]:0", "after the bracket")]
    [InlineData("[[::1]:99]:0", "not an IPv6 address")]
    [InlineData("[[::1]:0", "not an IPv6 address")]
    [InlineData("[::1]]:0", "after the bracket")]
    [InlineData("[::1]x:80", "after the bracket")]
    [InlineData("[::ffff:127.0.0.010]:0", "not an IPv6 address")]
    [InlineData("[::127.0.0.010]:0", "not an IPv6 address")]
    [InlineData("[::ffff:127.0.0.1%7]:0", "has no zone")]
    [InlineData("[::%1]:0", "has no zone")]
    [InlineData("[fe80::1%]:0", "a zone that this machine does not have")]
    [InlineData("[fe80::1%nosuch]:0", "a zone that this machine does not have")]
    [InlineData("[fe80::1%4294967297]:0", "a zone that this machine does not have")]
    [InlineData("[fe80::1%lo\0nosuch]:0", "a zone that this machine does not have")]
    public async Task A_malformed_address_is_named_with_what_is_wrong_and_what_was_expected(string address, string why)
    {
        using Fixture fixture = new();
        FormatException[] errors =
        [
            Assert.Throws<FormatException>(() => fixture.Net.Listen("tcp", address)),
            Assert.Throws<FormatException>(() => fixture.Net.Dial("tcp", address)),
            await Assert.ThrowsAsync<FormatException>(() => fixture.Net.DialAsync("tcp", address).Within()),
        ];
        string shown = address.Replace("\0", "\\u0000", StringComparison.Ordinal).Replace("\t", "\\u0009", StringComparison.Ordinal)
            .Replace("\u202e", "\\u202e", StringComparison.Ordinal);
        Assert.All(errors, e =>
        {
            Assert.StartsWith($"address \"{shown}\": ", e.Message, StringComparison.Ordinal);
            Assert.Contains(why, e.Message, StringComparison.Ordinal);
            Assert.Contains("host:port was expected", e.Message, StringComparison.Ordinal);
        });
    }

    [Theory]
    [InlineData(":0")]
    [InlineData(":")]
    [InlineData("[::]:0")]
    [InlineData("[::]:")]
    [InlineData("[::0]:0")]
    [InlineData("[0::0]:0")]
    [InlineData("[0:0::]:0")]
    [InlineData("[0:0::0]:0")]
    [InlineData("[0:0:0:0:0:0:0:0]:0")]
    [InlineData("[0000::0.0.0.0]:0")]
    [InlineData("[::0.0.0.0]:0")]
    public async Task Every_spelling_of_the_wildcard_takes_both_families(string address)
    {
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen("tcp", address);
        IPEndPoint local = Assert.IsType<IPEndPoint>(listener.LocalEndPoint);
        Assert.Equal(IPAddress.IPv6Any, local.Address);
        using Conn four = await fixture.Net.DialAsync("tcp", $"127.0.0.1:{local.Port}").Within();
        using Conn six = await fixture.Net.DialAsync("tcp", $"[::1]:{local.Port}").Within();
        using Conn any = await fixture.Net.DialAsync("tcp", $"{address[..(address.LastIndexOf(':') + 1)]}{local.Port}").Within();

        using ConnListener alone = fixture.Net.Listen("tcp6", address);
        using Socket socket = Raw.SocketOf((TcpConnListener)alone);
        Assert.False(socket.DualMode, "of tcp6 the wildcard was expected to be IPv6 alone.");
    }

    [Theory]
    [InlineData("0.0.0.0:0", "0.0.0.0")]
    [InlineData("[::ffff:0.0.0.0]:0", "0.0.0.0")]
    [InlineData("127.0.0.1:0", "127.0.0.1")]
    [InlineData("127.0.0.1:", "127.0.0.1")]
    [InlineData("127.0.0.1:000", "127.0.0.1")]
    [InlineData("[::ffff:127.0.0.1]:0", "127.0.0.1")]
    [InlineData("[::FFFF:7f00:1]:0", "127.0.0.1")]
    [InlineData("[::1]:0", "::1")]
    [InlineData("[::1]:", "::1")]
    [InlineData("[0::0001]:0", "::1")]
    [InlineData("localhost:", "127.0.0.1")]
    public async Task An_address_is_listened_on_and_dialed_as_what_it_is_read_as(string address, string expected)
    {
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen("tcp", address);
        IPEndPoint local = Assert.IsType<IPEndPoint>(listener.LocalEndPoint);
        Assert.Equal(IPAddress.Parse(expected), local.Address);
        using Conn client = await fixture.Net.DialAsync("tcp", $"{address[..(address.LastIndexOf(':') + 1)]}{local.Port}").Within();
        using Conn server = await listener.AcceptAsync().Within();
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
    }

    [Fact]
    public async Task An_IPv4_mapped_end_point_is_listened_on_and_dialed_as_IPv4()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback.MapToIPv6(), 0));
        Assert.Equal(IPAddress.Loopback, listener.LocalEndPoint.Address);
        IPEndPoint mapped = new(IPAddress.Loopback.MapToIPv6(), listener.LocalEndPoint.Port);
        using TcpConn client = await fixture.Net.DialTcpAsync(mapped).Within();
        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
        using TcpConnListener wildcard = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Any.MapToIPv6(), 0));
        Assert.Equal(IPAddress.Any, wildcard.LocalEndPoint.Address);
    }

    [Theory]
    [InlineData("tcp4", "[::1]:80")]
    [InlineData("tcp6", "127.0.0.1:80")]
    public async Task An_address_of_the_other_family_is_refused(string network, string address)
    {
        using Fixture fixture = new();
        FormatException[] errors =
        [
            Assert.Throws<FormatException>(() => fixture.Net.Listen(network, address)),
            Assert.Throws<FormatException>(() => fixture.Net.Dial(network, address)),
            await Assert.ThrowsAsync<FormatException>(() => fixture.Net.DialAsync(network, address).Within()),
        ];
        Assert.All(errors, e => Assert.Contains($"is not an address of {network}", e.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Port_0_is_to_listen_on_and_not_to_dial()
    {
        using Fixture fixture = new();
        NetOpException[] errors =
        [
            Assert.Throws<NetOpException>(() => fixture.Net.Dial("tcp", "127.0.0.1:0")),
            Assert.Throws<NetOpException>(() => fixture.Net.DialTcp(Raw.AnyLoopbackPort)),
            await Assert.ThrowsAsync<NetOpException>(() => fixture.Net.DialAsync("tcp", "127.0.0.1:0").Within()),
            await Assert.ThrowsAsync<NetOpException>(() => fixture.Net.DialTcpAsync(Raw.AnyLoopbackPort).Within()),
        ];
        Assert.All(errors, static e => Assert.Equal(SocketError.ConnectionRefused, e.SocketErrorCode));
    }

    [Fact]
    public async Task Null_is_refused_by_name()
    {
        using Fixture fixture = new();
        Assert.Throws<ArgumentNullException>("network", () => fixture.Net.Listen(null!, ":0"));
        Assert.Throws<ArgumentNullException>("network", () => fixture.Net.Dial(null!, ":0"));
        Assert.Throws<ArgumentNullException>("address", () => fixture.Net.Listen("tcp", null!));
        Assert.Throws<ArgumentNullException>("local", () => fixture.Net.ListenTcp(null!));
        Assert.Throws<ArgumentNullException>("address", () => fixture.Net.Dial("tcp", null!));
        Assert.Throws<ArgumentNullException>("remote", () => fixture.Net.DialTcp(null!));
        await Assert.ThrowsAsync<ArgumentNullException>("address", () => fixture.Net.DialAsync("tcp", null!).Within());
        await Assert.ThrowsAsync<ArgumentNullException>("remote", () => fixture.Net.DialTcpAsync(null!).Within());
        Assert.Throws<ArgumentNullException>("poller", () => new NetStack(null!));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("127.1")]
    [InlineData("0x7f.1")]
    [InlineData("0x7f000001")]
    [InlineData("127.0.0.01")]
    [InlineData("127.0.0.010")]
    [InlineData("2130706433")]
    [InlineData("4294967296")]
    [InlineData("127.0.0.1.")]
    [InlineData("1.2.3.4.5")]
    [InlineData("example.0x1")]
    public async Task A_numeric_host_that_is_not_four_decimal_parts_is_refused(string host)
    {
        using Fixture fixture = new();
        FormatException[] errors =
        [
            Assert.Throws<FormatException>(() => fixture.Net.Listen("tcp", $"{host}:0")),
            Assert.Throws<FormatException>(() => fixture.Net.Dial("tcp", $"{host}:1")),
            await Assert.ThrowsAsync<FormatException>(() => fixture.Net.DialAsync("tcp", $"{host}:1").Within()),
        ];
        Assert.All(
            errors,
            e => Assert.Contains($"{host} is not an IPv4 address of four decimal parts", e.Message, StringComparison.Ordinal));
        Assert.Equal(IPAddress.Loopback, ((IPEndPoint)Listened(fixture, "127.0.0.1:0")).Address);
    }

    private static EndPoint Listened(Fixture fixture, string address)
    {
        using ConnListener listener = fixture.Net.Listen("tcp", address);
        return listener.LocalEndPoint;
    }
}
