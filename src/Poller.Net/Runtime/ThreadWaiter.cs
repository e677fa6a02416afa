using Poller.Abstractions;

namespace Poller.Net;

// The twin of gopark in netpollblock of Go's runtime/netpoll.go, for a thread.

/// <summary>
/// Parks a thread in a side of a <see cref="PollDesc"/>: the blocking form of a wait. One for each thread that ever waited.
/// </summary>
internal sealed class ThreadWaiter : PollWaiter
{
    [ThreadStatic]
    private static ThreadWaiter? _waiterOfThisThread;

    // Guarded by the lock on this.
    private bool _awake;

    private ThreadWaiter() { }

    /// <summary>Parks this thread. False when it is to look why it may not wait, or no longer: <see cref="PollDesc.Check"/> says.</summary>
    /// <exception cref="ThreadInterruptedException">The thread was interrupted; the side is free again.</exception>
    public static bool Wait(PollLoop loop, PollDesc desc, PollMode mode)
    {
        ThreadWaiter waiter = _waiterOfThisThread ??= new ThreadWaiter();
        LoopThreads.LoopOfThisThread?.HandOff();
        PollPark park = loop.Park(desc, mode, waiter);
        if (park != PollPark.Parked) return park == PollPark.Ready;

        ThreadInterruptedException? interrupted = waiter.Sleep(desc, mode);
        bool ready = desc.Consume(mode);
        return interrupted is null ? ready : throw interrupted;
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

    private ThreadInterruptedException? Sleep(PollDesc desc, PollMode mode)
    {
        ThreadInterruptedException? interrupted = null;
        while (true)
        {
            try
            {
                lock (this)
                {
                    while (!_awake) Monitor.Wait(this);
                    _awake = false;
                    return interrupted;
                }
            }
            catch (ThreadInterruptedException e)
            {
                // Out of the side with it; unless somebody took it out already, and is about to wake this thread.
                interrupted = e;
                if (desc.Cancel(mode) is not null) return interrupted;
            }
        }
    }
}
