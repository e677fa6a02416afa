using Microsoft.Win32.SafeHandles;

namespace Poller.Kqueue;

/// <summary>A kqueue, and its wake-up pipe if it has one. They are closed once, when no call uses them any more.</summary>
internal sealed class KqueueHandle : SafeHandleMinusOneIsInvalid
{
    private readonly IKqueueApi _api;

    public KqueueHandle(IKqueueApi api, int kq) : base(ownsHandle: true)
    {
        _api = api;
        SetHandle(kq);
    }

    /// <summary>An end of the pipe, or -1. Hold a reference to the handle while you use it.</summary>
    public int PipeRead { get; set; } = -1;

    /// <inheritdoc cref="PipeRead"/>
    public int PipeWrite { get; set; } = -1;

    /// <summary>The kqueue's descriptor. Hold a reference to the handle while you use it.</summary>
    public int Number => (int)handle;

    // We do not repeat close(2) after EINTR: the descriptor may be gone by then, and its number may already belong to another.
    protected override bool ReleaseHandle()
    {
        bool closed = _api.Close((int)handle) >= 0;
        if (PipeRead >= 0) closed &= _api.Close(PipeRead) >= 0;
        if (PipeWrite >= 0) closed &= _api.Close(PipeWrite) >= 0;
        return closed;
    }
}
