using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Poller.Net;

internal abstract unsafe partial class UnixSocketApi
{
    // A struct ip_mreqn: group, local address, interface. A struct ipv6_mreq: group, interface.
    private const int IPv4Group = 4;
    private const int IPv6Group = 16;

    public UdpOffload? UdpOffload { get; } =
        os.UDP_SEGMENT == 0 ? null : new UdpOffload(os.IPPROTO_UDP, os.UDP_SEGMENT, os.UDP_GRO);

    public IoResult ReceiveMessage(nint fd, Span<byte> buffer, Span<byte> address, Span<byte> control, out MessageInfo info)
    {
        fixed (byte* b = buffer)
        {
            IoVector one = new() { Base = (nint)b, Length = buffer.Length };
            return ReceiveMessage(fd, new ReadOnlySpan<IoVector>(in one), address, control, out info);
        }
    }

    public IoResult SendMessage(nint fd, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control)
    {
        fixed (byte* b = buffer)
        {
            IoVector one = new() { Base = (nint)b, Length = buffer.Length };
            return SendMessage(fd, new ReadOnlySpan<IoVector>(in one), address, control);
        }
    }

    public IoResult SetMembership(nint fd, ReadOnlySpan<byte> group, int interfaceIndex, bool joins)
    {
        if (group.Length == IPv4Group)
        {
            Span<byte> request = stackalloc byte[2 * IPv4Group + sizeof(int)];
            request.Clear();
            group.CopyTo(request);
            MemoryMarshal.Write(request[(2 * IPv4Group)..], interfaceIndex);
            return SetRawOption(fd, os.IPPROTO_IP, joins ? os.IP_ADD_MEMBERSHIP : os.IP_DROP_MEMBERSHIP, request);
        }
        Span<byte> request6 = stackalloc byte[IPv6Group + sizeof(int)];
        group.CopyTo(request6);
        MemoryMarshal.Write(request6[IPv6Group..], interfaceIndex);
        return SetRawOption(fd, os.IPPROTO_IPV6, joins ? os.IPV6_JOIN_GROUP : os.IPV6_LEAVE_GROUP, request6);
    }

    public IoResult SetMulticastInterface(nint fd, AddressFamily family, int interfaceIndex)
    {
        if (family == AddressFamily.InterNetworkV6) return Set((int)fd, os.IPPROTO_IPV6, os.IPV6_MULTICAST_IF, interfaceIndex);
        Span<byte> request = stackalloc byte[2 * IPv4Group + sizeof(int)];
        request.Clear();
        MemoryMarshal.Write(request[(2 * IPv4Group)..], interfaceIndex);
        return SetRawOption(fd, os.IPPROTO_IP, os.IP_MULTICAST_IF, request);
    }
}
