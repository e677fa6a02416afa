using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>A connection over a Unix socket, or a Unix socket of datagrams: the twin of Go's <c>net.UnixConn</c>.</summary>
/// <remarks>
/// <para>There are three networks:</para>
/// <list type="bullet">
/// <item><c>unix</c> is a stream of bytes without borders, as TCP is.</item>
/// <item>
/// <c>unixpacket</c> is a connection of messages: a read takes one message, or its beginning if the buffer is shorter, and a write sends
/// one. A read of a message of 0 bytes returns 0, as the end does.
/// </item>
/// <item>
/// <c>unixgram</c> is a socket of datagrams, with one peer (a dial) or none (a listen). It has no end: a read waits, also if nobody is left
/// who could send, and <see cref="Conn.CloseRead"/> and <see cref="Conn.CloseWrite"/> are refused.
/// </item>
/// </list>
/// <para>
/// A read or a receive with a buffer that is shorter than the message drops the rest. <see cref="ReceiveMessageAsync"/> and
/// <see cref="ReceiveAsync"/> say so.
/// </para>
/// <para>
/// What differs from TCP: after <see cref="Conn.CloseRead"/> the peer's writes fail with <see cref="SocketError.Shutdown"/>. A close while
/// bytes are unread makes one read of the peer fail with <see cref="SocketError.ConnectionReset"/>.
/// </para>
/// <para>
/// A socket without a name has an end point whose text is empty. That of an abstract name begins with <c>@</c>.
/// </para>
/// </remarks>
public sealed class UnixConn : Conn, IPacketConn
{
    internal UnixConn(UnixFd fd) : base(fd) { }

    /// <inheritdoc/>
    public override UnixDomainSocketEndPoint LocalEndPoint => (UnixDomainSocketEndPoint)_fd.LocalEndPoint;

    /// <summary>The peer's address.</summary>
    /// <exception cref="ObjectDisposedException">The socket was closed before anyone had read the address.</exception>
    /// <exception cref="NetOpException">The socket has no peer: <see cref="SocketError.NotConnected"/>.</exception>
    public override UnixDomainSocketEndPoint RemoteEndPoint => (UnixDomainSocketEndPoint)_fd.RemoteEndPoint;

    /// <summary>
    /// The process at the other end. The system noted it when the connection was made: for an accepted connection the one that dialed, for
    /// a dialed one the one that listened (SO_PEERCRED, unix(7); getpeereid(3) on macOS and the BSDs).
    /// </summary>
    /// <exception cref="NetOpException">It is a socket of datagrams, which has no connection.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public PeerCredentials GetPeerCredentials() => Fd.GetPeerCredentials();

    /// <summary>
    /// Whether the close removes the file to which this socket was bound: true unless you set it. It removes the file that the socket made,
    /// and no other. A connection that a listener accepted has no file of its own.
    /// </summary>
    public bool UnlinkOnClose { get => Fd.UnlinksOnClose; set => Fd.UnlinksOnClose = value; }

    private UnixFd Fd => (UnixFd)_fd;

    /// <summary>
    /// Sends all bytes and, with the first of them, descriptors (SCM_RIGHTS of unix(7)): the receiver gets its own descriptors of the same
    /// open files. It sends to the peer; without one, use <see cref="SendMessageAsync"/>.
    /// </summary>
    /// <remarks>
    /// On a stream, send at least one byte with the descriptors. The handles stay yours. They may be closed when the send is done; one
    /// that is closed before fails the send. If a send ends by a deadline or a token after a part of its bytes was sent, the descriptors
    /// have been sent.
    /// </remarks>
    /// <param name="buffer">The bytes.</param>
    /// <param name="handles">At most 253. The list is copied.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    /// <exception cref="ArgumentException">There are too many handles, one is null, or there is no byte on a stream.</exception>
    /// <exception cref="ObjectDisposedException">The connection or a handle is closed.</exception>
    /// <exception cref="NetOpException">The system refused, a deadline passed, or the connection was closed meanwhile.</exception>
    public ValueTask SendAsync(
        ReadOnlyMemory<byte> buffer, IReadOnlyList<SafeHandle> handles, CancellationToken cancellationToken = default) =>
        Fd.SendAsync(buffer, handles, cancellationToken);

