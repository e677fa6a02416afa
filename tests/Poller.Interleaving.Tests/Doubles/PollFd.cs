using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>A descriptor. Its loop is one thread, which runs the scheduled waiters.</summary>
internal sealed class PollFd
{
    private readonly Queue<PollWaiter> _scheduled = new();
    private FdMutex _mutex;

    public PollFd() => Desc.Open(3);

    public PollDesc Desc { get; } = new(0);

    /// <summary>The number of operations that were returned.</summary>
    public int Returned { get; private set; }

    /// <summary>Whether the calling thread is the loop's.</summary>
    public static bool IsOnLoop => ControlledThread.Current?.Name == "loop";

    public void RunLoop()
    {
        while (true)
        {
            ControlledThread.WaitUntil(() => _scheduled.Count > 0, new Site("Wait", "for work", "", 0));
            _scheduled.Dequeue().Execute();
        }
    }

    public FdLock TryLock(Direction direction) => _mutex.TryLock(direction);

    public FdLock LockOrQueue(Direction direction, PollOp op) => _mutex.LockOrQueue(direction, op);

    public void Unlock(Direction direction)
    {
        _mutex.Unlock(direction, out PollWaiter? next);
        if (next is not null) Schedule(next);
    }

    public void Close()
    {
        Invariant.Holds(_mutex.IncrefAndClose(out PollWaiter? sentOff), "a descriptor was closed twice.");
        while (PollWaiter.TryPop(ref sentOff, out PollWaiter? waiter)) Schedule(waiter);
        Desc.Evict(out PollWaiter? reader, out PollWaiter? writer);
        if (reader is not null) Schedule(reader);
        if (writer is not null) Schedule(writer);
    }

    public void Schedule(PollWaiter waiter)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Schedule", "an operation", "", 0));
        _scheduled.Enqueue(waiter);
        self?.Fence();
    }

    public IoResult Prepare(Direction direction) => Desc.Reset(direction);

    public IoResult Check(Direction direction) => Desc.Check(direction);

    public Direction SideToWaitIn(Direction direction) => direction;

    public PollPark Park(Direction side, PollOp op) => Desc.Park(side, op);

    public bool Consume(Direction side) => Desc.Consume(side);

    public void Cancel(Direction direction, PollOp op) => throw new InvalidOperationException("nothing is cancelled here.");

    public void Return(PollOp op) => Returned++;

    public void Report(string operation, Exception exception) => throw new InvariantException($"{operation}: {exception}");

    public Exception Failed(string operation, IoResult result) => new IOException($"{operation}: {result}");
}
