using Poller.Abstractions;

namespace Poller.Net;

// Who does not read, and yet wants to know when the peer has ended.
internal abstract partial class PollFd
{
    /// <summary>
    /// Whether the peer's end is reported while nobody reads. A level-triggered poller reports only what somebody waits for.
    /// </summary>
    public bool ReportsHangupUnasked => Loop.Trigger == PollTrigger.Edge;

    /// <summary>Whether the end, an error or urgent data was reported. Of a closed descriptor the answer means nothing.</summary>
    public bool HasHangup => HangupSeen;

    /// <summary>Whether the descriptor's loop is ending or has ended.</summary>
    public bool IsPollerGone => Loop.IsStopping;

    /// <summary>Whether this is a thread of the descriptor's loop, on which handlers run.</summary>
    public bool IsOnItsLoop => LoopThreads.LoopOfThisThread == Loop;

    /// <summary>
    /// Has something run on the pool, once, when <see cref="HasHangup"/> has become true or the poller is disposed: see
    /// <see cref="PollCache.WatchHangup"/>. If the descriptor is closed first, it does not run.
    /// </summary>
    public void WatchHangup(IThreadPoolWorkItem watch)
    {
        if (!Incref()) return;
        using Reference held = new(this);
        PollLoop.RunOnPool(Loop.Cache.WatchHangup(Desc, watch));
    }
}
