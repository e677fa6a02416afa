using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of Go's net/sockoptip_posix.go, and of what golang.org/x/net/ipv4 and ipv6 add to it. On a dual-stack socket an option goes to
// both families.

internal partial class PacketFd
{
    private delegate IoResult Call<TState>(PacketFd fd, TState state);

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
        if (_family == AddressFamily.InterNetworkV6) Set(AddressFamily.InterNetworkV6);
        if (_family == AddressFamily.InterNetwork || _isDualStack) Set(AddressFamily.InterNetwork);

        void Set(AddressFamily family) => Use(
            operation,
            (family, interfaceIndex),
            static (fd, option) => fd.Api.SetMulticastInterface(fd.Fd, option.family, option.interfaceIndex),
            HintForInterface(interfaceIndex));
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
        Use(
            operation,
            (group: group.GetAddressBytes(), interfaceIndex, joins),
            static (fd, option) => fd.Api.SetMembership(fd.Fd, option.group, option.interfaceIndex, option.joins),
            HintForInterface(interfaceIndex));
    }

    private static string? HintForInterface(int interfaceIndex) =>
        interfaceIndex == 0 ? null : $"{interfaceIndex} was given, and the index of an interface with multicast was expected";

    // Makes a call that needs no lock.
    private void Use<TState>(string operation, TState state, Call<TState> call, string? hint = null)
    {
        if (!Incref()) throw Failed(operation, IoResult.Disposed);
        try
        {
            IoResult result = call(this, state);
            if (!result.IsSuccess) throw Failed(operation, result.Errno, hint);
        }
        finally
        {
            Decref();
        }
    }

    private NetOpException Failed(string operation, Errno error, string? hint)
    {
        (EndPoint? local, EndPoint? remote) = KnownEndPoints();
        return NetOpException.Refused(operation, Network, local, remote, SocketErrors.ToException(error), hint);
    }
}
