using BenchmarkDotNet.Attributes;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>The lock that each operation on a descriptor takes.</summary>
public class FdMutexBenchmarks
{
    private readonly Waiter _second = new();
    private FdMutex _mutex;

    private sealed class Waiter : PollWaiter
    {
        internal override bool TryWakeThread() => false;

        public override void Execute() => throw new InvalidOperationException("the waiter was run; it was only to be made runnable.");
    }

    /// <summary>A read or a write without a concurrent one.</summary>
    [Benchmark]
    public bool LockAndUnlock()
    {
        Expect(FdLock.Acquired, _mutex.TryLock(Direction.Read));
        return _mutex.Unlock(Direction.Read, out _);
    }

    /// <summary>An operation that needs no lock.</summary>
    [Benchmark]
    public bool IncrefAndDecref() => _mutex.Incref() && _mutex.Decref();

    /// <summary>Two reads at once: the second queues, and gets the lock from the first. The result includes both.</summary>
    [Benchmark]
    public bool QueueAndHandOver()
    {
        Expect(FdLock.Acquired, _mutex.TryLock(Direction.Read));
        Expect(FdLock.Queued, _mutex.LockOrQueue(Direction.Read, _second));
        _mutex.Unlock(Direction.Read, out PollWaiter? next);
        if (next != _second) throw new InvalidOperationException("the lock was given back and not handed over.");
        return _mutex.Unlock(Direction.Read, out _);
    }

    private static void Expect(FdLock expected, FdLock found)
    {
        if (found != expected) throw new InvalidOperationException($"the attempt at the lock came to {found}; {expected} was expected.");
    }
}