    /// <summary>The blocking form of <see cref="SendAsync"/>.</summary>
    /// <inheritdoc cref="SendAsync"/>
    public void Send(ReadOnlySpan<byte> buffer, IReadOnlyList<SafeHandle> handles) => Fd.Send(buffer, handles);

    /// <summary>
    /// Receives bytes, as a read does, and the descriptors that came with them. Each becomes a
    /// <see cref="Microsoft.Win32.SafeHandles.SafeFileHandle"/> or, if it is a socket, a <see cref="SafeSocketHandle"/>, which is yours to
    /// dispose. They are close-on-exec; macOS cannot do that in one step, so a process that starts meanwhile may get them.
    /// </summary>
    /// <remarks>
    /// On a stream, one receive returns the descriptors of one <see cref="SendAsync"/> at most. Bytes that were sent earlier may come
    /// before them. Descriptors for which there is no room are closed. A read takes the bytes and closes the descriptors.
    /// </remarks>
    /// <param name="buffer">It receives the bytes. On a stream it needs room for at least one.</param>
    /// <param name="handles">It receives the handles, from its start on. What it held is overwritten.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    /// <exception cref="ArgumentException">There is no room for a byte on a stream.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused, a deadline passed, or the connection was closed meanwhile.</exception>
    public ValueTask<ReceivedHandles> ReceiveAsync(
        Memory<byte> buffer, Memory<SafeHandle?> handles, CancellationToken cancellationToken = default) =>
        Fd.ReceiveAsync(buffer, handles, cancellationToken);

    /// <summary>The blocking form of <see cref="ReceiveAsync"/>.</summary>
    /// <inheritdoc cref="ReceiveAsync"/>
    public ReceivedHandles Receive(Span<byte> buffer, Span<SafeHandle?> handles) => Fd.Receive(buffer, handles);

    /// <summary>
    /// Receives one message, or bytes of a stream, with control data (recvmsg(2)), and says whether one of the two was cut. Descriptors in
    /// the control data are yours to close; they are close-on-exec, except on macOS.
    /// </summary>
    /// <param name="buffer">It receives the bytes.</param>
    /// <param name="control">It receives the control data, which <see cref="ControlReader"/> reads; it may be empty.</param>
    /// <param name="address">It receives the sender's address; null if you do not need it.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    /// <exception cref="ArgumentException">
    /// The address has too little room. Create it by <c>new SocketAddress(AddressFamily.Unix)</c>.
    /// </exception>
    public ValueTask<ReceivedMessage> ReceiveMessageAsync(
        Memory<byte> buffer, Memory<byte> control, SocketAddress? address, CancellationToken cancellationToken = default) =>
        Fd.ReceiveMessageAsync(buffer, control, address, cancellationToken);

    /// <summary>The blocking form of <see cref="ReceiveMessageAsync"/>.</summary>
    /// <inheritdoc cref="ReceiveMessageAsync"/>
    public ReceivedMessage ReceiveMessage(Span<byte> buffer, Span<byte> control, SocketAddress? address) =>
        Fd.ReceiveMessage(buffer, control, address);

    /// <summary>
    /// Sends one message, or bytes of a stream, with control data (sendmsg(2)). On a stream it sends all bytes, and the control data with
    /// the first of them, so there must be one.
    /// </summary>
    /// <param name="buffer">The bytes.</param>
    /// <param name="control">The control data, which <see cref="ControlWriter"/> writes; it may be empty.</param>
    /// <param name="address">The receiver's address, for a socket without a peer; null means the peer.</param>
    /// <param name="cancellationToken">It ends the wait.</param>
    /// <exception cref="ArgumentException">There is control data and no byte on a stream.</exception>
    public ValueTask SendMessageAsync(
        ReadOnlyMemory<byte> buffer,
        ReadOnlyMemory<byte> control,
        SocketAddress? address,
        CancellationToken cancellationToken = default) =>
        address is null
            ? Fd.SendControlAsync(buffer, control, cancellationToken)
            : Fd.SendWithRoomAsync("send message", buffer, control, address, cancellationToken);

