using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>What the net package does with end points of every kind: it copies those that can be changed, and shows them.</summary>
internal static class EndPoints
{
    /// <summary>
    /// A copy, so that a change of one does not change the other. The copy of an IPv4-mapped address is the IPv4 address, as in Go.
    /// </summary>
    public static IPEndPoint Copy(IPEndPoint endPoint)
    {
        IPAddress address = endPoint.Address;
        IPAddress copy = address.IsIPv4MappedToIPv6 ? address.MapToIPv4()
            : address.AddressFamily == AddressFamily.InterNetworkV6 ? new IPAddress(address.GetAddressBytes(), address.ScopeId)
            : new IPAddress(address.GetAddressBytes());
        return new IPEndPoint(copy, endPoint.Port);
    }

    /// <inheritdoc cref="Copy(IPEndPoint)"/>
    [return: NotNullIfNotNull(nameof(endPoint))]
    public static EndPoint? Copy(EndPoint? endPoint) => endPoint is IPEndPoint ip ? Copy(ip) : endPoint;

    /// <summary>
    /// The text of an end point in a message. Null if there is none, and for a Unix socket without a name. DnsEndPoint.ToString would also
    /// show the address family.
    /// </summary>
    public static string? Show(EndPoint? endPoint) => endPoint switch
    {
        DnsEndPoint name => $"{name.Host}:{name.Port}",
        UnixDomainSocketEndPoint unix when unix.ToString() is { Length: > 0 } name => Show(name),
        UnixDomainSocketEndPoint => null,
        _ => endPoint?.ToString(),
    };

    /// <summary>Shows characters by their number if they could overwrite the rest of a message, or hide a part of it.</summary>
    public static string Show(string text) => string.Concat(text.Select(static c => char.GetUnicodeCategory(c) is UnicodeCategory.Control
        or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate
            ? $"\\u{(int)c:x4}"
            : c.ToString()));
}
