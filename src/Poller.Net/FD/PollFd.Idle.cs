using Poller.Abstractions;

namespace Poller.Net;

// The idle time-out. IdleState has the table. It ends a descriptor by deadlines in the past, which a user's deadline cannot undo:
//
//   the time-out    publishes Ended, and then sets both deadlines to the past, under the timers' lock
//   the user        sets a deadline under the timers' lock, and then looks for Ended; if it is, sets the past again
internal abstract partial class PollFd
{
    /// <summary>Whether the idle time-out has ended the descriptor.</summary>
    protected bool IsIdleEnded => _idle == IdleState.Ended;

    /// <summary>Begins to look at the descriptor. Nobody else uses it yet.</summary>
    public void TrackIdle() => _idle = IdleState.Active;

    /// <summary>Whether anything has happened since the last call.</summary>
    public bool TakeActivity() => Interlocked.CompareExchange(ref _idle, IdleState.Quiet, IdleState.Active) == IdleState.Active;

    /// <summary>Ends a descriptor that is quiet: its operations time out, those under way and later ones. False if it is active.</summary>
    public bool TryEndIdle()
    {
        if (Interlocked.CompareExchange(ref _idle, IdleState.Ended, IdleState.Quiet) != IdleState.Quiet) return false;
        if (!Incref()) return true;
        try
        {
            ExpireIfIdleEnded();
        }
        finally
        {
            Decref();
        }
        return true;
    }

    /// <summary>Notes that something happens. Without an idle time-out it costs one compare.</summary>
    public void NoteActivity()
    {
        if (_idle == IdleState.Quiet) Interlocked.CompareExchange(ref _idle, IdleState.Active, IdleState.Quiet);
    }

    // The caller holds a reference.
    private void ExpireIfIdleEnded()
    {
        if (IsIdleEnded) Loop.SetDeadline(Desc, PollMode.ReadWrite, PollDeadlines.Past);
    }
}