    /// <summary>The blocking form of <see cref="SendMessageAsync"/>.</summary>
    /// <inheritdoc cref="SendMessageAsync"/>
    public void SendMessage(ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SocketAddress? address)
    {
        if (address is null) Fd.SendControl(buffer, control);
        else Fd.SendWithRoom("send message", buffer, control, address);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">
    /// The address has too little room. Create it by <c>new SocketAddress(AddressFamily.Unix)</c>.
    /// </exception>
    public ValueTask<int> ReceiveFromAsync(Memory<byte> buffer, SocketAddress address, CancellationToken cancellationToken = default) =>
        Fd.ReceiveFromAsync(buffer, address, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<SocketReceiveFromResult> ReceiveFromAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        Fd.ReceiveFromAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    /// <inheritdoc cref="ReceiveFromAsync(Memory{byte}, SocketAddress, CancellationToken)" path="/exception"/>
    public int ReceiveFrom(Span<byte> buffer, SocketAddress address) => Fd.ReceiveFrom(buffer, address);

    /// <inheritdoc/>
    public SocketReceiveFromResult ReceiveFrom(Span<byte> buffer) => Fd.ReceiveFrom(buffer);

    /// <summary>
    /// Sends one datagram to an address. If the receiver's queue is full, the send tries again until there is room, or until a deadline, a
    /// time-out, a token or a close ends it. No event reports the room, so the send may notice it up to 32 ms late. Sends that come
    /// meanwhile queue behind it, whomever they go to.
    /// </summary>
    /// <exception cref="NetOpException">
    /// Nobody has the address, it is none of a Unix socket, the socket has a peer, the system refused, a deadline passed, or the socket was
    /// closed meanwhile.
    /// </exception>
    public ValueTask SendToAsync(ReadOnlyMemory<byte> buffer, SocketAddress address, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(address);
        return Fd.SendWithRoomAsync("send to", buffer, default, address, cancellationToken);
    }

    /// <inheritdoc cref="SendToAsync(ReadOnlyMemory{byte}, SocketAddress, CancellationToken)"/>
    /// <exception cref="ArgumentException">
    /// <paramref name="remote"/> is no <see cref="UnixDomainSocketEndPoint"/>, or it names no socket.
    /// </exception>
    public ValueTask SendToAsync(ReadOnlyMemory<byte> buffer, EndPoint remote, CancellationToken cancellationToken = default) =>
        Fd.SendWithRoomAsync("send to", buffer, default, AddressOf(remote), cancellationToken);

    /// <summary>The blocking form of <see cref="SendToAsync(ReadOnlyMemory{byte}, SocketAddress, CancellationToken)"/>.</summary>
    /// <inheritdoc cref="SendToAsync(ReadOnlyMemory{byte}, SocketAddress, CancellationToken)"/>
    public void SendTo(ReadOnlySpan<byte> buffer, SocketAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        Fd.SendWithRoom("send to", buffer, default, address);
    }

    /// <summary>The blocking form of <see cref="SendToAsync(ReadOnlyMemory{byte}, EndPoint, CancellationToken)"/>.</summary>
    /// <inheritdoc cref="SendToAsync(ReadOnlyMemory{byte}, EndPoint, CancellationToken)"/>
    public void SendTo(ReadOnlySpan<byte> buffer, EndPoint remote) => Fd.SendWithRoom("send to", buffer, default, AddressOf(remote));

    private static SocketAddress AddressOf(EndPoint remote)
    {
        ArgumentNullException.ThrowIfNull(remote);
        return remote is UnixDomainSocketEndPoint unix
            ? UnixAddress.Check(unix, isRemote: true, nameof(remote)).Serialize()
            : throw new ArgumentException($"{remote}: a UnixDomainSocketEndPoint was expected.", nameof(remote));
    }
}
