using BenchmarkDotNet.Attributes;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>The state machine of one side: each of its paths, back to Nil. There is no system call and no thread switch.</summary>
public class PollDescBenchmarks
{
    private readonly PollDesc _desc = new(slot: 0);
    private readonly Waiter _waiter = new();
    private PollEvent _readable;

    private sealed class Waiter : PollWaiter
    {
        internal override bool TryWakeThread() => false;

        public override void Execute() => throw new InvalidOperationException("the waiter was run; it was only to be made runnable.");
    }

    [GlobalSetup]
    public void Setup()
    {
        _desc.Open(fd: 0);
        _readable = new PollEvent(_desc.Token, PollReadiness.Readable);
    }

    /// <summary>Readiness comes first, and the waiter consumes it.</summary>
    [Benchmark]
    public void ReadyThenWait()
    {
        Expect(null, Notify());
        Expect(PollPark.Ready, _desc.Park(Direction.Read, _waiter));
    }

    /// <summary>A waiter parks, and readiness makes it runnable.</summary>
    [Benchmark]
    public bool WaitThenReady()
    {
        Expect(PollPark.Parked, _desc.Park(Direction.Read, _waiter));
        Expect(_waiter, Notify());
        return _desc.Consume(Direction.Read);
    }

    /// <summary>A waiter parks, a deadline ends its wait, and then the deadline is moved.</summary>
    [Benchmark]
    public bool WaitThenUnblock()
    {
        Expect(PollPark.Parked, _desc.Park(Direction.Read, _waiter));
        Expect(_waiter, _desc.Expire(Direction.Read));
        bool ready = _desc.Consume(Direction.Read);
        _desc.Unexpire(Direction.Read);
        return ready;
    }

    /// <summary>An operation that begins clears old readiness.</summary>
    [Benchmark]
    public void ReadyThenReset()
    {
        Expect(null, Notify());
        IoResult error = _desc.Reset(Direction.Read);
        if (!error.IsSuccess) throw new InvalidOperationException($"the side is {error}; 0 was expected.");
    }

    private PollWaiter? Notify()
    {
        _desc.Notify(_readable, out PollWaiter? reader, out _, out _);
        return reader;
    }

    private static void Expect(PollPark expected, PollPark found)
    {
        if (found != expected) throw new InvalidOperationException($"the waiter came to {found}; {expected} was expected.");
    }

    private static void Expect(PollWaiter? expected, PollWaiter? found)
    {
        if (found == expected) return;
        string expectation = expected is null ? "nobody was" : "the waiter that had parked was";
        throw new InvalidOperationException($"runnable is {found?.ToString() ?? "nobody"}; {expectation} expected.");
    }
}
