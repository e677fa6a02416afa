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

    /// <summary>The length of a sockaddr_un without a name, in bytes. In others the name begins there.</summary>
    public const int UnnamedLength = 2;

    private const int IPv4Length = 16;
    private const int IPv6Length = 28;

    // In both structs the port is in bytes 2 and 3. The address begins at byte 4 of a sockaddr_in, and at byte 8 of a sockaddr_in6.
    private const int PortOffset = 2;
    private const int IPv4Offset = 4;
    private const int IPv6Offset = 8;

    private const ulong IsPacked = 1UL << 48;

    // How this system begins a sockaddr_in and a sockaddr_in6.
    private static readonly byte[] IPv4Start = [.. new SocketAddress(AddressFamily.InterNetwork, IPv4Length).Buffer.Span[..PortOffset]];
    private static readonly byte[] IPv6Start = [.. new SocketAddress(AddressFamily.InterNetworkV6, IPv6Length).Buffer.Span[..PortOffset]];
    private static readonly int UnixLength = new SocketAddress(AddressFamily.Unix).Size;

    private static ReadOnlySpan<byte> MappedPrefix => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

    /// <summary>The room that an address of a family needs, in bytes.</summary>
    public static int RoomFor(AddressFamily family) =>
        family == AddressFamily.InterNetwork ? IPv4Length : family == AddressFamily.InterNetworkV6 ? IPv6Length : UnixLength;

    /// <summary>Whether it is an IPv4-mapped IPv6 address.</summary>
    public static bool IsMapped(ReadOnlySpan<byte> bytes) =>
        bytes.Length == IPv6Length && bytes.Slice(IPv6Offset, MappedPrefix.Length).SequenceEqual(MappedPrefix);

    /// <summary>Whether it is an IPv4 address.</summary>
    public static bool IsIPv4(ReadOnlySpan<byte> bytes) => bytes.Length == IPv4Length && bytes[..PortOffset].SequenceEqual(IPv4Start);

    /// <summary>Turns an IPv4-mapped address into the IPv4 address, in place. Returns its length.</summary>
    public static int Unmap(Span<byte> mapped)
    {
        IPv4Start.CopyTo(mapped);
        mapped.Slice(IPv6Offset + MappedPrefix.Length, sizeof(uint)).CopyTo(mapped[IPv4Offset..]);
        mapped[(IPv4Offset + sizeof(uint))..IPv4Length].Clear();
        return IPv4Length;
    }

    /// <summary>Turns an IPv4 address into the IPv4-mapped one, in place; there is room for it. Returns its length.</summary>
    public static int Map(Span<byte> address)
    {
        address.Slice(IPv4Offset, sizeof(uint)).CopyTo(address[(IPv6Offset + MappedPrefix.Length)..]);
        MappedPrefix.CopyTo(address[IPv6Offset..]);
        address[(PortOffset + sizeof(ushort))..IPv6Offset].Clear();
        address[(IPv6Length - sizeof(uint))..IPv6Length].Clear();
        IPv6Start.CopyTo(address);
        return IPv6Length;
    }

    /// <summary>
    /// An address as a socket of a family has it: an IPv4 address mapped for IPv6, or a mapped one as IPv4. If it must be turned round, it
    /// is turned in <paramref name="room"/>, which may be its own memory.
    /// </summary>
    public static ReadOnlySpan<byte> ForFamily(AddressFamily family, ReadOnlySpan<byte> address, Span<byte> room)
    {
        bool maps = family == AddressFamily.InterNetworkV6 && IsIPv4(address);
        bool unmaps = family == AddressFamily.InterNetwork && IsMapped(address);
        if (!maps && !unmaps) return address;
        address.CopyTo(room);
        return room[..(maps ? Map(room) : Unmap(room))];
    }

    /// <summary>
    /// The bytes of an end point. An abstract Unix name without a character becomes the family alone: bind(2) then chooses a name
    /// (autobind, unix(7)).
    /// </summary>
    public static ReadOnlySpan<byte> Of(EndPoint endPoint)
    {
        SocketAddress address = endPoint.Serialize();
        ReadOnlySpan<byte> bytes = address.Buffer.Span[..address.Size];
        bool isEmptyName = endPoint is UnixDomainSocketEndPoint && bytes.Length == UnnamedLength + 1 && bytes[UnnamedLength] == 0;
        return isEmptyName ? bytes[..UnnamedLength] : bytes;
    }

    /// <summary>The path or name in a Unix end point, without the NUL that ends a path. An abstract name begins with a NUL.</summary>
    public static ReadOnlySpan<byte> UnixName(UnixDomainSocketEndPoint endPoint)
    {
        SocketAddress address = endPoint.Serialize();
        ReadOnlySpan<byte> name = address.Buffer.Span[UnnamedLength..address.Size];
        return name is [not 0, ..] ? name.TrimEnd((byte)0) : name;
    }

    /// <summary>
    /// The end point for an address of a Unix socket, or of IP for any other family; null for an address that is none of those.
    /// </summary>
    public static EndPoint? ToEndPoint(AddressFamily family, ReadOnlySpan<byte> bytes) =>
        family == AddressFamily.Unix ? ToUnixEndPoint(bytes) : ToEndPoint(bytes);

    /// <summary>The end point of a Unix socket without a name. Its text is empty.</summary>
    public static UnixDomainSocketEndPoint Unnamed { get; } =
        (UnixDomainSocketEndPoint)new UnixDomainSocketEndPoint("/").Create(new SocketAddress(AddressFamily.Unix, UnnamedLength));

    /// <summary>An end point; <see cref="Unnamed"/> if the address has no name.</summary>
    public static UnixDomainSocketEndPoint ToUnixEndPoint(ReadOnlySpan<byte> bytes)
    {
        // Some systems give an unnamed peer a name of NULs. On Linux an abstract name has the length that it was bound with.
        if (bytes.Length <= UnnamedLength || (!OperatingSystem.IsLinux() && bytes[UnnamedLength] == 0)) return Unnamed;
        SocketAddress address = new(AddressFamily.Unix, bytes.Length);
        bytes.CopyTo(address.Buffer.Span);
        return (UnixDomainSocketEndPoint)Unnamed.Create(address);
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
        bool isMapped = IsMapped(bytes);
        packed = 0;
        if (!isMapped && bytes.Length != IPv4Length) return false;
        uint address = BinaryPrimitives.ReadUInt32BigEndian(bytes[(isMapped ? IPv6Offset + MappedPrefix.Length : IPv4Offset)..]);
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
