namespace Poller.Net;

/// <summary>Where the code that awaited a connection goes on when the connection is ready.</summary>
public enum NetpollDispatch
{
    /// <summary>
    /// On the polling thread itself, in place. When it blocks or computes for more than a few milliseconds, another thread takes over the
    /// polling and the rest of what is ready: such a handler delays others by milliseconds and never stops them.
    /// </summary>
    Adaptive,

    /// <summary>
    /// On the polling thread, with nobody to take over: for handlers that are known never to block or to compute for long, since all
    /// other connections of the loop wait for them; and so they do for one whose peer sends without a pause into reads that never find the
    /// socket empty. A blocking call of this library made there, which would wait for itself, throws.
    /// </summary>
    Inline,

    /// <summary>On the .NET thread pool: every wake-up is queued to it.</summary>
    ThreadPool,
}
