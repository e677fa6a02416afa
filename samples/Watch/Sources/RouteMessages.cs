using System.Buffers.Binary;
using System.Net;

namespace Watch.Sources;

/// <summary>The messages of rtnetlink(7), as lines. Their numbers have the machine's byte order, which is little-endian here.</summary>
internal static class RouteMessages
{
    // The sizes of struct nlmsghdr, ifinfomsg, ifaddrmsg, rtmsg and rtattr.
    private const int HeaderSize = 16, LinkSize = 16, AddressSize = 8, RouteSize = 12, AttributeSize = 4;

    private const ushort RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_NEWADDR = 20, RTM_DELADDR = 21, RTM_NEWROUTE = 24, RTM_DELROUTE = 25;
    private const int IFLA_IFNAME = 3, IFA_ADDRESS = 1, IFA_LOCAL = 2, RTA_DST = 1, RTA_OIF = 4, RTA_GATEWAY = 5;
    private const uint IFF_UP = 0x1, IFF_RUNNING = 0x40;

    /// <summary>A line for each message. One that is shorter than it says, or than its type, ends them with a line that says so.</summary>
    public static List<string> Decode(ReadOnlySpan<byte> bytes)
    {
        List<string> lines = [];
        while (bytes.Length >= HeaderSize)
        {
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            ushort type = BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]);
            if (length < HeaderSize || length > bytes.Length) break;
            ReadOnlySpan<byte> body = bytes[HeaderSize..(int)length];
            string? line = type switch
            {
                RTM_NEWLINK or RTM_DELLINK => body.Length < LinkSize ? null : Link(Verb(type, RTM_NEWLINK), body),
                RTM_NEWADDR or RTM_DELADDR => body.Length < AddressSize ? null : Address(Verb(type, RTM_NEWADDR), body),
                RTM_NEWROUTE or RTM_DELROUTE => body.Length < RouteSize ? null : Route(Verb(type, RTM_NEWROUTE), body),
                _ => $"message of type {type}",
            };
            if (line is null) break;
            lines.Add(line);
            bytes = bytes[Math.Min(Align(length), bytes.Length)..];
        }
        if (!bytes.IsEmpty) lines.Add($"a message that is cut, of {bytes.Length} bytes");
        return lines;

        static string Verb(ushort type, ushort add) => type == add ? "new" : "deleted";
    }

    private static string Link(string verb, ReadOnlySpan<byte> body)
    {
        uint index = BinaryPrimitives.ReadUInt32LittleEndian(body[4..]);
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(body[8..]);
        ReadOnlySpan<byte> name = Attribute(body[LinkSize..], IFLA_IFNAME).TrimEnd((byte)0);
        string state = $"{((flags & IFF_UP) != 0 ? "up" : "down")}{((flags & IFF_RUNNING) != 0 ? ", running" : "")}";
        return $"{verb} link {Text.Quote(name)}, number {index}, {state}";
    }

    private static string Address(string verb, ReadOnlySpan<byte> body)
    {
        uint index = BinaryPrimitives.ReadUInt32LittleEndian(body[4..]);
        ReadOnlySpan<byte> attributes = body[AddressSize..];

        // On a link between two points, IFA_ADDRESS is the other point's.
        ReadOnlySpan<byte> address = Attribute(attributes, IFA_LOCAL);
        if (address.IsEmpty) address = Attribute(attributes, IFA_ADDRESS);
        return $"{verb} address {Ip(address)}/{body[1]} on {LinkOf(index)}";
    }

    private static string Route(string verb, ReadOnlySpan<byte> body)
    {
        ReadOnlySpan<byte> attributes = body[RouteSize..];
        ReadOnlySpan<byte> destination = Attribute(attributes, RTA_DST);
        ReadOnlySpan<byte> gateway = Attribute(attributes, RTA_GATEWAY);
        ReadOnlySpan<byte> link = Attribute(attributes, RTA_OIF);
        string to = destination.IsEmpty ? "default" : $"{Ip(destination)}/{body[1]}";
        string via = gateway.IsEmpty ? "" : $" via {Ip(gateway)}";
        string on = link.Length < sizeof(uint) ? "" : $" on {LinkOf(BinaryPrimitives.ReadUInt32LittleEndian(link))}";
        return $"{verb} route {to}{via}{on}";
    }

    // The value of the first attribute of a type; empty if there is none.
    private static ReadOnlySpan<byte> Attribute(ReadOnlySpan<byte> bytes, int type)
    {
        const int TypeMask = 0x3fff; // NLA_TYPE_MASK
        while (bytes.Length >= AttributeSize)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
            if (length < AttributeSize || length > bytes.Length) break;
            if ((BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]) & TypeMask) == type) return bytes[AttributeSize..length];
            bytes = bytes[Math.Min(Align((uint)length), bytes.Length)..];
        }
        return default;
    }

    private static int Align(uint length) => (int)((length + 3) & ~3u);

    private static string Ip(ReadOnlySpan<byte> address) =>
        address.Length is 4 or 16 ? new IPAddress(address).ToString() : $"of {address.Length} bytes";

    private static string LinkOf(uint index) => LibC.LinkName(index) is { } name ? Text.Quote(name) : $"link {index}";
}
