using System.Net;

namespace Poller.Net;

/// <summary>
/// One datagram of a <see cref="UdpBatch"/>. It is a view: use it before the batch's next operation. Every member of the default value
/// throws <see cref="InvalidOperationException"/>.
/// </summary>
public readonly ref struct UdpDatagram
{
    private readonly MessageBatch? _batch;
    private readonly int _index;

    internal UdpDatagram(MessageBatch batch, int index)
    {
        _batch = batch;
        _index = index;
    }

    /// <summary>Its bytes, in the batch's memory. If you change them, a send of the batch sends the changed bytes.</summary>
    public Span<byte> Bytes => Batch.BufferOf(_index)[..Slot.Length];

    /// <summary>Whether it was longer than <see cref="UdpBatch.MaxBytes"/>. The rest is lost.</summary>
    public bool IsTruncated => Slot.IsTruncated;

    /// <summary>
    /// Whether the system had more control data than the batch has room for, so that <see cref="SegmentSize"/> may be lost (MSG_CTRUNC).
    /// There is room for what Linux 6.18 sends before the size.
    /// </summary>
    public bool IsControlTruncated => Slot.IsControlTruncated;

    /// <summary>
    /// Above 0, if these are several datagrams: each has this many bytes, and the last one may have fewer. See
    /// <see cref="UdpConn.ReceivesSegments"/>.
    /// </summary>
    public int SegmentSize => Slot.SegmentSize;

    /// <summary>A new end point with the address that it came from or goes to; null if it goes to the peer.</summary>
    public IPEndPoint? RemoteEndPoint => SocketAddressBytes.ToEndPoint(Address);

    private MessageBatch Batch =>
        _batch ?? throw new InvalidOperationException("UdpDatagram: one of a batch was expected, not the default value.");

    private ref readonly MessageSlot Slot => ref Batch.Slots[_index];

    private ReadOnlySpan<byte> Address => Batch.AddressOf(_index)[..Slot.AddressLength];

    /// <summary>
    /// Writes the address that it came from or goes to into <paramref name="address"/>, which you may reuse. If it goes to the peer, the
    /// address gets a size of 0.
    /// </summary>
    /// <param name="address">
    /// It receives the address. Create it by <c>new SocketAddress(AddressFamily.InterNetworkV6)</c>, which has room for both families.
    /// </param>
    /// <exception cref="ArgumentException">The address has too little room.</exception>
    public void CopyAddressTo(SocketAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        Span<byte> room = address.Buffer.Span;
        if (room.Length < Address.Length)
        {
            throw new ArgumentException($"the address has room for {room.Length} bytes; {Address.Length} were expected.", nameof(address));
        }
        Address.CopyTo(room);
        address.Size = SocketAddressBytes.IsMapped(Address) ? SocketAddressBytes.Unmap(room) : Address.Length;
    }
}
