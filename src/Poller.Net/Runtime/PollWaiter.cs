namespace Poller.Net;

/// <summary>
/// What can be parked in a side of a <see cref="PollDesc"/>: an async operation, or a thread. It is made runnable exactly once for
/// each time it is parked, by whoever moves the side out of Parked.
/// </summary>
internal abstract class PollWaiter : IThreadPoolWorkItem
{
    /// <summary>The next in a list of runnable waiters. Owned by whoever took this one out of Parked.</summary>
    internal PollWaiter? Next;

    /// <summary>Atomic. Set before the side is unblocked, read after the waiter has announced itself: as a deadline is.</summary>
    private bool _canceled;

    internal bool IsCanceled => Volatile.Read(ref _canceled);

    /// <summary>
    /// Wakes the thread that is parked, where one is. False when <see cref="Execute"/> is to be called by a loop or the pool.
    /// </summary>
    internal abstract bool TryWakeThread();

    /// <summary>Goes on after the wait, up to the next one.</summary>
    public abstract void Execute();

    // A full fence: what is published is to be seen before the side is looked at. Pairs with the exchange to Wait in PollDesc.Park.
    protected void SetCanceled(bool value) => Interlocked.Exchange(ref _canceled, value);
}
