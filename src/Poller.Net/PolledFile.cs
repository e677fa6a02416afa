using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// A descriptor of any kind in a poller: a pipe, a terminal, a serial line, an inotify, a timerfd, a netlink socket, the socket of a native
/// library. The twin of Go's <c>os.File</c> of such a descriptor.
/// </summary>
/// <remarks>
/// <para>
/// There are two forms, and the difference matters. In the <b>operation form</b> you hand over a call that does not block, such as
/// <c>read</c>: the file runs it, waits if it would block, and runs it again. Nothing can be lost. <see cref="ReadAsync(Memory{byte},
/// CancellationToken)"/> and <see cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)"/> are such operations, with read(2) and
/// write(2). The <b>wait-only form</b> (<see cref="WaitReadableAsync"/>, <see cref="WaitWritableAsync"/>) is for native libraries, which
/// read by themselves and often stop before the descriptor is empty. Each wait is level-triggered, over every backend: it ends at once
/// while there is something left. Each costs one poll(2) at least.
/// </para>
/// <para>
/// Threads: every member is safe from any thread. At most one operation of each direction runs at a time; others queue behind it.
/// <see cref="Dispose"/> ends the operations that wait, and does not wait for them.
/// </para>
/// <para>
/// Errors and deadlines are those of a <see cref="Conn"/>. A <see cref="NetOpException"/> names the descriptor in place of the network, as
/// <c>pipe fd 7</c>. If the system refused, its inner exception is a <see cref="NetpollException"/>, which has the error's number. With
/// <see cref="NetpollDispatch.Inline"/> a blocking operation on a thread of the file's own loop throws
/// <see cref="InvalidOperationException"/>.
/// </para>
/// <para>
/// A descriptor that is left blocking (see <see cref="NonBlockingMode"/>) is tried only after poll(2) has said that it is ready, and then
/// once: one read, one call of your function, or one write of at most PIPE_BUF bytes. So it does not block a loop, with these exceptions:
/// somebody else who shares the description takes the bytes between the two calls, or a socket or a terminal takes less than it said.
/// </para>
/// <para>
/// While the file is open, nobody else may close the descriptor. With a <see cref="SafeHandle"/> that owns the descriptor nobody can. If a
/// number is closed elsewhere, a later operation fails with EBADF. If the file borrows its descriptor by the number, that holds also when
/// another file has the number by then; a handle that does not own its descriptor has no such check. On Linux one eventfd, timerfd or the
/// like cannot be told from another. An operation that waits already may wait on: epoll(7) does not tell.
/// </para>
/// <para>Await each <see cref="ValueTask"/> that a member returns only once.</para>
/// </remarks>
public sealed class PolledFile : IDisposable, IAsyncDisposable
{
    private readonly FileFd _fd;

    /// <summary>
    /// Puts a descriptor into a poller. The file holds a reference to the handle until it is disposed or detached. If the constructor
    /// throws, the handle and the descriptor are still yours, and as they were.
    /// </summary>
    /// <param name="poller">The poller.</param>
    /// <param name="handle">The descriptor's handle, such as a <see cref="SafeFileHandle"/>.</param>
    /// <param name="ownsHandle">Whether <see cref="Dispose"/> disposes the handle too.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <exception cref="NetOpException">
    /// The descriptor cannot be polled; the message says what it is. Or the system refused, for example because the descriptor is in the
    /// poller already (only the loop which has it can tell), or because the number is no open descriptor.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException"><see cref="PolledFileOptions.NonBlocking"/> has an undefined value.</exception>
    /// <exception cref="ObjectDisposedException">The handle or the poller was disposed.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public PolledFile(Netpoller poller, SafeHandle handle, bool ownsHandle = true, PolledFileOptions? options = null)
        : this(poller, handle, ownsHandle, options, isFresh: false) { }

