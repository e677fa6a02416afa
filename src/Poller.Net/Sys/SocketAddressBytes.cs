using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// Converts socket addresses from and to the bytes that the system calls use: a sockaddr_in or a sockaddr_in6, which
/// <see cref="SocketAddress"/> lays out for each OS.
/// </summary>
internal static class SocketAddressBytes
{
    /// <summary>The length of the longest address, a sockaddr_in6, in bytes.</summary>
    public const int MaxLength = 28;

    private const int IPv4Length = 16;

    // In both structs the port is in bytes 2 and 3. The address begins at byte 4 of a sockaddr_in, and at byte 8 of a sockaddr_in6.
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
    /// A new end point. An IPv4-mapped address, which an IPv4 peer of a dual-stack socket has, becomes the IPv4 address, as in Go. Null for
    /// an address that is neither IPv4 nor IPv6, such as the empty one that some systems give for a peer that has gone.
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
    /// Packs an IPv4 address into one word: address:32 port:16 and one bit that is always set, so the word is never 0. False for any other
    /// address.
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

    /// <summary>A new end point for a packed address.</summary>
    public static IPEndPoint Unpack(ulong packed)
    {
        Span<byte> address = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(address, (uint)packed);
        return new IPEndPoint(new IPAddress(address), (ushort)(packed >> 32));
    }
}
