using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace Poller.Net;

// The waiters that a leader cannot run in place, because the maximum number of handlers is blocked. Threads of the loop that come back from
// their handlers take waiters out of this queue, and so does the thread pool; the first to come takes the next. Go has no twin: a program
// that needs more than 10,000 threads ends there.

/// <summary>The overflow of one loop. Any thread may take from it; only the leader adds to it.</summary>
internal sealed class OverflowQueue(PollLoop loop, int maxBlockedHandlers) : IThreadPoolWorkItem
{
    // In ms. A server that is short of threads for an hour gets 60 reports; 120 with half the value. With double the value, a shortage of
    // less than two minutes is reported once.
    private const long ReportInterval = 60_000;

    private readonly ConcurrentQueue<(PollWaiter Waiter, long ReadyAt)> _waiters = new();

    // Touched only by the leader, except that the statistics read the count.
    private long _count;
    private long _reported;
    private long _reportedAt;

    /// <summary>The number of waiters that have come here so far.</summary>
    public long Count => Volatile.Read(ref _count);

    /// <summary>Takes a waiter in, and reports now and then how many have come. <see cref="PollLoop.TryClaim"/> says its time.</summary>
    public void Add(PollWaiter waiter, long readyAt)
    {
        _waiters.Enqueue((waiter, readyAt));
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        Volatile.Write(ref _count, _count + 1);
        long now = Environment.TickCount64;
        if (_reported != 0 && now - _reportedAt < ReportInterval) return;
        loop.Warn(
            $"{loop.Name}: all {maxBlockedHandlers} threads that MaxBlockedHandlers allows are in handlers that block or compute; "
            + $"{_count - _reported} handlers had to wait for one of them, or for a thread of the pool.");
        _reported = _count;
        _reportedAt = now;
    }

    /// <summary>Gives out the waiter that came first. A thread of this loop that comes back from a handler calls it.</summary>
    public bool TryTake([NotNullWhen(true)] out PollWaiter? waiter, out long readyAt)
    {
        bool found = _waiters.TryDequeue(out (PollWaiter Waiter, long ReadyAt) first);
        (waiter, readyAt) = first;
        return found;
    }

    // The thread pool calls it once for each waiter that came. Another thread may already have taken that waiter.
    void IThreadPoolWorkItem.Execute()
    {
        if (!TryTake(out PollWaiter? waiter, out long readyAt)) return;
        loop.NoteDelay(readyAt);
        waiter.Execute();
    }
}
