namespace Poller.Interleaving.Tests.Controlled;

/// <summary>Each operation is a scheduling point and a full fence.</summary>
public sealed class AutoResetEvent(bool initialState)
{
    private bool _isSet = initialState;

    public bool WaitOne()
    {
        ControlledThread.WaitUntil(() => _isSet, new Site("Wait", "event", "", 0));
        _isSet = false;
        return true;
    }

    /// <summary>The scheduler decides when the time is over, unless it is infinite.</summary>
    public bool WaitOne(int millisecondsTimeout)
    {
        if (millisecondsTimeout == Timeout.Infinite) return WaitOne();
        ControlledThread? self = ControlledThread.Step(new Site("Wait", $"event, for {millisecondsTimeout} ms", "", 0));
        bool wasSet = _isSet;
        _isSet = false;
        self?.Fence();
        self?.TraceResult(wasSet);
        return wasSet;
    }

    public void Set()
    {
        ControlledThread? self = ControlledThread.Step(new Site("Set", "event", "", 0));
        _isSet = true;
        self?.Fence();
    }
}
