using System.Net;
using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>
/// Where a packet was sent, and by which interface it came: a struct in_pktinfo of ip(7), or a struct in6_pktinfo of ipv6(7). Set
/// <see cref="IpPacketConn.ReceivesPacketInfo"/> to receive it. Only Linux.
/// </summary>
/// <param name="Destination">The address in the packet's header. An IPv4-mapped one is the IPv4 address here.</param>
/// <param name="InterfaceIndex">The index of the interface.</param>
public readonly record struct PacketInfo(IPAddress Destination, int InterfaceIndex)
{
    private const int IPPROTO_IP = 0;
    private const int IP_PKTINFO = 8;
    private const int IPPROTO_IPV6 = 41;
    private const int IPV6_PKTINFO = 50;

    /// <summary>Finds it in the control data of a message. False if it is not there.</summary>
    public static bool TryRead(ReadOnlySpan<byte> control, out PacketInfo info)
    {
        // A dual-stack socket may give both for one packet. Both say the same.
        ControlReader reader = new(control);
        while (OperatingSystem.IsLinux() && reader.TryRead(out ControlItem item))
        {
            ReadOnlySpan<byte> data = item.Data;
            if (item.Level == IPPROTO_IP && item.Type == IP_PKTINFO && data.Length >= 12)
            {
                info = new PacketInfo(new IPAddress(data[8..12]), MemoryMarshal.Read<int>(data));
                return true;
            }
            if (item.Level == IPPROTO_IPV6 && item.Type == IPV6_PKTINFO && data.Length >= 20)
            {
                IPAddress address = new(data[..16]);
                info = new PacketInfo(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, MemoryMarshal.Read<int>(data[16..]));
                return true;
            }
        }
        info = default;
        return false;
    }
}
