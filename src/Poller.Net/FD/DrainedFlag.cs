namespace Poller.Net;

// After a short read of a stream the socket's buffer is empty, so new bytes raise a new edge. The next read can wait at once: without
// Reset, which would forget an edge that has come since, and without a recv(2) that would fail. A level-triggered poller reports bytes that
// are already there, so it is safe there too.
//
//   not drained -> drained       AfterRead: the read got fewer bytes than it asked for
//   drained     -> not drained   BeforeTry: a hang-up was seen. Its edge comes once, and may have come with the bytes that were read.
//   drained     -> not drained   Waited: the next read must try. A wait that is interrupted may take the edge with it.

/// <summary>Whether we know that the reading side of a stream is empty. Guarded by the read lock.</summary>
internal struct DrainedFlag
{
    private bool _drained;

    /// <summary>Whether the side is known to be empty.</summary>
    public readonly bool IsSet => _drained;

    /// <summary>Whether a read must wait before it tries the system call.</summary>
    public bool BeforeTry(bool hangupSeen)
    {
        if (_drained && hangupSeen) _drained = false;
        return _drained;
    }

    public void AfterRead(IoResult result, int asked) => _drained = result.IsSuccess && result.Value > 0 && result.Value < asked;

    public void Waited() => _drained = false;
}
