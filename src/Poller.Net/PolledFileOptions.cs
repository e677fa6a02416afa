namespace Poller.Net;

/// <summary>The options of a <see cref="PolledFile"/>. The defaults are right for most descriptors.</summary>
public sealed record PolledFileOptions
{
    /// <summary>When to set O_NONBLOCK. The default is <see cref="NonBlockingMode.IfOwned"/>.</summary>
    public NonBlockingMode NonBlocking { get; init; }

    /// <summary>
    /// Whether to accept a descriptor that cannot be polled, such as a regular file or a directory, and to take it as always ready. Its
    /// waits complete at once, and its reads and writes run on the caller's thread. The default is false: the constructor throws.
    /// </summary>
    public bool UnpollableIsReady { get; init; }
}
