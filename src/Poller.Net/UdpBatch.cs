using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// Datagrams that one system call receives or sends (recvmmsg(2), sendmmsg(2)), with their addresses. Its memory is pinned once, so warm
/// batches allocate nothing. A batch that was received may be sent as it is: back to its senders, or to the peer of a socket that has one.
/// </summary>
/// <remarks>
/// It is not safe for several threads: while an operation uses it, touch nothing of it. Where the system has no such calls, the operations
/// make one call for each datagram.
/// </remarks>
public sealed class UdpBatch
{
    // UIO_MAXIOV, the most that Linux takes in one call, and more than a joined message of UDP has.
    private const int MaxCapacity = 1024;
    private const int MaxLength = 65_536;

    internal readonly MessageBatch Messages;

    /// <summary>Creates an empty batch.</summary>
    /// <param name="capacity">How many datagrams it takes: 1 to 1,024.</param>
    /// <param name="maxBytes">
    /// How long each may be, in bytes: 1 to 65,536. A longer one that arrives is cut. For joined datagrams
    /// (<see cref="UdpConn.ReceivesSegments"/>) take 65,536.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">One of the two is out of its range.</exception>
    public UdpBatch(int capacity = 32, int maxBytes = 2048)
    {
        if (capacity is < 1 or > MaxCapacity)
        {
            throw new ArgumentOutOfRangeException(nameof(capacity), capacity, "1 to 1024 datagrams were expected.");
        }
        if (maxBytes is < 1 or > MaxLength)
        {
            throw new ArgumentOutOfRangeException(nameof(maxBytes), maxBytes, "1 to 65536 bytes were expected.");
        }
        Messages = new MessageBatch(capacity, maxBytes);
    }

    /// <summary>How many datagrams it takes.</summary>
    public int Capacity => Messages.Capacity;

    /// <summary>How long each datagram may be, in bytes.</summary>
    public int MaxBytes => Messages.MaxBytes;

    /// <summary>
    /// How many datagrams it holds. A receive sets it, <see cref="TryAdd"/> raises it, and <see cref="Clear"/> sets it to 0.
    /// </summary>
    public int Count => Messages.Count;

    /// <summary>How many of its datagrams the last send has sent, also if that failed.</summary>
    public int Sent => Messages.Sent;

    /// <summary>One of the datagrams that it holds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It does not hold so many.</exception>
    public UdpDatagram this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            return new UdpDatagram(Messages, index);
        }
    }

    /// <summary>Forgets its datagrams.</summary>
    public void Clear() => Messages.Count = 0;

    /// <summary>Adds a copy of a datagram, to be sent. False if the batch is full.</summary>
    /// <param name="bytes">The datagram; it may be empty.</param>
    /// <param name="address">
    /// The receiver's address, for a socket without a peer; null means the peer. A socket with a peer refuses an address
    /// (<see cref="SocketError.IsConnected"/>), as its <c>SendTo</c> does.
    /// </param>
    /// <param name="segmentSize">Above 0, if the system is to split it; see <see cref="UdpConn.SendSegmentsAsync"/>.</param>
    /// <exception cref="ArgumentException">It is longer than <see cref="MaxBytes"/>, or the address is not one of IP.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The segment size is not between 0 and 65,535.</exception>
    public bool TryAdd(ReadOnlySpan<byte> bytes, SocketAddress? address = null, int segmentSize = 0)
    {
        if (bytes.Length > MaxBytes)
        {
            throw new ArgumentException($"the datagram has {bytes.Length} bytes; at most {MaxBytes} were expected.", nameof(bytes));
        }
        if (segmentSize is < 0 or > ushort.MaxValue)
        {
            throw new ArgumentOutOfRangeException(nameof(segmentSize), segmentSize, "a size from 0 to 65535 bytes was expected.");
        }
        if (address is not null && address.Family is not (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6))
        {
            throw new ArgumentException($"an address of {address.Family} was given; IPv4 or IPv6 was expected.", nameof(address));
        }
        if (Count == Capacity) return false;
        int index = Messages.Count;
        ReadOnlySpan<byte> to = address is null ? default : address.Buffer.Span[..address.Size];
        if (to.Length > Messages.AddressOf(index).Length)
        {
            throw new ArgumentException($"the address has {to.Length} bytes; one of IPv4 or IPv6 was expected.", nameof(address));
        }
        bytes.CopyTo(Messages.BufferOf(index));
        to.CopyTo(Messages.AddressOf(index));
        Messages.Count++;
        Messages.Slots[index] = new MessageSlot { Length = bytes.Length, AddressLength = to.Length, SegmentSize = segmentSize };
        return true;
    }
}
