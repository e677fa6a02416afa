namespace Poller.Abstractions;

/// <summary>What a poll found out about one descriptor.</summary>
/// <param name="Token">The token under which the descriptor was registered.</param>
/// <param name="Readiness">What became ready; never <see cref="PollReadiness.None"/>.</param>
public readonly record struct PollEvent(PollToken Token, PollReadiness Readiness);

/// <summary>The kinds of readiness, as flags.</summary>
[Flags]
public enum PollReadiness
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A read would not block: there are bytes, the end, an error, or a connection to accept.</summary>
    Readable = 1,

    /// <summary>A write would not block: there is room, or an error.</summary>
    Writable = 2,

    /// <summary>
    /// Behind the bytes there may be something else to read: the end, an error or urgent data. So a short read does not mean that the
    /// descriptor is drained: read until a read returns the end or an error, or would block.
    /// </summary>
    ReadHangup = 4,

    /// <summary>
    /// The descriptor has an error and nothing else, so perhaps it cannot be polled. The event names both directions as ready, so that the
    /// users of both find the error. That of a <see cref="PollTrigger.Level"/> poller names those which are armed.
    /// </summary>
    Error = 8,
}
