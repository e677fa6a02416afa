namespace Poller.Net;

/// <summary>
/// What can wait in a side of a <see cref="PollDesc"/> or in a queue of <see cref="FdMutex"/>: an async operation, or a thread. It is in
/// one of them at a time, and is made runnable exactly once for each time that it is: by whoever moves the side out of Parked, or takes it
/// out of the queue.
/// </summary>
internal abstract class PollWaiter : IThreadPoolWorkItem
{
    /// <summary>
    /// The next in a list of runnable waiters, which whoever made this one runnable owns; or the next in the queue, under its lock.
    /// </summary>
    internal PollWaiter? Next;

    // Under the lock of the queues.
    internal PollWaiter? Previous;

    /// <summary>What its wait for a lock came to. Written by <see cref="FdMutex"/>, before the waiter is runnable.</summary>
    internal FdLock Lock;

    /// <summary>Atomic. Set before the side is unblocked, read after the waiter has announced itself: as a deadline is.</summary>
    private bool _canceled;

    internal bool IsCanceled => Volatile.Read(ref _canceled);

    /// <summary>
    /// Wakes the thread that waits, where one does. False when <see cref="Execute"/> is to be called by a loop or the pool.
    /// </summary>
    internal abstract bool TryWakeThread();

    /// <summary>Goes on after the wait, up to the next one.</summary>
    public abstract void Execute();

    // A full fence: what is published is to be seen before the side is looked at. Pairs with the exchange to Wait in PollDesc.Park.
    protected void SetCanceled(bool value) => Interlocked.Exchange(ref _canceled, value);
}
