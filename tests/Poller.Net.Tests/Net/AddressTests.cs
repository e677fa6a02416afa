using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>Network names and addresses that are not: the error names the text and what was expected.</summary>
public sealed class AddressTests
{
    [Theory]
    [InlineData("")]
    [InlineData("TCP")]
    [InlineData("tcp5")]
    [InlineData("udp")]
    [InlineData("unix")]
    public async Task An_unknown_network_is_named(string network)
    {
        using Fixture fixture = new();
        ArgumentException[] errors =
        [
            Assert.Throws<ArgumentException>(() => fixture.Net.Listen(network, "127.0.0.1:0")),
            Assert.Throws<ArgumentException>(() => fixture.Net.Dial(network, "127.0.0.1:1")),
            await Assert.ThrowsAsync<ArgumentException>(() => fixture.Net.DialAsync(network, "127.0.0.1:1").Within()),
        ];
        string text = $"unknown network \"{network}\"; tcp, tcp4 or tcp6 was expected.";
        Assert.All(errors, e => Assert.StartsWith(text, e.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", "no port")]
    [InlineData("nonsense", "no port")]
    [InlineData("127.0.0.1", "no port")]
    [InlineData("::1", "too many colons")]
    [InlineData("::1:80", "too many colons")]
    [InlineData("tcp:127.0.0.1:80", "too many colons")]
    [InlineData("127.0.0.1:", "port \"\"")]
    [InlineData("127.0.0.1:http", "port \"http\"")]
    [InlineData("127.0.0.1:65536", "port \"65536\"")]
    [InlineData("127.0.0.1:99999999999999", "port \"99999999999999\"")]
    [InlineData("127.0.0.1:-1", "port \"-1\"")]
    [InlineData("127.0.0.1:+1", "port \"+1\"")]
    [InlineData("127.0.0.1: 80", "port \" 80\"")]
    [InlineData("127.0.0.1:80 ", "port \"80 \"")]
    [InlineData("127.0.0.1:٣", "port \"٣\"")]
    [InlineData("[::1:80", "bracket")]
    [InlineData("[]:80", "not an IPv6 address")]
    [InlineData("[127.0.0.1]:80", "not an IPv6 address")]
    [InlineData("[localhost]:80", "not an IPv6 address")]
    [InlineData("[::1]x:80", "bracket")]
    public async Task A_malformed_address_is_named_with_what_is_wrong_and_what_was_expected(string address, string why)
    {
        using Fixture fixture = new();
        FormatException[] errors =
        [
            Assert.Throws<FormatException>(() => fixture.Net.Listen("tcp", address)),
            Assert.Throws<FormatException>(() => fixture.Net.Dial("tcp", address)),
            await Assert.ThrowsAsync<FormatException>(() => fixture.Net.DialAsync("tcp", address).Within()),
        ];
        Assert.All(errors, e =>
        {
            Assert.StartsWith($"address \"{address}\": ", e.Message, StringComparison.Ordinal);
            Assert.Contains(why, e.Message, StringComparison.Ordinal);
            Assert.Contains("host:port was expected", e.Message, StringComparison.Ordinal);
        });
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
    public async Task A_numeric_host_that_is_not_four_decimal_parts_is_refused(string host)
    {
        using Fixture fixture = new();
        FormatException[] errors =
        [
            Assert.Throws<FormatException>(() => fixture.Net.Listen("tcp", $"{host}:0")),
            Assert.Throws<FormatException>(() => fixture.Net.Dial("tcp", $"{host}:1")),
            await Assert.ThrowsAsync<FormatException>(() => fixture.Net.DialAsync("tcp", $"{host}:1").Within()),
        ];
        Assert.All(errors, e => Assert.Contains($"{host} is not an IPv4 address of four decimal parts", e.Message, StringComparison.Ordinal));
        Assert.Equal(IPAddress.Loopback, ((IPEndPoint)Listened(fixture, "127.0.0.1:0")).Address);
    }

    private static EndPoint Listened(Fixture fixture, string address)
    {
        using ConnListener listener = fixture.Net.Listen("tcp", address);
        return listener.LocalEndPoint;
    }
}
