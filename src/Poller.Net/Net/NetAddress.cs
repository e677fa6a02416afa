using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

// The twin of SplitHostPort and internetAddrList in Go's net/ipsock.go, and of parsePort in net/port.go.
//
// Only this type decodes the text, and everything that follows uses what it decoded. If two decoders disagree, an allow-list can be
// bypassed. So a host is either an address with only one reading, or a name that the system's look-up cannot read as an address. IPAddress
// and getaddrinfo(3) are too generous for that: they stop at a NUL, and accept octal, hexadecimal and shortened forms.

/// <summary>An address of an IP network, decoded: <c>host:port</c>, or a host alone for raw sockets.</summary>
internal readonly struct NetAddress
{
    // RFC 1035. Dns.GetHostAddresses throws for more than 254.
    private const int MaxName = 253;

    private NetAddress(SocketNetwork network, string host, IPAddress? literal, int port)
    {
        Network = network;
        Host = host;
        Literal = literal;
        Port = port;
    }

    public SocketNetwork Network { get; }

    /// <summary>A name, a literal address, or the empty string.</summary>
    public string Host { get; }

    /// <summary>
    /// The address, if <see cref="Host"/> is one; else null. It is never IPv4-mapped, because such an address is decoded as IPv4.
    /// </summary>
    public IPAddress? Literal { get; }

    public int Port { get; }

    /// <exception cref="FormatException">The text is not an address of the network.</exception>
    public static NetAddress Parse(SocketNetwork network, string address)
    {
        ArgumentNullException.ThrowIfNull(address);
        try
        {
            if (network.IsRaw) return new NetAddress(network, address, DecodeHost(address, address.Contains(':'), network), 0);
            SplitHostPort(address, out string host, out bool inBrackets, out string port);
            return new NetAddress(network, host, DecodeHost(host, inBrackets, network), DecodePort(port, network));
        }
        catch (FormatException e)
        {
            string expected = network.IsRaw
                ? "a host without a port was expected, like 127.0.0.1, ::1 or localhost."
                : "host:port was expected, like 127.0.0.1:8888, [::1]:8888, localhost:http or :8888.";
            throw new FormatException($"address \"{EndPoints.Show(address)}\": {e.Message}; {expected}");
        }
    }

    /// <summary>The address of an end point, copied.</summary>
    public static NetAddress Of(SocketNetwork network, IPEndPoint endPoint)
    {
        IPEndPoint copy = EndPoints.Copy(endPoint);
        return new NetAddress(network, copy.Address.ToString(), copy.Address, copy.Port);
    }

    /// <summary>A host, which stands without brackets, and a port.</summary>
    /// <exception cref="FormatException">The host is neither an address of the network's family nor a name.</exception>
    public static NetAddress Of(SocketNetwork network, DnsEndPoint endPoint)
    {
        string host = endPoint.Host;
        try
        {
            return new NetAddress(network, host, DecodeHost(host, host.Contains(':'), network), endPoint.Port);
        }
        catch (FormatException e)
        {
            const string Expected = "a name or an address, without brackets and port, was expected, like localhost, 127.0.0.1 or ::1.";
            throw new FormatException($"host \"{EndPoints.Show(host)}\": {e.Message}; {Expected}");
        }
    }

    /// <summary>
    /// The address to listen on. If a name has several addresses, an IPv4 one is preferred, as in Go.
    /// </summary>
    public IPEndPoint ForListen(INameLookup names)
    {
        IPEndPoint local;
        AddressFamily family = Network.Family;
        if (Host.Length == 0)
        {
            // A raw socket of IPv6 receives no IPv4.
            bool four = family == AddressFamily.InterNetwork || !Socket.OSSupportsIPv6
                || (family == AddressFamily.Unspecified && Network.IsRaw);
            local = new IPEndPoint(four ? IPAddress.Any : IPAddress.IPv6Any, Port);
        }
        else if (Literal is not null) local = new IPEndPoint(Literal, Port);
        else
        {
            try
            {
                List<IPEndPoint> found = Resolved("listen", names.Lookup(Host));
                local = found.Find(static e => e.AddressFamily == AddressFamily.InterNetwork) ?? found[0];
            }
            catch (SocketException e)
            {
                throw Unresolved("listen", e);
            }
        }
        return local;
    }

    /// <summary>The addresses to dial, in the order to try them. An empty host and a wildcard address mean this machine.</summary>
    public async ValueTask<List<IPEndPoint>> ForDialAsync(INameLookup names, DialMode mode)
    {
        if (Host.Length == 0 || IPAddress.Any.Equals(Literal) || IPAddress.IPv6Any.Equals(Literal)) return ThisMachine();
        if (Literal is not null) return [new IPEndPoint(Literal, Port)];
        try
        {
            return Resolved("dial", mode.Blocking ? Lookup(names, mode) : await LookupAsync(names, mode).ConfigureAwait(false));
        }
        catch (SocketException e)
        {
            throw Unresolved("dial", e);
        }
        catch (TimeoutException)
        {
            throw NetOpException.Timeout("dial", Network.Name, null, new DnsEndPoint(Host, Port), mode.Timeout);
        }
    }

    // Go's toLocal has the one of the network's family, and 127.0.0.1 for tcp. A listener on ::1 is then not found.
    private List<IPEndPoint> ThisMachine()
    {
        IPEndPoint four = new(IPAddress.Loopback, Port), six = new(IPAddress.IPv6Loopback, Port);
        return Network.Family switch
        {
            AddressFamily.InterNetwork => [four],
            AddressFamily.InterNetworkV6 => [six],
            _ when !Socket.OSSupportsIPv6 => [four],
            _ => Literal?.AddressFamily == AddressFamily.InterNetworkV6 ? [six, four] : [four, six],
        };
    }

    private static void SplitHostPort(string address, out string host, out bool inBrackets, out string port)
    {
        inBrackets = address.StartsWith('[');
        int colon;
        if (inBrackets)
        {
            int end = address.IndexOf(']', StringComparison.Ordinal);
            if (end < 0) throw new FormatException("a bracket is not closed");
            if (end + 1 == address.Length) throw new FormatException("the port is missing");
            colon = end + 1;
            if (address[colon] != ':') throw new FormatException("a colon and the port were expected after the bracket");
            host = address[1..end];
        }
        else
        {
            colon = address.LastIndexOf(':');
            if (colon < 0) throw new FormatException("the port is missing");
            host = address[..colon];
            if (host.Contains(':')) throw new FormatException("too many colons: an IPv6 address must be in brackets");
        }
        port = address[(colon + 1)..];
    }

    // An empty port means 0, as in Go.
    private static int DecodePort(string text, SocketNetwork network)
    {
        if (text.Length == 0) return 0;
        if (NumberNames.TryReadNumber(text, IPEndPoint.MaxPort, out int port)) return port;
        string protocol = network.IsTcp ? "tcp" : "udp";
        if (!text.All(char.IsAsciiDigit) && NumberNames.TryFindService(protocol, text, out port)) return port;
        throw new FormatException(
            $"port \"{EndPoints.Show(text)}\" is not a number from 0 to {IPEndPoint.MaxPort}, nor the name of a {protocol} service that "
            + "this machine knows");
    }

    // Null for a name, and for the empty string.
    private static IPAddress? DecodeHost(string host, bool isIPv6, SocketNetwork network)
    {
        IPAddress? address = isIPv6 ? DecodeIPv6(host) : DecodeIPv4OrName(host);
        if (address is not null && network.Family != AddressFamily.Unspecified && address.AddressFamily != network.Family)
        {
            throw new FormatException($"{host} is not an address of {network.Name}");
        }
        return address;
    }

    private static IPAddress DecodeIPv6(string host)
    {
        int percent = host.IndexOf('%', StringComparison.Ordinal);
        string digits = percent < 0 ? host : host[..percent];
        string quad = digits[(digits.LastIndexOf(':') + 1)..]; // The last 32 bits may be written as in IPv4.
        if (!digits.Contains(':') || !digits.All(static c => char.IsAsciiHexDigit(c) || c is ':' or '.')
            || !IPAddress.TryParse(digits, out IPAddress? address) || (quad.Contains('.') && DecodeIPv4(quad) is null))
        {
            throw new FormatException($"\"{EndPoints.Show(host)}\" is not an IPv6 address");
        }
        if (percent >= 0)
        {
            // One reader would ignore a zone on either of these, and another would not.
            if (address.IsIPv4MappedToIPv6) throw new FormatException($"\"{EndPoints.Show(host)}\" is an IPv4 address, which has no zone");
            if (address.Equals(IPAddress.IPv6Any))
            {
                throw new FormatException($"\"{EndPoints.Show(host)}\" is every address, which has no zone");
            }
            bool printable = host.All(static c => c is > ' ' and <= '~');
            if (!printable || !IPAddress.TryParse(host, out address) || address.ScopeId == 0)
            {
                throw new FormatException($"\"{EndPoints.Show(host)}\" names a zone that this machine does not have");
            }
        }
        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    private static IPAddress? DecodeIPv4OrName(string host)
    {
        if (host.Length == 0) return null;
        if (DecodeIPv4(host) is { } address) return address;
        if (!host.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
        {
            throw new FormatException(
                $"\"{EndPoints.Show(host)}\" is not a name: ASCII letters, digits, '-', '_' and '.' were expected; "
                + "IdnMapping converts other letters");
        }
        string name = host.EndsWith('.') ? host[..^1] : host;
        if (name.Length > MaxName) throw new FormatException($"the host has {name.Length} characters; a name has {MaxName} at most");

        // "1", "0x7f.1" and "127.0.0.010" (an octal 8) are addresses to inet_aton(3), and so to a look-up. No top-level domain is a number.
        string last = name[(name.LastIndexOf('.') + 1)..];
        bool isNumber = last.Length > 0 && last.All(char.IsAsciiDigit)
            || last.StartsWith("0x", StringComparison.OrdinalIgnoreCase) && last.Skip(2).All(char.IsAsciiHexDigit);
        if (isNumber) throw new FormatException($"{host} is not an IPv4 address of four decimal parts");
        return null;
    }

    // Accepts four decimal parts without leading zeros, which is also how .NET formats such an address.
    private static IPAddress? DecodeIPv4(string text)
    {
        bool isIPv4 = IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork;
        return isIPv4 && address!.ToString() == text ? address : null;
    }

    // Nothing can end getaddrinfo(3), so we abandon a look-up that takes too long.
    private async ValueTask<IPAddress[]> LookupAsync(INameLookup names, DialMode mode)
    {
        Task<IPAddress[]> lookup = names.LookupAsync(Host, mode.Token);
        try
        {
            TimeSpan left = mode.Left is { } time && time < DialMode.MaxWait ? time : Timeout.InfiniteTimeSpan;
            return await lookup.WaitAsync(left, mode.Clock, mode.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            LeaveBehind(lookup);
            throw;
        }
    }

    // With a time-out, the look-up runs on its own thread, because the caller may block the pool.
    private IPAddress[] Lookup(INameLookup names, DialMode mode)
    {
        string host = Host;
        if (mode.Left is not { } left || left > DialMode.MaxWait) return names.Lookup(host);
        Task<IPAddress[]> lookup = Task.Factory.StartNew(
            () => names.Lookup(host), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        if (Task.WaitAny([lookup], left) == 0) return lookup.GetAwaiter().GetResult();
        LeaveBehind(lookup);
        throw new TimeoutException();
    }

    // Observes the error of an abandoned look-up, which nobody will read.
    private static void LeaveBehind(Task lookup) => lookup.ContinueWith(
        static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    private List<IPEndPoint> Resolved(string operation, IPAddress[] addresses)
    {
        AddressFamily family = Network.Family;
        int port = Port;
        List<IPEndPoint> found = [.. addresses.Select(a => EndPoints.Copy(new IPEndPoint(a, port)))
            .Where(e => family == AddressFamily.Unspecified || e.AddressFamily == family)];
        if (found.Count > 0) return found;
        string kind = family == AddressFamily.InterNetwork ? "an IPv4" : "an IPv6";
        string expected = $"{kind} address of {Host} was expected for {Network.Name}";
        throw Unresolved(operation, new SocketException((int)SocketError.NoData), expected);
    }

    private NetOpException Unresolved(
        string operation, SocketException e, string hint = "a name that resolves, or an address, was expected") =>
        operation == "listen"
            ? NetOpException.Refused(operation, Network.Name, new DnsEndPoint(Host, Port), null, e, hint)
            : NetOpException.Refused(operation, Network.Name, null, new DnsEndPoint(Host, Port), e, hint);
}
