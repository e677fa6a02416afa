namespace Poller.Abstractions;

/// <summary>What a poll found of one descriptor.</summary>
/// <param name="Token">What the descriptor was registered under.</param>
/// <param name="Readiness">What became ready; never <see cref="PollReadiness.None"/>.</param>
public readonly record struct PollEvent(PollToken Token, PollReadiness Readiness);

/// <summary>The kinds of readiness, as flags.</summary>
[Flags]
public enum PollReadiness
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A read would not block: there are bytes, an end, an error, or a connection to accept.</summary>
    Readable = 1,

    /// <summary>A write would not block: there is room, or an error.</summary>
    Writable = 2,

    /// <summary>
    /// The read side has more to tell than the bytes that wait (an end, an error, urgent data), so that a short read does not mean
    /// "drained": read on until the read itself says that there is nothing.
    /// </summary>
    ReadHangup = 4,

    /// <summary>
    /// The descriptor has an error and nothing else: it may not be pollable. Comes with both directions, so that both look.
    /// </summary>
    Error = 8,
}
