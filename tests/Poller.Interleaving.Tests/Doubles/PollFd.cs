using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>A descriptor. Its loop is one thread, which runs the scheduled waiters.</summary>
internal abstract partial class PollFd
{
    private readonly Queue<PollWaiter> _scheduled = new();
    private FdMutex _mutex;
    private bool _isPausing;
    private volatile IdleState _idle;

    protected PollFd() => Desc.Open(3);

    public PollDesc Desc { get; } = new(0);

    public PollTimers Timers { get; } = new();

    /// <summary>Whether an accept is in a pause, for the condition of a wait.</summary>
    public bool IsPausing => _isPausing;

    /// <summary>The last deadline that was set, for the condition of a wait.</summary>
    public long LastDeadline { get; private set; }

    /// <summary>The number of operations that were returned.</summary>
    public int Returned { get; private set; }

    /// <summary>Whether the calling thread is the loop's.</summary>
    public static bool IsOnLoop => ControlledThread.Current?.Name == "loop";

    public Deadlines Loop => new(this);

    public void RunLoop()
    {
        while (true)
        {
            ControlledThread.WaitUntil(() => _scheduled.Count > 0, new Site("Wait", "for work", "", 0));
            _scheduled.Dequeue().Execute();
        }
    }

    /// <summary>Nothing: nobody listens.</summary>
    public void NoteError(Exception error) { }

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
        Timers.Evict(Desc, out PollWaiter? reader, out PollWaiter? writer);
        if (reader is not null) Schedule(reader);
        if (writer is not null) Schedule(writer);
    }

    public void Schedule(PollWaiter waiter)
    {
        if (waiter.TryWakeThread()) return;
        ControlledThread? self = ControlledThread.Step(new Site("Schedule", "an operation", "", 0));
        _scheduled.Enqueue(waiter);
        self?.Fence();
    }

    public void MakeReady(Direction side)
    {
        if (Desc.MakeReady(side) is { } waiter) Schedule(waiter);
    }

    public IoResult Prepare(Direction direction) => Desc.Reset(direction);

    public IoResult Check(Direction direction) => Desc.Check(direction);

    public Direction SideToWaitIn(Direction direction) => Volatile.Read(ref _isPausing) ? Direction.Write : direction;

    /// <summary>Has the accept that tries now pause until the time 10, as NetListenFd does when descriptors are short.</summary>
    public void Pause()
    {
        Timers.SetTimeout(Desc, Direction.Write, 10);
        Volatile.Write(ref _isPausing, true);
    }

    /// <summary>Ends a pause, as the next try does.</summary>
    public void EndPause()
    {
        if (!_isPausing) return;
        Volatile.Write(ref _isPausing, false);
        Timers.SetTimeout(Desc, Direction.Write, PollDeadlines.None);
    }

    /// <summary>Lets the time come to <paramref name="now"/>.</summary>
    public void Expire(long now)
    {
        PollWaiter? waiters = Timers.Expire(now);
        while (PollWaiter.TryPop(ref waiters, out PollWaiter? waiter)) Schedule(waiter);
    }

    /// <summary>Has the deadline of both sides pass.</summary>
    public void SetDeadlinePast() => Loop.SetDeadline(Desc, PollMode.ReadWrite, PollDeadlines.Past);

    /// <summary>A user's deadline for both sides, in PollFd's steps.</summary>
    public void SetDeadline(long when)
    {
        Loop.SetDeadline(Desc, PollMode.ReadWrite, when);
        ExpireIfIdleEnded();
    }

    /// <summary>The descriptor stays open.</summary>
    private static bool Incref() => true;

    private static void Decref() { }

    public PollPark Park(Direction side, PollOp op) => Desc.Park(side, op);

    public bool Consume(Direction side) => Desc.Consume(side);

    public void Cancel(Direction direction, PollOp op)
    {
        if (_mutex.TryLeaveQueue(direction, op)) Schedule(op);
        else if (Desc.Cancel(SideToWaitIn(direction)) is { } waiter) Schedule(waiter);
    }

    public void Return(PollOp op) => Returned++;

    public void Report(string operation, Exception exception) => throw new InvariantException($"{operation}: {exception}");

    public Exception Failed(string operation, IoResult result, Direction direction) => new IOException($"{operation}: {result}");

    /// <summary>What PollFd needs of its loop.</summary>
    internal readonly struct Deadlines(PollFd fd)
    {
        public PollTimers Timers => fd.Timers;

        public ClockOfScenario Clock => default;

        public void SetDeadline(PollDesc desc, PollMode mode, long when)
        {
            fd.Timers.SetDeadline(desc, mode, when, out PollWaiter? reader, out PollWaiter? writer);
            fd.LastDeadline = when;
            if (reader is not null) fd.Schedule(reader);
            if (writer is not null) fd.Schedule(writer);
        }
    }

    /// <summary>A clock at whose start every span begins: a tick is a unit of the timers.</summary>
    internal readonly struct ClockOfScenario
    {
        public long After(TimeSpan span) => span.Ticks;
    }
}

/// <summary>A descriptor of no kind.</summary>
internal sealed class AnyFd : PollFd
{
    /// <summary>Whether the idle time-out has ended it.</summary>
    public bool IsEnded => IsIdleEnded;
}
