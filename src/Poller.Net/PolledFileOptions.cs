namespace Poller.Net;

/// <summary>When a <see cref="PolledFile"/> sets O_NONBLOCK on its descriptor.</summary>
/// <remarks>
/// O_NONBLOCK belongs to the open file description (open(2)). Every duplicate of the descriptor shares it, in other processes too: a
/// program's standard input is often its parent's as well.
/// </remarks>
public enum NonBlockingMode
{
    /// <summary>If the file owns the descriptor. This is the default.</summary>
    IfOwned,

    /// <summary>Always. <see cref="PolledFile.Detach"/>, and a dispose that does not close the descriptor, put it back.</summary>
    Always,

    /// <summary>Never. <see cref="PolledFile"/> says what holds for a descriptor that is left blocking.</summary>
    Never,
}

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
