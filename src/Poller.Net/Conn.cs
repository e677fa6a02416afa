using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// A stream-oriented network connection: the twin of Go's <c>net.Conn</c>, and an ordinary <see cref="Stream"/>.
/// </summary>
/// <remarks>
/// <para>
/// Threads: every member is safe from any thread. One read and one write are under way at a time; others queue behind them, and a write is
/// never interleaved with another. <see cref="Stream.Dispose()"/> ends what waits and does not wait for it; the descriptor is closed when
/// the last operation has left it.
/// </para>
/// <para>
/// Deadlines are absolute points in time for each direction, and hold for operations under way as for later ones, until they are moved or
/// cleared. An operation that meets one fails with <see cref="NetOpException.IsTimeout"/> and leaves the connection usable; of a write
/// it is then not known how much was sent.
/// </para>
/// <para>
/// Errors: <see cref="NetOpException"/> for what the system refused, for a deadline and for a close during the operation;
/// <see cref="ObjectDisposedException"/> after a close; <see cref="OperationCanceledException"/> for a token.
/// </para>
/// <para>A <see cref="ValueTask"/> returned here is awaited once, as every ValueTask is.</para>
/// </remarks>
public abstract class Conn : Stream
{
    private protected readonly NetFd _fd;

    private protected Conn(NetFd fd) => _fd = fd;

    /// <summary>The address on this side.</summary>
    /// <exception cref="ObjectDisposedException">The connection was closed before anyone asked.</exception>
    /// <exception cref="NetOpException">The system no longer knows it: some forget it when the peer resets the connection.</exception>
    public abstract EndPoint LocalEndPoint { get; }

    /// <summary>The peer's address.</summary>
    /// <exception cref="ObjectDisposedException">The connection was closed before anyone asked.</exception>
    /// <exception cref="NetOpException">The system no longer knows it: some forget it when the peer resets the connection.</exception>
    public abstract EndPoint RemoteEndPoint { get; }

    /// <summary>
    /// Whether small writes are sent at once, as they are by default, or gathered first (TCP_NODELAY, tcp(7)).
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public abstract bool NoDelay { get; set; }

    /// <summary>
    /// What a close does with bytes that are not yet sent or acknowledged (SO_LINGER, socket(7)). Not enabled, which is the default, sends
    /// them in the background. A time of 0 s throws them away and resets the connection. After a longer time, of 65535 s at the most, what
    /// is left is thrown away, and the connection is reset. A close returns at once in any case: the poller waits for the peer's
    /// acknowledgement, and no thread does. Bytes that the peer sends meanwhile are thrown away. When the poller is disposed or fails
    /// meanwhile, the system sends the rest in the background. What is read is a copy: set it to change it.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is enabled, and the time is below 0 or above 65535 s.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    public abstract LingerOption LingerState { get; set; }

    /// <summary>True until the connection is closed on this side.</summary>
    public override bool CanRead => !_fd.IsClosed;

    /// <summary>True until the connection is closed on this side.</summary>
    public override bool CanWrite => !_fd.IsClosed;

    /// <summary>False.</summary>
    public override bool CanSeek => false;

    /// <summary>True.</summary>
    public override bool CanTimeout => true;

    /// <summary>Not supported.</summary>
    public override long Length => throw NotSeekable();

    /// <summary>Not supported.</summary>
    public override long Position { get => throw NotSeekable(); set => throw NotSeekable(); }

    /// <summary>
    /// How long a read may take, blocking or async, in ms; <see cref="Timeout.Infinite"/>, which is the default, sets no limit. The time
    /// counts from when the read starts: what it spends queued behind another read does not count. Where a read deadline is set too, the
    /// earlier of the two holds. A new value holds for reads that start after it, and leaves the read deadline as it is.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Neither above 0 nor <see cref="Timeout.Infinite"/>.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public override int ReadTimeout { get => _fd.ReadTimeout; set => _fd.ReadTimeout = value; }

