using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// A connection, or a socket of packets, as an ordinary <see cref="Stream"/>: the twin of Go's <c>net.Conn</c>.
/// </summary>
/// <remarks>
/// <para>
/// TCP, and Unix sockets of the network <c>unix</c>, carry bytes without borders, and what is said here of the peer's end holds for them.
/// Packets have borders and no end; <see cref="IpPacketConn"/> and <see cref="UnixConn"/> say what differs.
/// </para>
/// <para>
/// Threads: every member is safe from any thread. At most one read and one write run at a time; others queue behind them, so the bytes of
/// two writes never mix. <see cref="Stream.Dispose()"/> ends the operations that wait, and does not wait for them. The descriptor is closed
/// when the last operation has left it.
/// </para>
/// <para>
/// Deadlines: each direction has one, an absolute time. It holds for operations under way and for later ones, until you move or clear it.
/// An operation that meets it fails with <see cref="NetOpException.IsTimeout"/>, and the connection stays usable. A write that ends by a
/// deadline or a cancellation may have sent a part. The caller cannot learn how much, so close the connection unless your protocol can
/// resynchronise.
/// </para>
/// <para>
/// Errors: an operation throws <see cref="NetOpException"/> when the system refuses it, when its deadline passes, or when the connection is
/// closed during it. After a close it throws <see cref="ObjectDisposedException"/>. When its token is cancelled it throws
/// <see cref="OperationCanceledException"/>, and the connection stays usable. With <see cref="NetpollDispatch.Inline"/> a blocking
/// operation on a thread of the connection's own loop throws <see cref="InvalidOperationException"/>.
/// </para>
/// <para>Await each <see cref="ValueTask"/> that a member returns only once.</para>
/// </remarks>
public abstract class Conn : Stream
{
    private protected readonly NetFd _fd;

    private protected Conn(NetFd fd) => _fd = fd;

    internal NetFd NetFd => _fd;

    /// <summary>The address on this side.</summary>
    /// <exception cref="ObjectDisposedException">The connection was closed before anyone had read the address.</exception>
    /// <exception cref="NetOpException">
    /// The system no longer knows the address. Some systems forget it when the peer resets the connection.
    /// </exception>
    public abstract EndPoint LocalEndPoint { get; }

    /// <summary>The peer's address.</summary>
    /// <exception cref="ObjectDisposedException">The connection was closed before anyone had read the address.</exception>
    /// <exception cref="NetOpException">
    /// The system no longer knows the address. Some systems forget it when the peer resets the connection.
    /// </exception>
    public abstract EndPoint RemoteEndPoint { get; }