    /// <summary>Puts a descriptor, by its number, into a poller. If the constructor throws, the descriptor is still yours.</summary>
    /// <param name="poller">The poller.</param>
    /// <param name="descriptor">The descriptor's number.</param>
    /// <param name="ownsHandle">
    /// Whether <see cref="Dispose"/> closes the descriptor. If not, close it after <see cref="DisposeAsync"/>, not before. Each operation
    /// then looks by fstat(2) whether the number still means the same file; a <see cref="SafeHandle"/> saves that.
    /// </param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <inheritdoc cref="PolledFile(Netpoller, SafeHandle, bool, PolledFileOptions?)" path="/exception"/>
    public PolledFile(Netpoller poller, nint descriptor, bool ownsHandle, PolledFileOptions? options = null)
        : this(poller, new SafeFileHandle(descriptor, ownsHandle), ownsHandle, options, isFresh: true) { }

    private PolledFile(Netpoller poller, SafeHandle handle, bool ownsHandle, PolledFileOptions? options, bool isFresh)
    {
        options ??= new PolledFileOptions();
        try
        {
            ArgumentNullException.ThrowIfNull(poller);
            ArgumentNullException.ThrowIfNull(handle);
            if (!Enum.IsDefined(options.NonBlocking))
            {
                const string Expected = "NonBlocking: IfOwned, Always or Never was expected.";
                throw new ArgumentOutOfRangeException(nameof(options), options.NonBlocking, Expected);
            }
            _fd = FileFd.Create(poller, handle, ownsHandle, options, isNumber: isFresh);
        }
        catch
        {
            if (isFresh) handle.SetHandleAsInvalid(); // The descriptor is still the caller's.
            throw;
        }
    }

    /// <summary>
    /// Runs your function, waits if it says that it would block, and runs it again. The result is the one that the function returns.
    /// </summary>
    /// <param name="state">What the function gets beside the descriptor's number, so that it need not capture anything.</param>
    /// <param name="call">
    /// One try of a call that reads and does not block, such as read(2) or recvmsg(2). It returns the result, or
    /// <see cref="TryResult.WouldBlock"/> for EAGAIN, and only for that: otherwise the operation may wait for ever. It runs on this thread
    /// first, and later where continuations run, under the lock of its direction. So it must not block, and must not wait for another
    /// operation of this direction. If it throws, the operation ends with the exception, and no other operation does.
    /// </param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached before.</exception>
    /// <exception cref="NetOpException">
    /// The deadline passed, the file was disposed or detached during the operation, its poller was disposed or has failed, or the number
    /// was closed elsewhere.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled. The file stays usable.</exception>
    /// <exception cref="InvalidOperationException">
    /// The descriptor cannot be polled (<see cref="PolledFileOptions.UnpollableIsReady"/>), and the function says that it would block.
    /// </exception>
    public ValueTask<T> ReadAsync<TState, T>(
        TState state, Func<nint, TState, TryResult<T>> call, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(call);
        return _fd.CallAsync(Direction.Read, state, call, cancellationToken);
    }

    /// <summary>As <see cref="ReadAsync{TState, T}"/>, for a call that writes, such as write(2) or sendmsg(2).</summary>
    /// <inheritdoc cref="ReadAsync{TState, T}" path="/*[not(self::summary)]"/>
    public ValueTask<T> WriteAsync<TState, T>(
        TState state, Func<nint, TState, TryResult<T>> call, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(call);
        return _fd.CallAsync(Direction.Write, state, call, cancellationToken);
    }

    /// <summary>The blocking form of <see cref="ReadAsync{TState, T}"/>.</summary>
    /// <inheritdoc cref="TryRead{TState, T}" path="/param[not(@name='result')]"/>
    /// <inheritdoc cref="TryRead{TState, T}" path="/exception"/>
    public T Read<TState, T>(TState state, Func<nint, TState, TryResult<T>> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        return _fd.Call(Direction.Read, state, call);
    }

