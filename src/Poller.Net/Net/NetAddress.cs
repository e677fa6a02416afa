using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// A network's name and a <c>host:port</c>, taken apart. The twin of SplitHostPort and internetAddrList in Go's net/ipsock.go.
/// </summary>
internal readonly struct NetAddress
{
    // What Dns takes; a name of RFC 1035 has 253.
    private const int MaxHost = 255;

    /// <summary>The networks there are, and the only family each allows, or Unspecified.</summary>
    public static readonly Dictionary<string, AddressFamily> Networks = new()
    {
        ["tcp"] = AddressFamily.Unspecified,
        ["tcp4"] = AddressFamily.InterNetwork,
        ["tcp6"] = AddressFamily.InterNetworkV6,
    };

    private NetAddress(string network, AddressFamily family, string text, string host, int port)
    {
        Network = network;
        Family = family;
        Text = text;
        Host = host;
        Port = port;
    }

    public string Network { get; }

    /// <summary>The only family the network allows, or Unspecified.</summary>
    public AddressFamily Family { get; }

    public string Text { get; }

    /// <summary>A name, a literal address, or nothing.</summary>
    public string Host { get; }

    public int Port { get; }

    /// <exception cref="ArgumentException">The network is not known.</exception>
    /// <exception cref="FormatException">The address is not one of the network.</exception>
    public static NetAddress Parse(string network, string address)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(address);
        if (!Networks.TryGetValue(network, out AddressFamily family))
        {
            throw new ArgumentException($"unknown network \"{network}\"; tcp, tcp4 or tcp6 was expected.", nameof(network));
        }

        int colon = address.LastIndexOf(':');
        if (colon < 0) throw Malformed(address, "no port");
        string host = address[..colon];
        if (host.StartsWith('['))
        {
            if (!host.EndsWith(']')) throw Malformed(address, "a bracket is not closed before the port");
            host = host[1..^1];
            if (!IPAddress.TryParse(host, out IPAddress? literal) || literal.AddressFamily != AddressFamily.InterNetworkV6)
            {
                throw Malformed(address, $"\"{host}\" is not an IPv6 address");
            }
        }
        else if (host.Contains(':'))
        {
            throw Malformed(address, "too many colons: an IPv6 address stands in brackets");
        }
        if (host.Length > MaxHost) throw Malformed(address, $"the host has {host.Length} characters; a name has {MaxHost} at most");
        string portText = address[(colon + 1)..];
        if (!int.TryParse(portText, NumberStyles.None, CultureInfo.InvariantCulture, out int port) || port > IPEndPoint.MaxPort)
        {
            throw Malformed(address, $"port \"{portText}\" is not a number from 0 to 65535");
        }
        return new NetAddress(network, family, address, host, port);
    }

    /// <summary>What to listen on: one address. For a name that has several, an IPv4 one, as in Go.</summary>
    public IPEndPoint ForListen()
    {
        if (Host.Length == 0)
        {
            bool four = Family == AddressFamily.InterNetwork || !Socket.OSSupportsIPv6;
            return new IPEndPoint(four ? IPAddress.Any : IPAddress.IPv6Any, Port);
        }
        List<IPEndPoint> found = Literal() ?? Resolved("listen", Lookup("listen"));
        return found.Find(static e => e.AddressFamily == AddressFamily.InterNetwork) ?? found[0];
    }

    /// <summary>What to dial, in the order to try. Nothing for a host is this machine.</summary>
    public async ValueTask<List<IPEndPoint>> ForDialAsync(bool blocking, CancellationToken token)
    {
        if (Host.Length == 0)
        {
            return [new IPEndPoint(Family == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Loopback : IPAddress.Loopback, Port)];
        }
        if (Literal() is { } literal) return literal;
        if (blocking) return Resolved("dial", Lookup("dial"));
        try
        {
            return Resolved("dial", await Dns.GetHostAddressesAsync(Host, token).ConfigureAwait(false));
        }
        catch (SocketException e)
        {
            throw Unresolved("dial", e);
        }
    }

    // Null when the host is a name.
    private List<IPEndPoint>? Literal()
    {
        if (!IPAddress.TryParse(Host, out IPAddress? address)) return null;

        // The BCL, and a look-up too, take "1", "0x7f.1" and "127.0.0.010" (an octal 8) for addresses, as inet_aton(3) does. Go does not.
        if (address.AddressFamily == AddressFamily.InterNetwork && address.ToString() != Host)
        {
            throw Malformed(Text, $"{Host} is not an IPv4 address of four decimal parts");
        }
        if (Host.Contains('%') && address.ScopeId == 0) throw Malformed(Text, $"{Host} names a zone that this machine does not have");

        // As in Go, an IPv4 address however it is written.
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        if (Family != AddressFamily.Unspecified && address.AddressFamily != Family)
        {
            throw Malformed(Text, $"{Host} is not an address of {Network}");
        }
        return [new IPEndPoint(address, Port)];
    }

    private IPAddress[] Lookup(string operation)
    {
        try
        {
            return Dns.GetHostAddresses(Host);
        }
        catch (SocketException e)
        {
            throw Unresolved(operation, e);
        }
    }

    private List<IPEndPoint> Resolved(string operation, IPAddress[] addresses)
    {
        AddressFamily family = Family;
        int port = Port;
        List<IPEndPoint> found = [.. addresses.Where(a => family == AddressFamily.Unspecified || a.AddressFamily == family)
            .Select(a => new IPEndPoint(a, port))];
        if (found.Count > 0) return found;
        string kind = family == AddressFamily.InterNetwork ? "an IPv4" : "an IPv6";
        throw Unresolved(operation, new SocketException((int)SocketError.NoData), $"{kind} address of {Host} was expected for {Network}");
    }

    private NetOpException Unresolved(string operation, SocketException e, string hint = "a name that resolves, or an address, was expected") =>
        operation == "listen"
            ? NetOpException.Refused(operation, Network, new DnsEndPoint(Host, Port), null, e, hint)
            : NetOpException.Refused(operation, Network, null, new DnsEndPoint(Host, Port), e, hint);

    private static FormatException Malformed(string address, string why) =>
        new($"address \"{address}\": {why}; host:port was expected, like 127.0.0.1:8888, [::1]:8888, localhost:8888 or :8888.");
}
