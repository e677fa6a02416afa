namespace Poller.Interleaving.Tests.Controlled;

/// <summary>Each operation is a scheduling point and a full fence.</summary>
public sealed class SemaphoreSlim(int initialCount)
{
    private int _count = initialCount;

    public int CurrentCount => _count;

    public void Wait()
    {
        ControlledThread.WaitUntil(() => _count > 0, new Site("Wait", "semaphore", "", 0));
        _count--;
    }

    /// <summary>Takes a permit if there is one; the only time-out the sources use.</summary>
    public bool Wait(int millisecondsTimeout)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(millisecondsTimeout, 0);
        ControlledThread? self = ControlledThread.Step(new Site("Wait(0)", "semaphore", "", 0));
        bool taken = _count > 0;
        if (taken) _count--;
        self?.Fence();
        self?.TraceResult(taken);
        return taken;
    }

    public void Release(int releaseCount = 1)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Release", "semaphore", "", 0));
        _count += releaseCount;
        self?.Fence();
    }
}