    /// <summary>The blocking form of <see cref="WriteAsync{TState, T}"/>.</summary>
    /// <inheritdoc cref="TryRead{TState, T}" path="/param[not(@name='result')]"/>
    /// <inheritdoc cref="TryRead{TState, T}" path="/exception"/>
    public T Write<TState, T>(TState state, Func<nint, TState, TryResult<T>> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        return _fd.Call(Direction.Write, state, call);
    }

    /// <summary>
    /// Runs your function once, on this thread. False, without a result, if it would block, or if another read is under way or queued.
    /// </summary>
    /// <param name="state">What the function gets beside the descriptor's number.</param>
    /// <param name="call">As in <see cref="ReadAsync{TState, T}"/>.</param>
    /// <param name="result">The function's result.</param>
    /// <inheritdoc cref="ReadAsync{TState, T}" path="/exception[not(@cref='T:System.OperationCanceledException')]"/>
    public bool TryRead<TState, T>(TState state, Func<nint, TState, TryResult<T>> call, [MaybeNullWhen(false)] out T result)
    {
        ArgumentNullException.ThrowIfNull(call);
        return _fd.TryCall(Direction.Read, state, call, out result);
    }

    /// <summary>
    /// Runs your function once, on this thread. False, without a result, if it would block, or if another write is under way or queued.
    /// </summary>
    /// <inheritdoc cref="TryRead{TState, T}" path="/*[not(self::summary)]"/>
    public bool TryWrite<TState, T>(TState state, Func<nint, TState, TryResult<T>> call, [MaybeNullWhen(false)] out T result)
    {
        ArgumentNullException.ThrowIfNull(call);
        return _fd.TryCall(Direction.Write, state, call, out result);
    }

    /// <summary>
    /// Waits until the descriptor is readable, at an end or in error (POLLIN, POLLRDHUP, POLLHUP, POLLERR). It is level-triggered: while
    /// something is left unread, it completes at once. It counts as a read: it queues behind other reads, and the read deadline holds.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached before.</exception>
    /// <exception cref="NetOpException">
    /// The deadline passed, the file was disposed or detached during the wait, its poller was disposed or has failed, or the descriptor was
    /// closed elsewhere.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled. The file stays usable.</exception>
    public ValueTask WaitReadableAsync(CancellationToken cancellationToken = default) => _fd.WaitAsync(Direction.Read, cancellationToken);

    /// <summary>
    /// Waits until the descriptor is writable or in error (POLLOUT, POLLHUP, POLLERR). It is level-triggered. It counts as a write.
    /// </summary>
    /// <inheritdoc cref="WaitReadableAsync" path="/exception"/>
    public ValueTask WaitWritableAsync(CancellationToken cancellationToken = default) => _fd.WaitAsync(Direction.Write, cancellationToken);

    /// <summary>The blocking form of <see cref="WaitReadableAsync"/>.</summary>
    public void WaitReadable() => _fd.Wait(Direction.Read);

    /// <summary>The blocking form of <see cref="WaitWritableAsync"/>.</summary>
    public void WaitWritable() => _fd.Wait(Direction.Write);

    /// <summary>
    /// Reads by read(2): the bytes that are there, at least one; it waits if there are none. Returns 0 at the end. A read into an empty
    /// buffer waits until there is something to read, and returns 0.
    /// </summary>
    /// <remarks>
    /// The end of a pipe or a FIFO is that nobody has it open for writing. To stay for the next writer of a FIFO, open it for reading and
    /// writing. When the last process leaves a terminal, the read of its master end fails with EIO, as it does in Go. Linux may say so
    /// while the terminal still has bytes, so the file reads again before the operation fails.
    /// </remarks>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _fd.ReadAsync(buffer, cancellationToken);

    /// <summary>Writes all of <paramref name="buffer"/> by write(2).</summary>
    /// <remarks>
    /// A write that ends by a deadline or a cancellation may have written a part. If nobody reads at the other end, it fails with EPIPE.
    /// </remarks>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _fd.WriteAsync(buffer, cancellationToken);