    /// <summary>
    /// Whether the system sends small writes at once, which is the default, or gathers them first (TCP_NODELAY, tcp(7)).
    /// Only TCP has the option; the system refuses it elsewhere.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public bool NoDelay
    {
        get => _fd.GetOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, "get NoDelay") != 0;
        set => _fd.SetOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, value ? 1 : 0, "set NoDelay");
    }

    /// <summary>
    /// What a close does with bytes that are not sent or not acknowledged yet (SO_LINGER, socket(7)). If it is not enabled, which is the
    /// default, the system sends them in the background. With a time of 0 s a close drops them and resets the connection. With a longer
    /// time, at most 65,535 s, the bytes that are left after that time are dropped, and the connection is reset. Only TCP lingers: the
    /// option has no effect elsewhere.
    /// </summary>
    /// <remarks>
    /// A close always returns at once. The poller waits for the peer's acknowledgement, and no thread does. Bytes that the peer sends
    /// meanwhile are dropped. If the poller is disposed or fails meanwhile, the system sends the rest in the background. The getter returns
    /// a copy: set the property to change the option.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">It is enabled, and its time is below 0 or above 65,535 s.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public LingerOption LingerState
    {
        get
        {
            int seconds = _fd.GetOption(SocketOptionLevel.Socket, SocketOptionName.Linger, "get LingerState");
            return new LingerOption(seconds >= 0, Math.Max(seconds, 0));
        }

        set
        {
            ArgumentNullException.ThrowIfNull(value);
            (bool on, int seconds) = (value.Enabled, value.LingerTime);
            if (on && seconds is < 0 or > ushort.MaxValue)
            {
                throw new ArgumentOutOfRangeException(nameof(value), seconds, "a linger time of 0 to 65535 seconds was expected.");
            }
            if (on && seconds > 0 && _fd.IsTcp) _fd.MayLinger = true; // Elsewhere a close never blocks.
            _fd.SetOption(SocketOptionLevel.Socket, SocketOptionName.Linger, on ? seconds : -1, "set LingerState");
        }
    }

    /// <summary>
    /// The size of the system's buffer for what has arrived and was not read, in bytes (SO_RCVBUF, socket(7)). The system may take another
    /// value: Linux doubles it, and cuts it to the administrator's limit.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 0.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public int ReceiveBufferSize
    {
        get => _fd.GetOption(SocketOptionLevel.Socket, SocketOptionName.ReceiveBuffer, "get ReceiveBufferSize");
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _fd.SetOption(SocketOptionLevel.Socket, SocketOptionName.ReceiveBuffer, value, "set ReceiveBufferSize");
        }
    }

    /// <summary>
    /// The size of the system's buffer for what was written and is not sent yet, in bytes (SO_SNDBUF, socket(7)). The system may take
    /// another value, as for <see cref="ReceiveBufferSize"/>.
    /// </summary>
    /// <inheritdoc cref="ReceiveBufferSize"/>
    public int SendBufferSize
    {
        get => _fd.GetOption(SocketOptionLevel.Socket, SocketOptionName.SendBuffer, "get SendBufferSize");
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _fd.SetOption(SocketOptionLevel.Socket, SocketOptionName.SendBuffer, value, "set SendBufferSize");
        }
    }

    /// <summary>
    /// An option by the name that System.Net.Sockets has for it, such as <see cref="SocketOptionName.KeepAlive"/>. Linger is in seconds,
    /// and -1 if it is off.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The library has no number for the option: use <see cref="GetRawSocketOption"/>.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public int GetSocketOption(SocketOptionLevel level, SocketOptionName name) => _fd.GetOption(level, name, $"get {level}/{name}");

    /// <summary>
    /// Sets an option by the name that System.Net.Sockets has for it. Linger is in seconds; a value below 0 turns it off. To set it is to
    /// set <see cref="LingerState"/>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The library has no number for the option: use <see cref="SetRawSocketOption"/>. Or a linger time is above 65,535 s.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public void SetSocketOption(SocketOptionLevel level, SocketOptionName name, int value)
    {
        if (level == SocketOptionLevel.Socket && name == SocketOptionName.Linger) LingerState = new LingerOption(value >= 0, value);
        else _fd.SetOption(level, name, value, $"set {level}/{name}");
    }

    /// <summary>
    /// An option by the system's own numbers (getsockopt(2)). Returns the length of the value, in bytes, which is cut to the room in
    /// <paramref name="value"/>.
    /// </summary>
    /// <param name="level">The level, such as the number of SOL_SOCKET.</param>
    /// <param name="name">The option, such as the number of SO_RCVLOWAT.</param>
    /// <param name="value">It receives the value.</param>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public int GetRawSocketOption(int level, int name, Span<byte> value) => _fd.GetRawOption(level, name, value);

    /// <summary>
    /// Sets an option by the system's own numbers (setsockopt(2)). The library does not know what it does: an option that changes when a
    /// read ends, or whether a call blocks, changes that here too.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public void SetRawSocketOption(int level, int name, ReadOnlySpan<byte> value) => _fd.SetRawOption(level, name, value);

    /// <summary>Your own system calls on the connection's socket.</summary>
    public RawConn Raw => new(_fd);

    /// <summary>True until the connection is closed on this side.</summary>
    public override bool CanRead => !_fd.IsClosed;

    /// <summary>True until the connection is closed on this side.</summary>
    public override bool CanWrite => !_fd.IsClosed;

    /// <summary>False.</summary>
    public override bool CanSeek => false;

    /// <summary>True.</summary>
    public override bool CanTimeout => true;

    /// <summary>Not supported.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public override long Length => throw NotSeekable();

    /// <summary>Not supported.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public override long Position { get => throw NotSeekable(); set => throw NotSeekable(); }

    /// <summary>
    /// How long a read, blocking or async, may take, in ms. <see cref="Timeout.Infinite"/>, the default, sets no limit. The time counts
    /// from when the read starts; time spent queued behind another read does not count. If there is a read deadline too, the earlier of the
    /// two holds. A new value applies to reads that start later, and does not change the read deadline.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is neither above 0 nor <see cref="Timeout.Infinite"/>.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public override int ReadTimeout { get => _fd.ReadTimeout; set => _fd.ReadTimeout = value; }

    /// <summary>
    /// How long a write, blocking or async, may take, in ms. <see cref="Timeout.Infinite"/>, the default, sets no limit. The time counts
    /// from when the write starts; time spent queued behind another write does not count. If there is a write deadline too, the earlier of
    /// the two holds. A new value applies to writes that start later, and does not change the write deadline.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is neither above 0 nor <see cref="Timeout.Infinite"/>.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public override int WriteTimeout { get => _fd.WriteTimeout; set => _fd.WriteTimeout = value; }

    /// <summary>
    /// Sets both deadlines to a time of day. Null, or the default value, clears them. A time in the past ends waiting operations at once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public void SetDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.ReadWrite, deadline, "set deadline");

    /// <summary>
    /// Sets both deadlines to a time from now. It uses the monotonic clock of the poller's <see cref="TimeProvider"/>, so a change of the
    /// time of day does not move them. <see cref="Timeout.InfiniteTimeSpan"/>, which is exactly -1 ms, clears them. Any other span that is
    /// zero or below ends waiting operations at once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public void SetDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.ReadWrite, fromNow, "set deadline");

    /// <summary>Sets the read deadline; see <see cref="SetDeadline(DateTimeOffset?)"/>.</summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public void SetReadDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.Read, deadline, "set read deadline");

    /// <summary>Sets the read deadline; see <see cref="SetDeadline(TimeSpan)"/>.</summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public void SetReadDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.Read, fromNow, "set read deadline");

    /// <summary>Sets the write deadline; see <see cref="SetDeadline(DateTimeOffset?)"/>.</summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public void SetWriteDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.Write, deadline, "set write deadline");

    /// <summary>Sets the write deadline; see <see cref="SetDeadline(TimeSpan)"/>.</summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public void SetWriteDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.Write, fromNow, "set write deadline");

    /// <summary>
    /// Ends the reading side (shutdown(2), SHUT_RD). A read that waits returns 0. Later reads return the bytes that have arrived, and then
    /// 0. On Linux they also return bytes that the peer sends afterwards. If the connection is over, because both sides have ended or the
    /// peer has reset it, this does nothing.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">
    /// The system refused, or it is a socket without connections, such as UDP's: <see cref="SocketError.OperationNotSupported"/>.
    /// </exception>
    public void CloseRead() => _fd.Shutdown(SocketShutdown.Receive, "close read");

    /// <summary>
    /// Ends the writing side (shutdown(2), SHUT_WR): the peer reads what was sent, and then 0. Reading goes on: this is a half close. If
    /// the connection is over, because both sides have ended or the peer has reset it, this does nothing.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">
    /// The system refused, or it is a socket without connections, such as UDP's: <see cref="SocketError.OperationNotSupported"/>.
    /// </exception>
    public void CloseWrite() => _fd.Shutdown(SocketShutdown.Send, "close write");

    /// <summary>
    /// Ends the operations that wait, waits until the last operation has left, takes the socket out of the poller, and gives it to you.
    /// Nothing is sent to the peer. It is then a blocking socket, as <see cref="Socket(SafeSocketHandle)"/> takes it.
    /// </summary>
    /// <remarks>
    /// Make a <see cref="Socket"/> of the handle, and dispose that: the handle's own dispose resets a TCP connection. Do not call this from
    /// a function that you gave to <see cref="Raw"/>: it would wait for itself.
    /// </remarks>
    /// <exception cref="ObjectDisposedException">The connection was closed or detached before.</exception>
    /// <exception cref="NetOpException">The system refused to make the socket blocking; then it is closed.</exception>
    /// <exception cref="InvalidOperationException">
    /// This thread runs a handler of the connection's loop with inline dispatch: the call would wait for its own thread.
    /// </exception>
    public SafeSocketHandle Detach() => _fd.Detach();

    /// <inheritdoc cref="Detach" path="/*[not(self::exception)]"/>
    /// <exception cref="ObjectDisposedException">The connection was closed or detached before.</exception>
    /// <exception cref="NetOpException">The system refused to make the socket blocking; then it is closed.</exception>
    public Task<SafeSocketHandle> DetachAsync() => _fd.DetachAsync();

    /// <summary>
    /// Waits until a read would return something. The wait holds no buffer. The result is true for bytes or a datagram, and false if the
    /// peer has ended. It counts as a read: it queues behind other reads, and the read deadline holds.
    /// </summary>
    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken = default) => _fd.WaitToReadAsync(cancellationToken);

    /// <summary>The blocking form of <see cref="WaitToReadAsync"/>.</summary>
    public bool WaitToRead() => _fd.WaitToRead();

    /// <summary>
    /// Reads the bytes that have arrived, at least one; it waits if there are none. Returns 0 if the peer has ended. A read into an empty
    /// buffer waits until there is something to read, and returns 0.
    /// </summary>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _fd.ReadAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return _fd.ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    /// <summary>The blocking form of <see cref="ReadAsync(Memory{byte}, CancellationToken)"/>.</summary>
    public override int Read(Span<byte> buffer) => _fd.Read(buffer);

    /// <inheritdoc cref="Read(Span{byte})"/>
    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        return Read(buffer.AsSpan(offset, count));
    }

    /// <summary>
    /// Reads the bytes that have arrived into several buffers, one after the other (recvmsg(2)). It fills a buffer before it begins the
    /// next one. It uses at most 1,024 buffers that are not empty. Otherwise it works as
    /// <see cref="ReadAsync(Memory{byte}, CancellationToken)"/>. The list must not change until the read is done.
    /// </summary>
    public ValueTask<int> ReadAsync(IReadOnlyList<Memory<byte>> buffers, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        return _fd.ReadAsync(new Pieces(buffers), cancellationToken);
    }

    /// <summary>The blocking form of <see cref="ReadAsync(IReadOnlyList{Memory{byte}}, CancellationToken)"/>.</summary>
    public int Read(IReadOnlyList<Memory<byte>> buffers)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        return _fd.Read(new Pieces(buffers));
    }

    /// <summary>Reads one byte. Returns -1 if the peer has ended.</summary>
    public override int ReadByte()
    {
        byte value = 0;
        return Read(new Span<byte>(ref value)) == 0 ? -1 : value;
    }

    /// <summary>
    /// Copies bytes that have arrived, at least one, and leaves them to the next read (MSG_PEEK, recv(2)). It waits if there are none.
    /// Returns 0 if the peer has ended. It counts as a read. A peek into an empty buffer waits until there is something to read, and
    /// returns 0.
    /// </summary>
    public ValueTask<int> PeekAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _fd.PeekAsync(buffer, cancellationToken);

    /// <summary>The blocking form of <see cref="PeekAsync"/>.</summary>
    public int Peek(Span<byte> buffer) => _fd.Peek(buffer);

    /// <summary>Sends all of <paramref name="buffer"/>.</summary>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _fd.WriteAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return _fd.WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    /// <summary>The blocking form of <see cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)"/>.</summary>
    public override void Write(ReadOnlySpan<byte> buffer) => _fd.Write(buffer);

    /// <inheritdoc cref="Write(ReadOnlySpan{byte})"/>
    public override void Write(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        Write(buffer.AsSpan(offset, count));
    }

    /// <summary>
    /// Sends several buffers, one after the other, as one write (sendmsg(2), the twin of Go's <c>net.Buffers</c>). One system call takes
    /// up to 1,024 of them. On a stream a longer list takes several calls, and empty buffers cost nothing. On a socket of messages the
    /// buffers are one message; more than 1,024 that are not empty fail with <see cref="SocketError.MessageSize"/>. The list must not
    /// change until the write is done.
    /// </summary>
    public ValueTask WriteAsync(IReadOnlyList<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        return _fd.WriteAsync(new Pieces(buffers), cancellationToken);
    }

    /// <summary>
    /// Sends all segments of a sequence, such as what a PipeReader returns; see
    /// <see cref="WriteAsync(IReadOnlyList{ReadOnlyMemory{byte}}, CancellationToken)"/>.
    /// </summary>
    public ValueTask WriteAsync(ReadOnlySequence<byte> buffers, CancellationToken cancellationToken = default) =>
        buffers.IsSingleSegment
            ? _fd.WriteAsync(buffers.First, cancellationToken)
            : _fd.WriteAsync(new Pieces(buffers), cancellationToken);

    /// <summary>
    /// The blocking form of <see cref="WriteAsync(IReadOnlyList{ReadOnlyMemory{byte}}, CancellationToken)"/>.
    /// </summary>
    public void Write(IReadOnlyList<ReadOnlyMemory<byte>> buffers)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        _fd.Write(new Pieces(buffers));
    }

    /// <summary>The blocking form of <see cref="WriteAsync(ReadOnlySequence{byte}, CancellationToken)"/>.</summary>
    public void Write(ReadOnlySequence<byte> buffers)
    {
        if (buffers.IsSingleSegment) _fd.Write(buffers.FirstSpan);
        else _fd.Write(new Pieces(buffers));
    }

    /// <summary>Sends one byte.</summary>
    public override void WriteByte(byte value) => Write(new ReadOnlySpan<byte>(in value));

    /// <summary>
    /// Copies all bytes that arrive to <paramref name="destination"/>, until the peer ends. If that is a connection of this library, and
    /// both are streams, Linux moves the bytes from socket to socket (splice(2)), and they do not come into the process.
    /// </summary>
    /// <param name="destination">Where the bytes go. Its end is left to the caller: see <see cref="CloseWrite"/>.</param>
    /// <param name="bufferSize">The size of the buffer, in bytes, if bytes are copied through the process.</param>
    /// <param name="cancellationToken">Ends the copy.</param>
    /// <remarks>
    /// The copy reads and writes in turn, with the deadlines and time-outs of this connection's reads and of the destination's writes. If
    /// both are streams of this library, and a write fails or is cancelled, the exception's message says how many bytes were read and not
    /// written, and <see cref="UnwrittenBytes"/> returns them. A copy to any other stream loses them.
    /// </remarks>
    public override Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
    {
        ValidateCopyToArguments(destination, bufferSize);
        return destination is Conn to && _fd.IsStream && to._fd.IsStream
            ? SocketFd.CopyAsync(_fd, to._fd, bufferSize, blocking: false, cancellationToken).AsTask()
            : base.CopyToAsync(destination, bufferSize, cancellationToken);
    }

    /// <summary>The blocking form of <see cref="CopyToAsync(Stream, int, CancellationToken)"/>.</summary>
    public override void CopyTo(Stream destination, int bufferSize)
    {
        ValidateCopyToArguments(destination, bufferSize);
        if (destination is not Conn to || !_fd.IsStream || !to._fd.IsStream) base.CopyTo(destination, bufferSize);
        else Blocking.End(SocketFd.CopyAsync(_fd, to._fd, bufferSize, blocking: true, CancellationToken.None));
    }

    /// <summary>
    /// The bytes that a copy between two stream connections had read from its source and not written to its destination when
    /// <paramref name="error"/> ended it. They come before what a later read of the source returns. Send them first if you go on.
    /// </summary>
    /// <param name="error">
    /// What <see cref="CopyToAsync(Stream, int, CancellationToken)"/> or <see cref="CopyTo(Stream, int)"/> threw, of any type. Not an
    /// exception around it.
    /// </param>
    /// <returns>
    /// The bytes, which the exception holds: at most 1 MiB, or the size of the copy's buffer if that is more. Empty if the read of the
    /// source failed, or if the exception comes from something else.
    /// </returns>
    public static ReadOnlyMemory<byte> UnwrittenBytes(Exception error)
    {
        ArgumentNullException.ThrowIfNull(error);
        return SocketFd.UnwrittenOf(error);
    }

    /// <inheritdoc/>
    public override IAsyncResult BeginRead(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(ReadAsync(buffer, offset, count, CancellationToken.None), callback, state);

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">
    /// The read is not done, and this thread runs a handler of its loop with inline dispatch: the call would wait for its own thread.
    /// </exception>
    public override int EndRead(IAsyncResult asyncResult)
    {
        if (asyncResult is { IsCompleted: false }) _fd.BeforeBlocking("end read");
        return TaskToAsyncResult.End<int>(asyncResult);
    }

    /// <inheritdoc/>
    public override IAsyncResult BeginWrite(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(WriteAsync(buffer, offset, count, CancellationToken.None), callback, state);

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">
    /// The write is not done, and this thread runs a handler of its loop with inline dispatch: the call would wait for its own thread.
    /// </exception>
    public override void EndWrite(IAsyncResult asyncResult)
    {
        if (asyncResult is { IsCompleted: false }) _fd.BeforeBlocking("end write");
        TaskToAsyncResult.End(asyncResult);
    }

    /// <summary>Does nothing, because a write sends its bytes at once.</summary>
    public override void Flush() { }

    /// <summary>Does nothing, because a write sends its bytes at once.</summary>
    public override Task FlushAsync(CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken) : Task.CompletedTask;

    /// <summary>Not supported.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public override long Seek(long offset, SeekOrigin origin) => throw NotSeekable();

    /// <summary>Not supported.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public override void SetLength(long value) => throw NotSeekable();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // PollFd's finalizer closes an abandoned connection.
        if (disposing)
        {
            _fd.Dispose();
        }
        base.Dispose(disposing);
    }

    private static NotSupportedException NotSeekable() => new("a network connection has no position or length.");
}
