using System.Net;
using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// A packet-oriented connection, which receives packets of many senders and sends to any address: the twin of Go's <c>net.PacketConn</c>.
/// </summary>
/// <remarks>
/// Each call moves one whole packet; a packet of 0 bytes is one too. Every member is safe from any thread. At most one receive and one send
/// run at a time; others queue. Deadlines, cancellation and close are as on a <see cref="Conn"/>.
/// </remarks>
public interface IPacketConn : IDisposable
{
    /// <summary>The address on this side.</summary>
    EndPoint LocalEndPoint { get; }

    /// <summary>
    /// Receives one packet; it waits if there is none. Writes the sender's address to <paramref name="address"/>, which you may reuse for
    /// each packet, and returns the packet's length in bytes. A packet that is longer than the buffer is cut, and the rest is lost.
    /// </summary>
    ValueTask<int> ReceiveFromAsync(Memory<byte> buffer, SocketAddress address, CancellationToken cancellationToken = default);

    /// <summary>
    /// As <see cref="ReceiveFromAsync(Memory{byte}, SocketAddress, CancellationToken)"/>, with a new end point for each packet.
    /// </summary>
    ValueTask<SocketReceiveFromResult> ReceiveFromAsync(Memory<byte> buffer, CancellationToken cancellationToken = default);

    /// <summary>The blocking form of <see cref="ReceiveFromAsync(Memory{byte}, SocketAddress, CancellationToken)"/>.</summary>
    int ReceiveFrom(Span<byte> buffer, SocketAddress address);

    /// <summary>The blocking form of <see cref="ReceiveFromAsync(Memory{byte}, CancellationToken)"/>.</summary>
    SocketReceiveFromResult ReceiveFrom(Span<byte> buffer);

    /// <summary>Sends one packet; it waits while the socket's buffer is full.</summary>
    ValueTask SendToAsync(ReadOnlyMemory<byte> buffer, SocketAddress address, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="SendToAsync(ReadOnlyMemory{byte}, SocketAddress, CancellationToken)"/>
    ValueTask SendToAsync(ReadOnlyMemory<byte> buffer, EndPoint remote, CancellationToken cancellationToken = default);

    /// <summary>The blocking form of <see cref="SendToAsync(ReadOnlyMemory{byte}, SocketAddress, CancellationToken)"/>.</summary>
    void SendTo(ReadOnlySpan<byte> buffer, SocketAddress address);

    /// <inheritdoc cref="SendTo(ReadOnlySpan{byte}, SocketAddress)"/>
    void SendTo(ReadOnlySpan<byte> buffer, EndPoint remote);

    /// <summary>Sets both deadlines; see <see cref="Conn.SetDeadline(DateTimeOffset?)"/>.</summary>
    void SetDeadline(DateTimeOffset? deadline);

    /// <summary>Sets both deadlines; see <see cref="Conn.SetDeadline(TimeSpan)"/>.</summary>
    void SetDeadline(TimeSpan fromNow);

    /// <summary>Sets the deadline of receives; see <see cref="Conn.SetDeadline(DateTimeOffset?)"/>.</summary>
    void SetReadDeadline(DateTimeOffset? deadline);

    /// <summary>Sets the deadline of receives; see <see cref="Conn.SetDeadline(TimeSpan)"/>.</summary>
    void SetReadDeadline(TimeSpan fromNow);

    /// <summary>Sets the deadline of sends; see <see cref="Conn.SetDeadline(DateTimeOffset?)"/>.</summary>
    void SetWriteDeadline(DateTimeOffset? deadline);

    /// <summary>Sets the deadline of sends; see <see cref="Conn.SetDeadline(TimeSpan)"/>.</summary>
    void SetWriteDeadline(TimeSpan fromNow);
}
