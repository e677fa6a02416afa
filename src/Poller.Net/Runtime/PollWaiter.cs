using System.Diagnostics.CodeAnalysis;

namespace Poller.Net;

/// <summary>
/// An async operation or a thread, which can wait in a side of a <see cref="PollDesc"/> or in a queue of <see cref="FdMutex"/>. It waits in
/// one place at a time. Each time it waits, it is made runnable exactly once, by whoever moves the side out of Parked or takes the waiter
/// out of the queue.
/// </summary>
internal abstract class PollWaiter : IThreadPoolWorkItem
{
    /// <summary>
    /// The next waiter. In a queue the queues' lock guards it. In a list of runnable waiters it belongs to whoever made this one runnable.
    /// </summary>
    internal PollWaiter? Next;

    // Guarded by the queues' lock.
    internal PollWaiter? Previous;

    /// <summary>The outcome of its wait for a lock. <see cref="FdMutex"/> writes it before the waiter is runnable.</summary>
    internal FdLock LockState;

    /// <summary>
    /// Atomic. As with a deadline, the canceller sets it before it unblocks the side, and the waiter reads it after it has announced
    /// itself.
    /// </summary>
    private bool _canceled;

    internal bool IsCanceled => Volatile.Read(ref _canceled);

    /// <summary>Takes the first waiter out of a list of runnable ones. It is no longer linked, so it may run and wait again.</summary>
    internal static bool TryPop(ref PollWaiter? list, [NotNullWhen(true)] out PollWaiter? first)
    {
        first = list;
        if (first is null) return false;
        list = first.Next;
        first.Next = null;
        return true;
    }

    /// <summary>
    /// If the waiter is a thread, or only wakes another waiter, does so and returns true. Otherwise returns false, and a loop or the pool
    /// must call <see cref="Execute"/>.
    /// </summary>
    internal abstract bool TryWakeThread();

    /// <summary>Continues after the wait, up to the next wait.</summary>
    public abstract void Execute();

    // A full fence: the flag must be visible before we look at the side. It pairs with the compare-and-swap to Wait in PollDesc.Park.
    protected void SetCanceled(bool value) => Interlocked.Exchange(ref _canceled, value);
}
