using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// Converts socket addresses from and to the bytes that the system calls use: a sockaddr_in, a sockaddr_in6 or a sockaddr_un, which
/// <see cref="SocketAddress"/> lays out for each OS.
/// </summary>
internal static class SocketAddressBytes
{
    /// <summary>The room that any address fits into, a sockaddr_un too, in bytes: that of a sockaddr_storage.</summary>
    public const int MaxLength = 128;

    private const int IPv4Length = 16;
    private const int IPv6Length = 28;

    // A sockaddr_un without a name ends here.
    private const int UnixPathOffset = 2;

    // In both structs the port is in bytes 2 and 3. The address begins at byte 4 of a sockaddr_in, and at byte 8 of a sockaddr_in6.
    private const int PortOffset = 2;
    private const int IPv4Offset = 4;
    private const int IPv6Offset = 8;

    private const ulong IsPacked = 1UL << 48;

    // Only an end point can create another from bytes.
    private static readonly UnixDomainSocketEndPoint UnixNames = new("/");

    public static ReadOnlySpan<byte> Of(EndPoint endPoint)
    {
        SocketAddress address = endPoint.Serialize();
        return address.Buffer.Span[..address.Size];
    }

    /// <summary>The end point for an address of a network; null for an address that is none of its family.</summary>
    public static EndPoint? ToEndPoint(SocketNetwork network, ReadOnlySpan<byte> bytes) =>
        network.IsUnix ? ToUnixEndPoint(bytes) : ToEndPoint(bytes);

    /// <summary>A new end point. It has an empty path if the address has no name.</summary>
    public static UnixDomainSocketEndPoint ToUnixEndPoint(ReadOnlySpan<byte> bytes)
    {
        SocketAddress address = new(AddressFamily.Unix, Math.Max(bytes.Length, UnixPathOffset));
        if (bytes.Length > UnixPathOffset) bytes.CopyTo(address.Buffer.Span);
        return (UnixDomainSocketEndPoint)UnixNames.Create(address);
    }

    /// <summary>
    /// A new end point. An IPv4-mapped address, which an IPv4 peer of a dual-stack socket has, becomes the IPv4 address, as in Go. Null for
    /// an address that is neither IPv4 nor IPv6, such as the empty one that some systems give for a peer that has gone.
    /// </summary>
    public static IPEndPoint? ToEndPoint(ReadOnlySpan<byte> bytes)
    {
        if (TryPack(bytes, out ulong packed)) return Unpack(packed);
        if (bytes.Length != IPv6Length) return null;
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
        bool isMapped = bytes.Length == IPv6Length && bytes.Slice(IPv6Offset, mapped.Length).SequenceEqual(mapped);
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
