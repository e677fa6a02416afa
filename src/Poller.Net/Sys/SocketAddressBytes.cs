using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// Socket addresses as the system calls take and give them: the bytes of a sockaddr_in or a sockaddr_in6, which
/// <see cref="SocketAddress"/> lays out for each OS.
/// </summary>
internal static class SocketAddressBytes
{
    /// <summary>What the longest address takes, a sockaddr_in6.</summary>
    public const int MaxLength = 28;

    private const int IPv4Length = 16;

    // In either sockaddr the port is bytes 2 and 3. The address begins at byte 4 of a sockaddr_in, and at byte 8 of a sockaddr_in6.
    private const int PortOffset = 2;
    private const int IPv4Offset = 4;
    private const int IPv6Offset = 8;

    private const ulong IsPacked = 1UL << 48;

    public static ReadOnlySpan<byte> Of(IPEndPoint endPoint)
    {
        SocketAddress address = endPoint.Serialize();
        return address.Buffer.Span[..address.Size];
    }

    /// <summary>
    /// A new end point. An IPv4 peer of a dual-stack socket goes by its own address, as in Go. Null for an address that is neither IPv4
    /// nor IPv6, as the empty one that some systems tell of a peer that is gone.
    /// </summary>
    public static IPEndPoint? ToEndPoint(ReadOnlySpan<byte> bytes)
    {
        if (TryPack(bytes, out ulong packed)) return Unpack(packed);
        if (bytes.Length != MaxLength) return null;
        SocketAddress address = new(AddressFamily.InterNetworkV6, bytes.Length);
        bytes.CopyTo(address.Buffer.Span);
        return (IPEndPoint)new IPEndPoint(IPAddress.IPv6Any, 0).Create(address);
    }

    /// <summary>
    /// Puts an IPv4 address into one word, which is never 0: address:32 port:16 and a bit that says that it is there. False for any other.
    /// </summary>
    public static bool TryPack(ReadOnlySpan<byte> bytes, out ulong packed)
    {
        // The lengths tell the two families apart.
        ReadOnlySpan<byte> mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        bool isMapped = bytes.Length == MaxLength && bytes.Slice(IPv6Offset, mapped.Length).SequenceEqual(mapped);
        packed = 0;
        if (!isMapped && bytes.Length != IPv4Length) return false;
        uint address = BinaryPrimitives.ReadUInt32BigEndian(bytes[(isMapped ? IPv6Offset + mapped.Length : IPv4Offset)..]);
        packed = IsPacked | ((ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes[PortOffset..]) << 32) | address;
        return true;
    }

    /// <summary>A new end point of a packed address.</summary>
    public static IPEndPoint Unpack(ulong packed)
    {
        Span<byte> address = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(address, (uint)packed);
        return new IPEndPoint(new IPAddress(address), (ushort)(packed >> 32));
    }
}
