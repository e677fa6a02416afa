using Microsoft.Win32.SafeHandles;

namespace Poller.Kqueue;

/// <summary>A kqueue, and the pipe that wakes it where it has one, closed once, when no call is inside it any more.</summary>
internal sealed class KqueueHandle : SafeHandleMinusOneIsInvalid
{
    private readonly IKqueueApi _api;

    public KqueueHandle(IKqueueApi api, int kq) : base(ownsHandle: true)
    {
        _api = api;
        SetHandle(kq);
    }

    /// <summary>The ends of the pipe, or -1. The user holds the handle.</summary>
    public int PipeRead { get; set; } = -1;

    /// <inheritdoc cref="PipeRead"/>
    public int PipeWrite { get; set; } = -1;

    /// <summary>The number. The user holds the handle.</summary>
    public int Number => (int)handle;

    // close(2) is not repeated after EINTR: the descriptor may be gone by then, and its number someone else's.
    protected override bool ReleaseHandle()
    {
        bool closed = _api.Close((int)handle) >= 0;
        if (PipeRead >= 0) closed &= _api.Close(PipeRead) >= 0;
        if (PipeWrite >= 0) closed &= _api.Close(PipeWrite) >= 0;
        return closed;
    }
}
