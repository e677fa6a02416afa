namespace Poller.Net;

// The twin of gopark in netpollblock of Go's runtime/netpoll.go, and of the semaphores of its fd_mutex.go, for a thread.

/// <summary>
/// A thread that waits in a side of a <see cref="PollDesc"/> or in a queue of <see cref="FdMutex"/>: the blocking form of a wait. One for
/// each thread that ever waited.
/// </summary>
internal sealed class ThreadWaiter : PollWaiter
{
    [ThreadStatic]
    private static ThreadWaiter? _waiterOfThisThread;

    // Guarded by the lock on this.
    private bool _awake;

    private ThreadWaiter() { }

    /// <summary>This thread's own.</summary>
    public static ThreadWaiter OfThisThread => _waiterOfThisThread ??= new ThreadWaiter();

    /// <summary>Parks this thread. False when it is to look why it may not wait, or no longer: <see cref="PollDesc.Check"/> says.</summary>
    /// <exception cref="ThreadInterruptedException">The thread was interrupted; the side is free again.</exception>
    public static bool Wait(PollLoop loop, PollDesc desc, Direction direction)
    {
        ThreadWaiter waiter = OfThisThread;
        LoopThreads.LoopOfThisThread?.HandOff();
        PollPark park = loop.Park(desc, direction, waiter);
        if (park != PollPark.Parked) return park == PollPark.Ready;

        // One that is interrupted leaves the side; unless somebody took it out already, and is about to wake this thread.
        ThreadInterruptedException? interrupted = null;
        while (waiter.Sleep() is { } e)
        {
            interrupted = e;
            if (desc.Cancel(direction) is not null) break;
        }
        bool ready = desc.Consume(direction);
        return interrupted is null ? ready : throw interrupted;
    }

    /// <summary>Sleeps until it is woken: then null. Else it was interrupted, and is to leave what it waits in, or to sleep on.</summary>
    public ThreadInterruptedException? Sleep()
    {
        try
        {
            lock (this)
            {
                while (!_awake) Monitor.Wait(this);
                _awake = false;
                return null;
            }
        }
        catch (ThreadInterruptedException e)
        {
            return e;
        }
    }

    internal override bool TryWakeThread()
    {
        lock (this)
        {
            _awake = true;
            Monitor.Pulse(this);
        }
        return true;
    }

    public override void Execute() => throw new InvalidOperationException("a parked thread was queued; it was expected to be woken.");
}
