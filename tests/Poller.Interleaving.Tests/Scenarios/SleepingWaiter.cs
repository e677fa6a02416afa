using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>A thread that waits as with ThreadWaiter. It checks that it is made runnable once for each time it is parked.</summary>
internal sealed class SleepingWaiter : PollWaiter
{
    private int _woken;
    private int _slept;
    private bool _isReady;

    /// <summary>Whether no wake-up is left over.</summary>
    public bool IsIdle => _woken == _slept;

    public void Cancel() => SetCanceled(true);

    /// <summary>Parks, and returns whether the wait ended by readiness.</summary>
    public bool Wait(PollDesc desc, Direction mode)
    {
        PollPark park = desc.Park(mode, this);
        if (park != PollPark.Parked) return park == PollPark.Ready;
        ControlledThread.WaitUntil(() => _woken > _slept, new Site("Sleep", $"in the {mode} side", "", 0));
        _slept++;
        bool ready = desc.Consume(mode);
        Invariant.Holds(ready || !_isReady, "a wait that readiness ended did not say so.");
        _isReady = false;
        return ready;
    }

    /// <summary>Notes that readiness made it runnable. Whoever wakes it for readiness calls this first.</summary>
    public void BecameReady() => _isReady = true;

    public override void Execute() => throw new InvalidOperationException("a parked thread was queued.");

    internal override bool TryWakeThread()
    {
        ControlledThread? self = ControlledThread.Step(new Site("Wake", "the waiter", "", 0));
        _woken++;
        Invariant.Holds(_woken - _slept == 1, "a waiter was made runnable twice for one time it was parked.");
        self?.Fence();
        return true;
    }
}
