namespace Poller.Net;

// Who ends the descriptor of a socket. The first wins, and the answer never changes:
//
//   Detached -> Open   the end of an adopt (Own); until then a close leaves the descriptor to its user
//   Open -> Detached   a detach, which then ends the descriptor's operations, as Dispose does
//   Open -> Closed     whoever leaves last
//
// So a detach that comes when an operation still holds a closed descriptor gets it, and one that comes later is refused.

/// <summary>How a socket ends. Atomic.</summary>
internal struct SocketEnd
{
    private enum State : byte
    {
        Open,
        Closed,
        Detached,
    }

    private State _state;

    /// <summary>The end of a socket that is still its user's. Nobody else has it yet.</summary>
    public static SocketEnd OfAdopted => new() { _state = State.Detached };

    /// <summary>Takes an adopted socket over. Nobody else has it yet.</summary>
    public void Own() => _state = State.Open;

    /// <summary>Leaves the descriptor to the caller. False if it was closed or detached before.</summary>
    public bool TryDetach() => Interlocked.CompareExchange(ref _state, State.Detached, State.Open) == State.Open;

    /// <summary>For whoever leaves last: whether the descriptor is to be closed, and not detached. It may ask again.</summary>
    public bool TryClose() => Interlocked.CompareExchange(ref _state, State.Closed, State.Open) != State.Detached;
}
