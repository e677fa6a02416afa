using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// A listener for connections: the twin of Go's <c>net.Listener</c>. Safe from any thread; concurrent accepts queue.
/// </summary>
/// <remarks>
/// You own the connections that it accepts. Await each <see cref="ValueTask"/> that a member returns only once. With
/// <see cref="NetpollDispatch.Inline"/> a blocking accept on a thread of the listener's own loop throws
/// <see cref="InvalidOperationException"/>.
/// </remarks>
public abstract class ConnListener : IDisposable, IAsyncDisposable
{
    private protected readonly NetListenFd _fd;

    private protected ConnListener(NetListenFd fd) => _fd = fd;

    /// <summary>
    /// The address it listens on, with the port that the system chose if port 0 was asked for. It stays known after the close.
    /// </summary>
    public abstract EndPoint LocalEndPoint { get; }

    /// <summary>
    /// Accepts the next connection. While <see cref="ListenOptions.MaxConnections"/> are open, it waits. If descriptors or memory run
    /// short, it pauses and tries again: after 5 ms first, and then after twice as long each time, up to 1 s. The poller logs it once for
    /// each shortage. The token, a close, and a deadline that passes end a pause at once, also a deadline that you set during the pause.
    /// </summary>
    /// <exception cref="NetOpException">
    /// A deadline passed, the listener was closed meanwhile, its poller was disposed or has failed, or the system refused.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The listener was closed before.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled. The listener stays usable.</exception>
    public ValueTask<Conn> AcceptAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<Conn>(op, op.Version);
    }

    /// <summary>The blocking form of <see cref="AcceptAsync"/>.</summary>
    public Conn Accept() => _fd.Accept().ToConn();

    /// <summary>
    /// Accepts one connection after the other, as <see cref="AcceptAsync"/> does. The sequence ends when the listener is closed or
    /// detached, or its poller is disposed. It throws every other error of an accept. After a deadline or a cancellation the listener stays
    /// usable. You own the connections; dispose them yourself.
    /// </summary>
    /// <exception cref="NetOpException">A deadline passed, or the system refused.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async IAsyncEnumerable<Conn> AcceptAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Conn conn;
            try
            {
                conn = await AcceptAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is ObjectDisposedException or NetOpException { IsClosed: true })
            {
                yield break;
            }
            yield return conn;
        }
    }

    /// <summary>
    /// Sets the deadline of accepts to a time of day. Null, or the default value, clears it. A time in the past ends waiting accepts at
    /// once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The listener is closed.</exception>
    public void SetDeadline(DateTimeOffset? deadline) => _fd.SetDeadline(PollMode.ReadWrite, deadline, "set deadline");

    /// <summary>
    /// Sets the deadline of accepts to a time from now. It uses the monotonic clock of the poller's <see cref="TimeProvider"/>, so a change
    /// of the time of day does not move it. <see cref="Timeout.InfiniteTimeSpan"/>, which is exactly -1 ms, clears it. Any other span that
    /// is zero or below ends waiting accepts at once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The listener is closed.</exception>
    public void SetDeadline(TimeSpan fromNow) => _fd.SetDeadline(PollMode.ReadWrite, fromNow, "set deadline");

    /// <summary>
    /// Runs your function once, on this thread, with the descriptor's number: to set or to read what the listener has no member for. The
    /// number is valid only while the function runs: do not keep it, close it, or make it blocking. What the function throws comes out.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The listener is closed.</exception>
    public T Control<TState, T>(TState state, Func<nint, TState, T> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        return _fd.Control(state, call);
    }

    /// <inheritdoc cref="Control{TState, T}"/>
    public void Control(Action<nint> call)
    {
        ArgumentNullException.ThrowIfNull(call);
        _fd.Control(call);
    }

    /// <summary>
    /// Ends waiting accepts, waits until the last one has left, takes the socket out of the poller, and gives it to you. It goes on
    /// listening, and is then a blocking socket, as <see cref="Socket(SafeSocketHandle)"/> takes it. The file of a Unix listener stays.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The listener was closed or detached before.</exception>
    /// <exception cref="NetOpException">The system refused to make the socket blocking; then it is closed.</exception>
    /// <exception cref="InvalidOperationException">
    /// This thread runs a handler of the listener's loop with inline dispatch: the call would wait for its own thread.
    /// </exception>
    public SafeSocketHandle Detach() => _fd.Detach();

    /// <inheritdoc cref="Detach" path="/*[not(self::exception)]"/>
    /// <exception cref="ObjectDisposedException">The listener was closed or detached before.</exception>
    /// <exception cref="NetOpException">The system refused to make the socket blocking; then it is closed.</exception>
    public Task<SafeSocketHandle> DetachAsync() => _fd.DetachAsync();

#pragma warning disable CA1816 // Only this assembly derives, and no listener has a finalizer.
    /// <summary>
    /// Closes the listener and ends waiting accepts, and does not wait for them. Accepted connections stay open. Those that wait in the
    /// backlog are lost, unless another process has the socket too. A second call does nothing.
    /// </summary>
    public void Dispose() => _fd.Dispose();

    /// <summary>
    /// Closes the listener as <see cref="Dispose"/> does, and waits. When it completes, no accept uses the descriptor any more, the
    /// descriptor is closed, and its port is free, unless another process has the socket too.
    /// </summary>
    public ValueTask DisposeAsync()
    {
        _fd.Dispose();
        return new ValueTask(_fd.Destroyed);
    }
#pragma warning restore CA1816
}
