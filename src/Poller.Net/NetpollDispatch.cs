namespace Poller.Net;

/// <summary>Where a handler, the code that awaits a connection, continues when the connection is ready.</summary>
public enum NetpollDispatch
{
    /// <summary>
    /// On the polling thread, in place. If a handler blocks or computes for more than a few milliseconds, another thread takes over the
    /// polling and the other handlers that are ready. So such a handler delays others by milliseconds and never stops them.
    /// </summary>
    Adaptive,

    /// <summary>
    /// On the polling thread, in place, and no other thread takes over. Use it only if your handlers never block or compute for long,
    /// because all other connections of the loop wait for them. In a handler, a blocking call on a connection of the same loop would wait
    /// for its own thread, so it throws <see cref="InvalidOperationException"/>.
    /// </summary>
    Inline,

    /// <summary>On the .NET thread pool. Every wake-up is queued to it.</summary>
    ThreadPool,
}
