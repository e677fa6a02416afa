using System.Diagnostics.CodeAnalysis;

namespace Poller.Net;

/// <summary>
/// Your own system calls on the socket of a <see cref="Conn"/>: the twin of Go's <c>syscall.RawConn</c>. It is a view of the connection,
/// and costs nothing.
/// </summary>
/// <remarks>
/// <para>
/// Your function gets the descriptor's number. The number is valid only while the function runs: do not keep it, close it, or make it
/// blocking. Reads and writes queue with those of the connection, and its deadlines hold. A function that throws ends its own operation
/// only, with its exception.
/// </para>
/// <para>
/// Threads: every member is safe from any thread. With <see cref="NetpollDispatch.Inline"/> a blocking operation on a thread of the
/// connection's own loop throws <see cref="InvalidOperationException"/>, and so does every member of the default value.
/// </para>
/// </remarks>
public readonly record struct RawConn
{
    private readonly NetFd? _fd;

    internal RawConn(NetFd fd) => _fd = fd;

    private NetFd Fd => _fd ?? throw new InvalidOperationException("RawConn: the one of a connection was expected, not the default value.");

    /// <summary>
    /// Runs a function once, on this thread, beside reads and writes: to set or to read what the connection has no member for. What the
    /// function throws comes out.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The connection is closed.</exception>
    public T Control<TState, T>(TState state, Func<nint, TState, T> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        return Fd.Control(state, call);
    }

    /// <inheritdoc cref="Control{TState, T}"/>
    public void Control(Action<nint> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        Fd.Control(call);
    }

    /// <summary>
    /// Runs a function that reads and does not block, such as recvmsg(2), waits if it says that it would block, and runs it again. The
    /// result is the one that the function returns.
    /// </summary>
    /// <inheritdoc cref="PolledFile.ReadAsync{TState, T}" path="/param"/>
    /// <exception cref="ObjectDisposedException">The connection was closed before.</exception>
    /// <exception cref="NetOpException">
    /// The deadline passed, the connection was closed during the operation, or its poller was disposed or has failed.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled. The connection stays usable.</exception>
    public ValueTask<T> ReadAsync<TState, T>(
        TState state, Func<nint, TState, TryResult<T>> call, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(call);
        return Fd.CallAsync(Direction.Read, state, call, cancellationToken);
    }

    /// <summary>As <see cref="ReadAsync{TState, T}"/>, for a function that writes, such as sendmsg(2).</summary>
    /// <inheritdoc cref="ReadAsync{TState, T}" path="/*[not(self::summary)]"/>
    public ValueTask<T> WriteAsync<TState, T>(
        TState state, Func<nint, TState, TryResult<T>> call, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(call);
        return Fd.CallAsync(Direction.Write, state, call, cancellationToken);
    }

    /// <summary>The blocking form of <see cref="ReadAsync{TState, T}"/>.</summary>
    /// <inheritdoc cref="TryRead{TState, T}" path="/param[not(@name='result')]"/>
    /// <inheritdoc cref="TryRead{TState, T}" path="/exception"/>
    public T Read<TState, T>(TState state, Func<nint, TState, TryResult<T>> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        return Fd.Call(Direction.Read, state, call);
    }

    /// <summary>The blocking form of <see cref="WriteAsync{TState, T}"/>.</summary>
    /// <inheritdoc cref="TryRead{TState, T}" path="/param[not(@name='result')]"/>
    /// <inheritdoc cref="TryRead{TState, T}" path="/exception"/>
    public T Write<TState, T>(TState state, Func<nint, TState, TryResult<T>> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        return Fd.Call(Direction.Write, state, call);
    }

    /// <summary>
    /// Runs a function that reads, once, on this thread. False, without a result, if it would block, or if another read is under way or
    /// queued.
    /// </summary>
    /// <inheritdoc cref="PolledFile.TryRead{TState, T}" path="/param"/>
    /// <inheritdoc cref="ReadAsync{TState, T}" path="/exception[not(@cref='T:System.OperationCanceledException')]"/>
    public bool TryRead<TState, T>(TState state, Func<nint, TState, TryResult<T>> call, [MaybeNullWhen(false)] out T result)
    {
        ArgumentNullException.ThrowIfNull(call);
        return Fd.TryCall(Direction.Read, state, call, out result);
    }

    /// <summary>
    /// Runs a function that writes, once, on this thread. False, without a result, if it would block, or if another write is under way or
    /// queued.
    /// </summary>
    /// <inheritdoc cref="TryRead{TState, T}" path="/*[not(self::summary)]"/>
    public bool TryWrite<TState, T>(TState state, Func<nint, TState, TryResult<T>> call, [MaybeNullWhen(false)] out T result)
    {
        ArgumentNullException.ThrowIfNull(call);
        return Fd.TryCall(Direction.Write, state, call, out result);
    }
}
