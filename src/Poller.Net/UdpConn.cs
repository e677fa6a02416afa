using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>A UDP socket: the twin of Go's <c>net.UDPConn</c>. See <see cref="IpPacketConn"/>.</summary>
public sealed class UdpConn : IpPacketConn
{
    internal UdpConn(PacketFd fd) : base(fd) { }

    /// <summary>
    /// Whether the system may join datagrams of one sender that have arrived together, to one message of up to 64 KiB (UDP_GRO of udp(7)).
    /// Then receive with a buffer of 64 KiB, by <see cref="IpPacketConn.ReceiveMessageAsync"/>: its
    /// <see cref="ReceivedMessage.SegmentSize"/> says where the datagrams end. Other receives do not say it. Only Linux, from 5.0.
    /// </summary>
    /// <exception cref="ObjectDisposedException">It is set, and the socket is closed.</exception>
    /// <exception cref="NetOpException">It is set, and the system cannot: <see cref="SocketError.OperationNotSupported"/>.</exception>
    public bool ReceivesSegments { get => Packets.ReceivesSegments; set => Packets.ReceivesSegments = value; }

    /// <summary>
    /// Sends a buffer that the system splits into datagrams (UDP_SEGMENT of udp(7)): one call for many datagrams, which go through the
    /// network stack as one. Only Linux, from 4.18.
    /// </summary>
    /// <param name="buffer">At most 65,507 bytes, and 64 datagrams.</param>
    /// <param name="segmentSize">
    /// The length of each datagram, in bytes; the last one may be shorter. The route must take it unsplit.
    /// </param>
    /// <param name="address">The receiver's address; null means the peer.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is not between 1 and 65,535.</exception>
    /// <exception cref="NetOpException">
    /// The system cannot split: <see cref="SocketError.OperationNotSupported"/>. Or it refused.
    /// </exception>
    public ValueTask SendSegmentsAsync(
        ReadOnlyMemory<byte> buffer, int segmentSize, SocketAddress? address = null, CancellationToken cancellationToken = default) =>
        Packets.SendSegmentsAsync(buffer, segmentSize, address, cancellationToken);

    /// <summary>The blocking form of <see cref="SendSegmentsAsync"/>.</summary>
    /// <inheritdoc cref="SendSegmentsAsync"/>
    public void SendSegments(ReadOnlySpan<byte> buffer, int segmentSize, SocketAddress? address = null) =>
        Packets.SendSegments(buffer, segmentSize, address);

    /// <summary>
    /// Receives the datagrams that have arrived, as many as the batch takes, by one system call (recvmmsg(2)); it waits if there are none.
    /// They replace what the batch held. Returns how many they are.
    /// </summary>
    /// <param name="batch">It receives the datagrams. Touch nothing of it until the call is done.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    public ValueTask<int> ReceiveBatchAsync(UdpBatch batch, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(batch);
        return Packets.ReceiveBatchAsync(batch.Messages, cancellationToken);
    }

    /// <summary>The blocking form of <see cref="ReceiveBatchAsync"/>.</summary>
    /// <inheritdoc cref="ReceiveBatchAsync"/>
    public int ReceiveBatch(UdpBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        return Packets.ReceiveBatch(batch.Messages);
    }

    /// <summary>
    /// Sends all datagrams of a batch, by as few system calls as the system lets (sendmmsg(2)). If it fails, <see cref="UdpBatch.Sent"/>
    /// says how many were sent.
    /// </summary>
    /// <remarks>
    /// A socket with a peer sends all to it. Those that were received go to the peer too, whoever sent them. An address that was given to
    /// <see cref="UdpBatch.TryAdd"/> is refused there, before anything is sent.
    /// </remarks>
    /// <param name="batch">The datagrams. Touch nothing of it until the call is done.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    public ValueTask SendBatchAsync(UdpBatch batch, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(batch);
        return Packets.SendBatchAsync(batch.Messages, cancellationToken);
    }

    /// <summary>The blocking form of <see cref="SendBatchAsync"/>.</summary>
    /// <inheritdoc cref="SendBatchAsync"/>
    public void SendBatch(UdpBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        Packets.SendBatch(batch.Messages);
    }
}