    /// <summary>
    /// How long a write may take, blocking or async, in ms; <see cref="Timeout.Infinite"/>, which is the default, sets no limit. The time
    /// counts from when the write starts: what it spends queued behind another write does not count. Where a write deadline is set too, the
    /// earlier of the two holds. A new value holds for writes that start after it, and leaves the write deadline as it is.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Neither above 0 nor <see cref="Timeout.Infinite"/>.</exception>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public override int WriteTimeout { get => _fd.WriteTimeout; set => _fd.WriteTimeout = value; }

    /// <summary>
    /// Sets both deadlines to a time of day. Null, or the default value, clears them. A time that is past ends what waits at once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public void SetDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.ReadWrite, deadline, "set deadline");

    /// <summary>
    /// Sets both deadlines to a time from now, by the monotonic clock of the poller's <see cref="TimeProvider"/>: a change of the time of
    /// day does not move them. <see cref="Timeout.InfiniteTimeSpan"/>, which is exactly -1 ms, clears them. Any other span that is zero or
    /// below ends what waits at once.
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
    /// Ends the reading side (shutdown(2), SHUT_RD): a read that waits returns 0, and so do later ones, once the bytes that have come are
    /// taken. On Linux bytes that the peer still sends are read too.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused: the peer has reset the connection, for example.</exception>
    public void CloseRead() => _fd.Shutdown(SocketShutdown.Receive, "close read");

    /// <summary>Ends the writing side: the peer reads 0 after what was sent (shutdown(2), SHUT_WR). Half close.</summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    /// <exception cref="NetOpException">The system refused: the peer has reset the connection, for example.</exception>
    public void CloseWrite() => _fd.Shutdown(SocketShutdown.Send, "close write");

    /// <summary>
    /// Waits until a read has something to return, holding no buffer meanwhile. True for bytes, false when the peer has ended.
    /// </summary>
    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken = default) => _fd.WaitToReadAsync(cancellationToken);

    /// <summary>The blocking form of <see cref="WaitToReadAsync"/>.</summary>
    public bool WaitToRead() => _fd.WaitToRead();

    /// <summary>
    /// Reads what there is, at least one byte; 0 when the peer has ended. An empty buffer waits until there is something to read and
    /// returns 0.
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

    /// <summary>Reads one byte; -1 when the peer has ended.</summary>
    public override int ReadByte()
    {
        byte value = 0;
        return Read(new Span<byte>(ref value)) == 0 ? -1 : value;
    }

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

    /// <summary>Sends one byte.</summary>
    public override void WriteByte(byte value) => Write(new ReadOnlySpan<byte>(in value));

    /// <inheritdoc/>
    public override IAsyncResult BeginRead(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(ReadAsync(buffer, offset, count, CancellationToken.None), callback, state);

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">
    /// The read is not done, and this thread is the one that would end it: a handler with inline dispatch.
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
    /// The write is not done, and this thread is the one that would end it: a handler with inline dispatch.
    /// </exception>
    public override void EndWrite(IAsyncResult asyncResult)
    {
        if (asyncResult is { IsCompleted: false }) _fd.BeforeBlocking("end write");
        TaskToAsyncResult.End(asyncResult);
    }

    /// <summary>Does nothing: what is written is sent at once.</summary>
    public override void Flush() { }

    /// <summary>Does nothing: what is written is sent at once.</summary>
    public override Task FlushAsync(CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken) : Task.CompletedTask;

    /// <summary>Not supported.</summary>
    public override long Seek(long offset, SeekOrigin origin) => throw NotSeekable();

    /// <summary>Not supported.</summary>
    public override void SetLength(long value) => throw NotSeekable();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // An abandoned connection is closed by PollFd's finalizer.
        if (disposing)
        {
            _fd.Dispose();
        }
        base.Dispose(disposing);
    }

    private static NotSupportedException NotSeekable() => new("a network connection has no position or length.");
}
