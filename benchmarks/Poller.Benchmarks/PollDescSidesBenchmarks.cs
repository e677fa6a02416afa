using BenchmarkDotNet.Attributes;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>
/// One thread waits in a read side, and another in a write side. The sides belong to one desc, where both threads write to the same cache
/// lines, or to two descs. The difference is the most that padding could save on a machine with two processors for them. The result is the
/// time of one wait on each side.
/// </summary>
public class PollDescSidesBenchmarks
{
    private const int Waits = 1 << 16;

    private readonly PollDesc[] _descs = [.. Enumerable.Range(0, 8).Select(static slot => new PollDesc((uint)slot))]; // Two are far apart.
    private readonly Side[] _sides = [new(Direction.Read, PollReadiness.Readable), new(Direction.Write, PollReadiness.Writable)];
    private readonly Barrier _barrier = new(3);
    private readonly Thread[] _threads;
    private bool _stopping; // Written before the barrier, and read by the threads after it. So are the sides' descs.

    private sealed class Side(Direction direction, PollReadiness readiness) : PollWaiter
    {
        public PollDesc Desc { get; set; } = null!;

        internal override bool TryWakeThread() => false;

        public override void Execute() => throw new InvalidOperationException("the waiter was run; it was only to be made runnable.");

        public void Go()
        {
            PollEvent ready = new(Desc.Token, readiness);
            for (int i = 0; i < Waits; i++)
            {
                if (Desc.Park(direction, this) != PollPark.Parked) throw new InvalidOperationException("the waiter was expected to park.");
                Desc.Notify(ready, out PollWaiter? reader, out PollWaiter? writer, out _);
                if ((reader ?? writer) != this) throw new InvalidOperationException("the waiter that had parked was expected.");
                Desc.Consume(direction);
            }
        }
    }

    public PollDescSidesBenchmarks() => _threads = [.. _sides.Select(side => new Thread(() => GoInTurn(side)) { IsBackground = true })];

    [GlobalSetup]
    public void Setup()
    {
        for (int i = 0; i < _descs.Length; i++) _descs[i].Open(fd: i);
        foreach (Thread thread in _threads) thread.Start();
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Waits)]
    public void TwoDescs() => Go(_descs[0], _descs[^1]);

    [Benchmark(OperationsPerInvoke = Waits)]
    public void OneDesc() => Go(_descs[0], _descs[0]);

    [GlobalCleanup]
    public void Cleanup()
    {
        _stopping = true;
        _barrier.SignalAndWait();
        foreach (Thread thread in _threads) thread.Join();
        _barrier.Dispose();
    }

    // Both threads pass the barrier together to begin, and pass it together again when both are done.
    private void Go(PollDesc read, PollDesc write)
    {
        (_sides[0].Desc, _sides[1].Desc) = (read, write);
        _barrier.SignalAndWait();
        _barrier.SignalAndWait();
    }

    private void GoInTurn(Side side)
    {
        while (true)
        {
            _barrier.SignalAndWait();
            if (_stopping) return;
            side.Go();
            _barrier.SignalAndWait();
        }
    }
}
