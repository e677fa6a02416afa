using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;

namespace Poller.Net.Tests;

/// <summary>
/// Texts that nobody would write by accident: each is an address that has one reading, or a <see cref="FormatException"/>; and each name of
/// a network is one, or an <see cref="ArgumentException"/>. A failure shrinks, and prints the text and the seed.
/// </summary>
public sealed class NetAddressTests
{
    // Parts of addresses, and texts that decoders have misread.
    private static readonly string[] Pieces =
    [
        "127", "0", "1", "010", "0x7f", "255", "256", "4294967296", "65535", "65536", "127.0.0.1", "0.0.0.0", "10.0.0.1",
        "127.0.0.010", ".", ":", "::", "[", "]", "%", "%lo", "%1", "%0", "%nosuch", "ffff", "::ffff:", "::ffff:127.0.0.1", "fe80::1", "::1",
        "http", "domain", "HTTPS", "icmp", "ip", "ip4:", "tcp", "udp6", "[::]", "[::1]", ":80", ":0", "localhost", "example", "org",
        "xn--", "a", "X", "-", "_", "+", "/", "@", "#", "?", "\\", ",",
        "\0", "\t", "\n", "\r", " ", "\u007f", "\u0085", "\u00a0", "\u200b", "\u202e", "\u3002", "\u0663", "\uff11", "ü", "\ud83d", "😀",
    ];

    private static readonly SocketNetwork[] Networks =
    [
        .. SocketNetwork.Names.Select(static name => SocketNetwork.Of(name, SystemSocketApi.Current)).Where(static n => !n.IsUnix),
        .. ((string[])["ip:icmp", "ip4:1", "ip6:ipv6-icmp"]).Select(static name => SocketNetwork.OfRaw(name, SystemSocketApi.Current)!),
    ];

    private static readonly Gen<string> Texts = Gen.OneOf(
        Gen.Elements(Pieces).NonEmptyListOf().Select(static pieces => string.Concat(pieces)),
        Gen.Elements(Pieces).NonEmptyListOf().Select(static pieces => $"[{string.Concat(pieces)}]:1"),
        Gen.Elements(Pieces).Two().Select(static pair => $"{pair.Item1}127.0.0.1{pair.Item2}:1"),
        ArbMap.Default.GeneratorFor<string>().Select(static text => text ?? ""));

    [Property(MaxTest = 10_000, EndSize = 12)]
    public Property Any_text_is_an_address_with_one_reading_or_malformed() => Prop.ForAll(Texts.ToArbitrary(), static text =>
    {
        foreach (SocketNetwork network in Networks) CheckText(network, text);
    });

    [Property(MaxTest = 10_000, EndSize = 12)]
    public Property Any_text_is_a_network_or_an_unknown_one()
    {
        NetStack net = new(new Netpoller(EpollBackend.Factory)); // It begins nothing, so there is nothing to dispose.
        return Prop.ForAll(Texts.ToArbitrary(), text =>
        {
            try
            {
                SocketNetwork network = net.FindNetwork(text);
                Assert.Equal(text, network.Name);
                Assert.True(SocketNetwork.Names.Contains(text) || (network.IsRaw && text.StartsWith("ip", StringComparison.Ordinal)));
            }
            catch (ArgumentException e)
            {
                Assert.Equal("network", e.ParamName);
                Assert.DoesNotContain(e.Message, char.IsControl);
            }
        });
    }

    [Property(MaxTest = 10_000, EndSize = 12)]
    public Property Any_host_is_an_address_with_one_reading_or_malformed() => Prop.ForAll(Texts.ToArbitrary(), static host =>
    {
        try
        {
            if (host.Length > 0) CheckDecoded(NetAddress.Of(Networks[0], new DnsEndPoint(host, 1)));
        }
        catch (FormatException e)
        {
            CheckMessage(e);
        }
    });

    [Property(MaxTest = 2_000)]
    public Property What_an_end_point_is_written_as_is_read_as_the_same(byte[] bytes, ushort port, uint zone, bool mapped)
    {
        byte[] address = new byte[16];
        bytes.AsSpan(0, Math.Min(bytes.Length, 16)).CopyTo(address);
        if (mapped) IPAddress.Loopback.MapToIPv6().GetAddressBytes().AsSpan(0, 12).CopyTo(address);
        IPAddress six = new(address);
        if (!six.IsIPv4MappedToIPv6 && !six.Equals(IPAddress.IPv6Any)) six.ScopeId = zone;
        IPEndPoint[] all = [new(six, port), new(new IPAddress(address.AsSpan(12)), port)];
        return all.All(static e => Read(e.ToString()).Equals(EndPoints.Copy(e))).ToProperty();

        static IPEndPoint Read(string text)
        {
            NetAddress parsed = NetAddress.Parse(Networks[0], text);
            return new IPEndPoint(parsed.Literal!, parsed.Port);
        }
    }

    private static void CheckText(SocketNetwork network, string text)
    {
        NetAddress parsed;
        try
        {
            parsed = NetAddress.Parse(network, text);
        }
        catch (FormatException e)
        {
            CheckMessage(e);
            return;
        }
        Assert.Equal(network, parsed.Network);
        CheckDecoded(parsed);

        if (network.IsRaw)
        {
            Assert.Equal((text, 0), (parsed.Host, parsed.Port));
            return;
        }

        // The whole text was read: put together again, the parts are the text, except for the zeros of the port and the name of a service.
        int colon = text.LastIndexOf(':');
        Assert.Equal(text[..colon], text[0] == '[' ? $"[{parsed.Host}]" : parsed.Host);
        string port = text[(colon + 1)..];
        if (NumberNames.TryFindService(network.IsTcp ? "tcp" : "udp", port, out int found)) Assert.Equal(found, parsed.Port);
        else Assert.Equal(port.TrimStart('0'), parsed.Port == 0 ? "" : $"{parsed.Port}");
    }

    private static void CheckDecoded(NetAddress parsed)
    {
        Assert.InRange(parsed.Port, 0, 65535);
        Assert.All(parsed.Host, static c => Assert.InRange(c, '!', '~'));
        if (parsed.Literal is { } literal)
        {
            IPAddress read = IPAddress.Parse(parsed.Host);
            Assert.Equal(read.IsIPv4MappedToIPv6 ? read.MapToIPv4() : read, literal);
            Assert.True(parsed.Network.Family == AddressFamily.Unspecified || parsed.Network.Family == literal.AddressFamily);
        }
        else
        {
            Assert.False(IPAddress.TryParse(parsed.Host, out _), $"{parsed.Host} is an address to the BCL, and a name to us.");
            bool toLibC = parsed.Host.Length > 0 && inet_aton(parsed.Host, out _) != 0;
            Assert.False(toLibC, $"{parsed.Host} is an address to libc, and a name to us.");
            Assert.InRange(parsed.Host.Length, 0, 254); // Dns takes no longer name.
        }
    }

    private static void CheckMessage(FormatException e)
    {
        Assert.Contains(" was expected, like ", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(e.Message, char.IsControl);
    }

    [DllImport("libc")]
    private static extern int inet_aton([MarshalAs(UnmanagedType.LPUTF8Str)] string text, out uint address);
}
