using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// What all sockets of one network share: its name, such as <c>tcp</c>, their kind and the system calls, the pipes of their copies, and for
/// the connections of one listener their limits.
/// </summary>
/// <param name="Name">The name that the user gave, and that errors show.</param>
/// <param name="Family">The one address family that it allows. For an IP network, Unspecified means IPv4 and IPv6.</param>
/// <param name="Type">The kind of socket.</param>
/// <param name="Protocol">The protocol; Unspecified for the only one of a kind.</param>
/// <param name="Api">The system calls.</param>
internal sealed record SocketNetwork(string Name, AddressFamily Family, SocketType Type, ProtocolType Protocol, ISocketApi Api)
{
    /// <summary>The networks with a fixed name. Those of raw sockets, such as <c>ip:icmp</c>, name a protocol too.</summary>
    public static readonly IReadOnlyList<string> Names =
        ["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "unixgram", "unixpacket"];

    /// <summary>Whether its sockets carry bytes without borders. Others carry messages, and each call moves one.</summary>
    public bool IsStream { get; } = Type == SocketType.Stream;

    /// <summary>Whether its sockets have one peer for life, and so are listened for, accepted and dialed, and have an end.</summary>
    public bool HasConnections { get; } = Type is SocketType.Stream or SocketType.Seqpacket;

    /// <summary>Whether it is TCP, or a protocol in its place.</summary>
    public bool IsTcp { get; } = Type == SocketType.Stream && Family != AddressFamily.Unix;

    public bool IsUnix { get; } = Family == AddressFamily.Unix;

    /// <summary>Whether its sockets see a protocol over IP (raw(7)), which has no ports.</summary>
    public bool IsRaw { get; } = Type == SocketType.Raw;

    /// <summary>Whether its sockets carry packets over IP: UDP, or a protocol of raw sockets.</summary>
    public bool IsIpPacket => !IsUnix && Type is SocketType.Dgram or SocketType.Raw;

    /// <summary>
    /// Whether a read of fewer bytes than asked means that the socket is empty. It does not where messages have borders. On a Unix stream,
    /// a read also stops behind the bytes that came with descriptors.
    /// </summary>
    public bool ShortReadDrains => IsTcp;

    /// <summary>The pipes of copies whose source is a socket of this network.</summary>
    public SplicePipes Pipes { get; } = new(Api);

    /// <summary>How many of its sockets may be open, if it is that of one listener's connections; null if there is no limit.</summary>
    public ConnLimit? Limit { get; init; }

    /// <summary>What ends its sockets when they are idle, if it is that of one listener's connections; null if nothing does.</summary>
    public IdleSweep? Idle { get; init; }

    /// <summary>Whether a socket that is bound to an address takes IPv4 beside IPv6, unless it is told otherwise.</summary>
    public bool IsDualStackAt(EndPoint local) =>
        Family == AddressFamily.Unspecified && !IsRaw && local is IPEndPoint ip && ip.Address.Equals(IPAddress.IPv6Any);

    /// <summary>The network's name for one of its address families, such as <c>tcp4</c>: ctrlNetwork in Go's net/fd_posix.go.</summary>
    public string NameFor(AddressFamily family)
    {
        if (IsUnix || Family != AddressFamily.Unspecified) return Name;
        string suffix = family == AddressFamily.InterNetwork ? "4" : "6";
        int colon = Name.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? Name + suffix : Name.Insert(colon, suffix);
    }

    /// <summary>The network of a fixed name.</summary>
    public static SocketNetwork Of(string name, ISocketApi api)
    {
        (SocketType type, ProtocolType protocol) = name switch
        {
            "tcp" or "tcp4" or "tcp6" => (SocketType.Stream, ProtocolType.Tcp),
            "udp" or "udp4" or "udp6" => (SocketType.Dgram, ProtocolType.Udp),
            "unix" => (SocketType.Stream, ProtocolType.Unspecified),
            "unixgram" => (SocketType.Dgram, ProtocolType.Unspecified),
            "unixpacket" => (SocketType.Seqpacket, ProtocolType.Unspecified),
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, $"one of {string.Join(", ", Names)} was expected."),
        };
        AddressFamily family = name.StartsWith("unix", StringComparison.Ordinal) ? AddressFamily.Unix
            : name.EndsWith('4') ? AddressFamily.InterNetwork
            : name.EndsWith('6') ? AddressFamily.InterNetworkV6
            : AddressFamily.Unspecified;
        return new SocketNetwork(name, family, type, protocol, api);
    }

    /// <summary>
    /// The network of raw sockets that a name such as <c>ip4:icmp</c> or <c>ip:1</c> names; null if it names none. The twin of parseNetwork
    /// in Go's net/dial.go.
    /// </summary>
    public static SocketNetwork? OfRaw(string name, ISocketApi api)
    {
        if (name.Split(':') is not [var ip, var protocol]) return null;
        AddressFamily? family = ip switch
        {
            "ip" => AddressFamily.Unspecified,
            "ip4" => AddressFamily.InterNetwork,
            "ip6" => AddressFamily.InterNetworkV6,
            _ => null,
        };
        bool isKnown = NumberNames.TryReadNumber(protocol, byte.MaxValue, out int number)
            || NumberNames.TryFindProtocol(protocol, out number);
        return isKnown && family is { } known ? new SocketNetwork(name, known, SocketType.Raw, (ProtocolType)number, api) : null;
    }
}
