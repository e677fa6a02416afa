using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// A listener for connections: the twin of Go's <c>net.Listener</c>. Safe from any thread; concurrent accepts queue.
/// </summary>
public abstract class ConnListener : IDisposable, IAsyncDisposable
{
    private protected readonly NetListenFd _fd;

    private protected ConnListener(NetListenFd fd) => _fd = fd;

    /// <summary>The address it listens on, with the port that the system chose if port 0 was asked for.</summary>
    /// <exception cref="ObjectDisposedException">The listener was closed before anyone had read the address.</exception>
    public abstract EndPoint LocalEndPoint { get; }

    /// <summary>
    /// Accepts the next connection. If descriptors or memory run short, it pauses and tries again: after 5 ms first, and then after twice
    /// as long each time, up to 1 s. The poller logs it once for each shortage. A deadline that passes ends a pause at once, also if you
    /// set it during the pause.
    /// </summary>
    /// <exception cref="NetOpException">A deadline passed, the listener was closed meanwhile, or the system refused.</exception>
    /// <exception cref="ObjectDisposedException">The listener was closed before.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ValueTask<Conn> AcceptAsync(CancellationToken cancellationToken = default)
    {
        NetListenFd.AcceptOp op = _fd.AcceptAsync(cancellationToken);
        return new ValueTask<Conn>(op, op.Version);
    }

    /// <summary>The blocking form of <see cref="AcceptAsync"/>.</summary>
    public Conn Accept() => _fd.Accept().ToConn();

    /// <summary>
    /// Accepts one connection after the other, as <see cref="AcceptAsync"/> does. The sequence ends when the listener is closed or its
    /// poller is disposed. It throws every other error of an accept. After a deadline or a cancellation the listener stays usable. You own
    /// the connections; dispose them yourself.
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
    /// number is valid only while the function runs.
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
    /// <summary>Closes the listener and ends waiting accepts. Accepted connections stay open.</summary>
    public void Dispose() => _fd.Dispose();

    /// <summary>
    /// Closes the listener as <see cref="Dispose"/> does, and waits. When it completes, no accept uses the descriptor any more, the
    /// descriptor is closed, and its port is free.
    /// </summary>
    public ValueTask DisposeAsync()
    {
        _fd.Dispose();
        return new ValueTask(_fd.Destroyed);
    }
#pragma warning restore CA1816
}
