namespace Poller.Net;

// Who ends the descriptor of a socket. The first wins, and the answer never changes:
//
//   Detached -> Open   the end of an adopt (Own); until then a close leaves the descriptor to its user
//   Open -> Detached   a detach, which then ends the descriptor's operations, as Dispose does
//   Open -> Emptied    an end in good order, whose close is to drop what nobody has read
//   Open -> Closed     whoever leaves last; one that is Emptied stays so
//
// So a detach that comes when an operation still holds a closed descriptor gets it, and one that comes later is refused.
//
// It is an enum for the reason that DrainedFlag gives.

/// <summary>How a socket ends. Atomic.</summary>
internal enum SocketEnd : byte
{
    Open,
    Closed,

    /// <summary>As closed. The close drops what nobody has read.</summary>
    Emptied,

    /// <summary>A user has the descriptor: after a detach, or before an adopt is done.</summary>
    Detached,
}

internal static class SocketEnds
{
    /// <summary>Takes an adopted socket over. Nobody else has it yet.</summary>
    public static void Own(this ref SocketEnd end) => end = SocketEnd.Open;

    /// <summary>Leaves the descriptor to the caller. False if it was closed or detached before.</summary>
    public static bool TryDetach(this ref SocketEnd end) =>
        Interlocked.CompareExchange(ref end, SocketEnd.Detached, SocketEnd.Open) == SocketEnd.Open;

    /// <summary>Has the close drop what nobody has read, unless a user has the descriptor.</summary>
    public static void Empty(this ref SocketEnd end) => Interlocked.CompareExchange(ref end, SocketEnd.Emptied, SocketEnd.Open);

    /// <summary>For whoever leaves last: whether the descriptor is to be closed, and not detached. It may ask again.</summary>
    public static bool TryClose(this ref SocketEnd end) =>
        Interlocked.CompareExchange(ref end, SocketEnd.Closed, SocketEnd.Open) != SocketEnd.Detached;
}
