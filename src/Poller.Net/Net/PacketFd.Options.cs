using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

// The twin of Go's net/sockoptip_posix.go, and of what golang.org/x/net/ipv4 and ipv6 add to it. On a dual-stack socket an option goes to
// both families.

internal partial class PacketFd
{
    public int GetIpOption(SocketOptionName ipv4, SocketOptionName ipv6, string operation) =>
        _family == AddressFamily.InterNetwork
            ? GetOption(SocketOptionLevel.IP, ipv4, operation)
            : GetOption(SocketOptionLevel.IPv6, ipv6, operation);

    public void SetIpOption(SocketOptionName ipv4, SocketOptionName ipv6, int value, string operation)
    {
        if (_family == AddressFamily.InterNetworkV6) SetOption(SocketOptionLevel.IPv6, ipv6, value, operation);
        if (_family == AddressFamily.InterNetwork || _isDualStack) SetOption(SocketOptionLevel.IP, ipv4, value, operation);
    }

    public void SetMulticastInterface(int interfaceIndex, string operation)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(interfaceIndex);
        using Reference held = Hold(operation);
        IoResult result = 0;
        if (_family == AddressFamily.InterNetworkV6) result = Api.SetMulticastInterface(Fd, AddressFamily.InterNetworkV6, interfaceIndex);
        if (result.IsSuccess && (_family == AddressFamily.InterNetwork || _isDualStack))
        {
            result = Api.SetMulticastInterface(Fd, AddressFamily.InterNetwork, interfaceIndex);
        }
        if (!result.IsSuccess) throw Refused(operation, result.Errno, HintForInterface(interfaceIndex));
    }

    public void SetMembership(IPAddress group, int interfaceIndex, bool joins, string operation)
    {
        ArgumentNullException.ThrowIfNull(group);
        ArgumentOutOfRangeException.ThrowIfNegative(interfaceIndex);
        if (group.IsIPv4MappedToIPv6) group = group.MapToIPv4();
        if (!IsMulticast(group)) throw new ArgumentException($"{group}: the address of a multicast group was expected.", nameof(group));
        if (group.AddressFamily != _family && !_isDualStack)
        {
            string expected = _family == AddressFamily.InterNetwork ? "an IPv4" : "an IPv6";
            throw new ArgumentException($"{group}: {expected} group was expected for this socket.", nameof(group));
        }
        using Reference held = Hold(operation);
        IoResult result = Api.SetMembership(Fd, group.GetAddressBytes(), interfaceIndex, joins);
        if (!result.IsSuccess) throw Refused(operation, result.Errno, HintForInterface(interfaceIndex));
    }

    private static string? HintForInterface(int interfaceIndex) =>
        interfaceIndex == 0 ? null : $"{interfaceIndex} was given, and the index of an interface with multicast was expected";
}