    /// <summary>The blocking form of <see cref="ReadAsync(Memory{byte}, CancellationToken)"/>.</summary>
    public int Read(Span<byte> buffer) => _fd.Read(buffer);

    /// <summary>The blocking form of <see cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)"/>.</summary>
    public void Write(ReadOnlySpan<byte> buffer) => _fd.Write(buffer);

    /// <summary>
    /// The file as a stream, which reads and writes as the file does. To dispose the stream disposes the file. Its
    /// <see cref="Stream.ReadTimeout"/> and <see cref="Stream.WriteTimeout"/> hold for all operations of the file.
    /// </summary>
    public Stream AsStream() => new PolledFileStream(_fd);

    /// <summary>
    /// Sets both deadlines to a time of day. Null, or the default value, clears them. A time in the past ends waiting operations at once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached.</exception>
    public void SetDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.ReadWrite, deadline, "set deadline");

    /// <summary>
    /// Sets both deadlines to a time from now. A change of the time of day does not move them.
    /// <see cref="Timeout.InfiniteTimeSpan"/>, which is exactly -1 ms, clears them. Any other span that is zero or below ends waiting
    /// operations at once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached.</exception>
    public void SetDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.ReadWrite, fromNow, "set deadline");

    /// <summary>Sets the read deadline; see <see cref="SetDeadline(DateTimeOffset?)"/>.</summary>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached.</exception>
    public void SetReadDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.Read, deadline, "set read deadline");

    /// <summary>Sets the read deadline; see <see cref="SetDeadline(TimeSpan)"/>.</summary>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached.</exception>
    public void SetReadDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.Read, fromNow, "set read deadline");

    /// <summary>Sets the write deadline; see <see cref="SetDeadline(DateTimeOffset?)"/>.</summary>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached.</exception>
    public void SetWriteDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.Write, deadline, "set write deadline");

    /// <summary>Sets the write deadline; see <see cref="SetDeadline(TimeSpan)"/>.</summary>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached.</exception>
    public void SetWriteDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.Write, fromNow, "set write deadline");

    /// <summary>
    /// Ends the operations that wait, waits until the last operation has left, takes the descriptor out of the poller, and gives it back as
    /// it was found: O_NONBLOCK is cleared if the file has set it.
    /// </summary>
    /// <returns>
    /// The handle that the file was given, which is yours from now on. For a number it is a <see cref="SafeFileHandle"/>, which owns the
    /// descriptor if the file owned it.
    /// </returns>
    /// <remarks>Do not call it from a function that you gave to this file: it would wait for itself.</remarks>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached before.</exception>
    /// <exception cref="InvalidOperationException">
    /// This thread runs a handler of the file's loop with inline dispatch: the call would wait for its own thread.
    /// </exception>
    public SafeHandle Detach() => _fd.Detach();

    /// <inheritdoc cref="Detach" path="/*[not(self::exception)]"/>
    /// <exception cref="ObjectDisposedException">The file was disposed or detached before.</exception>
    public Task<SafeHandle> DetachAsync() => _fd.DetachAsync();

    /// <summary>
    /// Ends the operations that wait, and does not wait for them. When the last operation has left, the descriptor leaves the poller, and
    /// then the handle is disposed if the file owns it. A second call does nothing.
    /// </summary>
    public void Dispose() => _fd.Dispose();

    /// <summary>
    /// Calls <see cref="Dispose"/>, and completes when the last operation has left, the descriptor has left the poller, and the handle is
    /// disposed if the file owns it.
    /// </summary>
    public ValueTask DisposeAsync()
    {
        _fd.Dispose();
        return new ValueTask(_fd.Left);
    }

    /// <summary>What the descriptor is, and its number, such as <c>pipe fd 7</c>.</summary>
    public override string ToString() => _fd.Description;
}
