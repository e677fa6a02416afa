using System.Net;
using System.Runtime.CompilerServices;

namespace Poller.Net;

/// <summary>
/// A listener for stream-oriented connections: the twin of Go's <c>net.Listener</c>. Safe from any thread; accepts queue.
/// </summary>
public abstract class ConnListener : IDisposable, IAsyncDisposable
{
    private protected ConnListener() { }

    /// <summary>The address it listens on, with the real port.</summary>
    /// <exception cref="ObjectDisposedException">It was closed before anyone asked.</exception>
    public abstract EndPoint LocalEndPoint { get; }

    /// <summary>
    /// Takes the next connection. When descriptors or memory run short it waits, 5 ms and then twice as long up to 1 s, and goes on
    /// when they are back; that is reported once. A deadline that is moved meanwhile holds from the next try.
    /// </summary>
    /// <exception cref="NetOpException">A deadline passed, the listener was closed meanwhile, or the system refused.</exception>
    /// <exception cref="ObjectDisposedException">The listener was closed before.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public abstract ValueTask<Conn> AcceptAsync(CancellationToken cancellationToken = default);

    /// <summary>The blocking form of <see cref="AcceptAsync"/>.</summary>
    public abstract Conn Accept();

    /// <summary>
    /// Takes one connection after the other, as <see cref="AcceptAsync"/> does. The sequence ends when the listener is closed or its poller
    /// disposed. Every other error of an accept is thrown; after a deadline or a cancellation the listener stays usable. You own the
    /// connections: dispose them.
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
    /// Sets the deadline of accepts to a time of day. Null, or the default value, clears it. A time that is past ends those that wait at
    /// once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The listener is closed.</exception>
    public abstract void SetDeadline(DateTimeOffset? deadline);

    /// <summary>
    /// Sets the deadline of accepts to a time from now, by the monotonic clock of the poller's <see cref="TimeProvider"/>.
    /// <see cref="Timeout.InfiniteTimeSpan"/>, which is exactly -1 ms, clears it. Any other span that is zero or below ends those that wait
    /// at once.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The listener is closed.</exception>
    public abstract void SetDeadline(TimeSpan fromNow);

    /// <summary>Closes it: accepts that wait end. Connections that were accepted live on.</summary>
    public abstract void Dispose();

    /// <summary>
    /// Closes it as <see cref="Dispose"/> does. The awaited end means that no accept uses the descriptor any more, that it is closed, and
    /// that its port is free.
    /// </summary>
    public abstract ValueTask DisposeAsync();
}
