using BenchmarkDotNet.Attributes;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>The lock that each operation on a descriptor takes.</summary>
public class FdMutexBenchmarks
{
    private FdMutex _mutex;

    /// <summary>A read or a write that has no company.</summary>
    [Benchmark]
    public bool LockAndUnlock()
    {
        Expect(FdLock.Acquired, _mutex.LockOrQueue(PollMode.Read, out _));
        return _mutex.Unlock(PollMode.Read);
    }

    /// <summary>An operation that needs no lock.</summary>
    [Benchmark]
    public bool IncrefAndDecref() => _mutex.Incref() && _mutex.Decref();

    /// <summary>Two reads at once: the second queues, and the lock is handed to it. Both are counted.</summary>
    [Benchmark]
    public bool QueueAndHandOver()
    {
        Expect(FdLock.Acquired, _mutex.LockOrQueue(PollMode.Read, out _));
        Expect(FdLock.Queued, _mutex.LockOrQueue(PollMode.Read, out FdWaiter? second));
        _mutex.Unlock(PollMode.Read);
        if (!second!.Task.IsCompletedSuccessfully) throw new InvalidOperationException("the lock was given back and not handed over.");
        return _mutex.Unlock(PollMode.Read);
    }

    private static void Expect(FdLock expected, FdLock found)
    {
        if (found != expected) throw new InvalidOperationException($"the attempt at the lock came to {found}; {expected} was expected.");
    }
}
