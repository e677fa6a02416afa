namespace Poller.Net;

// The twin, for a thread, of gopark in netpollblock of Go's runtime/netpoll.go, and of the semaphores in its internal/poll/fd_mutex.go.

/// <summary>
/// A thread that waits in a side of a <see cref="PollDesc"/> or in a queue of <see cref="FdMutex"/>: the blocking form of a wait. Each
/// thread that has ever waited has one.
/// </summary>
internal sealed class ThreadWaiter : PollWaiter
{
    [ThreadStatic]
    private static ThreadWaiter? _waiterOfThisThread;

    // Guarded by the lock on this.
    private bool _awake;

    private ThreadWaiter() { }

    /// <summary>The waiter of the calling thread.</summary>
    public static ThreadWaiter OfThisThread => _waiterOfThisThread ??= new ThreadWaiter();

    /// <summary>
    /// Parks this thread until the side is ready. False if it must not wait, or not any longer: <see cref="PollDesc.Check"/> says why.
    /// </summary>
    /// <exception cref="ThreadInterruptedException">The thread was interrupted. Nobody waits in the side any more.</exception>
    public static bool Wait(PollLoop loop, PollDesc desc, Direction direction, bool arms)
    {
        ThreadWaiter waiter = OfThisThread;
        LoopThreads.LoopOfThisThread?.HandOff();
        PollPark park = loop.Park(desc, direction, waiter, arms);
        if (park != PollPark.Parked) return park == PollPark.Ready;

        // A thread that is interrupted leaves the side. If another thread has already taken the waiter out, it is about to wake this
        // thread: sleep until then.
        ThreadInterruptedException? interrupted = null;
        while (waiter.Sleep() is { } e)
        {
            interrupted = e;
            if (desc.Cancel(direction) is not null) break;
        }
        bool ready = desc.Consume(direction);
        return interrupted is null ? ready : throw interrupted;
    }

    /// <summary>
    /// Sleeps until another thread wakes this one, and returns null. If this thread is interrupted, returns the exception; the caller must
    /// then leave the place where it waits, or sleep again.
    /// </summary>
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
        Uninterrupted.Enter(this);
        _awake = true;
        Monitor.Pulse(this);
        Monitor.Exit(this);
        return true;
    }

    public override void Execute() => throw new InvalidOperationException("Execute of a parked thread; TryWakeThread was expected.");
}
