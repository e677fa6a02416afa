using Poller.Abstractions;

namespace Poller.Net.Tests;

public sealed class FdMutexTests
{
    private FdMutex _mutex;

    [Theory]
    [InlineData(PollMode.Read)]
    [InlineData(PollMode.Write)]
    public void A_lock_is_held_by_one_and_the_next_is_queued(PollMode mode)
    {
        Assert.Equal(FdLock.Acquired, TryLock(mode));
        FdWaiter waiter = Queue(mode);
        Assert.Null(OutcomeOf(waiter));
        Assert.False(_mutex.Unlock(mode));
        Assert.True(OutcomeOf(waiter));
        Assert.False(_mutex.Unlock(mode));
        Assert.Equal(FdLock.Acquired, TryLock(mode));
    }

    [Fact]
    public void The_two_directions_do_not_exclude_each_other()
    {
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Read));
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Write));
        Assert.True(_mutex.Incref());
        Assert.False(_mutex.Unlock(PollMode.Read));
        Assert.False(_mutex.Unlock(PollMode.Write));
        Assert.False(_mutex.Decref());
    }

    [Fact]
    public void After_a_close_nothing_begins_and_the_last_one_out_destroys()
    {
        Assert.True(_mutex.Incref());
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Read));
        Assert.True(_mutex.IncrefAndClose());
        Assert.True(_mutex.IsClosed);
        Assert.False(_mutex.IncrefAndClose());
        Assert.False(_mutex.Incref());
        Assert.Equal(FdLock.Closed, TryLock(PollMode.Read));
        Assert.Equal(FdLock.Closed, TryLock(PollMode.Write));
        Assert.False(Lock(PollMode.Read));
        Assert.False(_mutex.Unlock(PollMode.Read));
        Assert.False(_mutex.Decref());
        Assert.True(_mutex.Decref());
    }

    [Fact]
    public void A_close_unblocks_all_who_queue()
    {
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Read));
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Write));
        bool?[] locked = new bool?[6];
        Thread[] threads = [.. Enumerable.Range(0, locked.Length).Select(i => new Thread(() => locked[i] = Lock(i % 2 == 0 ? PollMode.Read : PollMode.Write)))];
        foreach (Thread thread in threads) thread.Start();
        Assert.True(_mutex.IncrefAndClose());
        Assert.All(threads, thread => Assert.True(thread.Join(Fixture.Patience)));
        Assert.All(locked, got => Assert.False(got));
        Assert.False(_mutex.Unlock(PollMode.Read));
        Assert.False(_mutex.Unlock(PollMode.Write));
        Assert.True(_mutex.Decref());
    }

    [Fact]
    public void One_who_leaves_the_queue_takes_no_place_with_him()
    {
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Read));
        FdWaiter first = Queue(PollMode.Read);
        FdWaiter second = Queue(PollMode.Read);
        Assert.True(_mutex.TryLeaveQueue(PollMode.Read, first));
        Assert.False(_mutex.TryLeaveQueue(PollMode.Read, first));
        Assert.False(_mutex.Unlock(PollMode.Read));
        Assert.True(OutcomeOf(second));
        Assert.Null(OutcomeOf(first));
        Assert.False(_mutex.TryLeaveQueue(PollMode.Read, second));
        Assert.False(_mutex.Unlock(PollMode.Read));
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Read));
    }

    [Fact]
    public void One_who_leaves_after_a_close_was_sent_off()
    {
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Write));
        FdWaiter waiter = Queue(PollMode.Write);
        Assert.True(_mutex.IncrefAndClose());
        Assert.False(_mutex.TryLeaveQueue(PollMode.Write, waiter));
        Assert.False(OutcomeOf(waiter));
        Assert.False(_mutex.Unlock(PollMode.Write));
        Assert.True(_mutex.Decref());
    }

    [Fact]
    public void A_lock_that_is_given_back_is_handed_to_the_one_who_queues_longest_and_to_nobody_else()
    {
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Write));
        FdWaiter[] waiters = [Queue(PollMode.Write), Queue(PollMode.Write), Queue(PollMode.Write)];
        for (int i = 0; i < waiters.Length; i++)
        {
            Assert.False(_mutex.Unlock(PollMode.Write));
            Assert.Equal(i + 1, waiters.Count(static w => OutcomeOf(w) == true));
            Assert.True(OutcomeOf(waiters[i]));
            FdWaiter late = Queue(PollMode.Write); // The holder before would come again at once.
            Assert.True(_mutex.TryLeaveQueue(PollMode.Write, late));
        }
        Assert.False(_mutex.Unlock(PollMode.Write));
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Write));
    }

    [Fact]
    public void Too_many_operations_overflow_with_words()
    {
        for (int i = 0; i < (1 << 20) - 1; i++) Assert.True(_mutex.Incref());
        Assert.Contains("too many concurrent operations", Assert.Throws<InvalidOperationException>(() => _mutex.Incref()).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => TryLock(PollMode.Read));
        Assert.Throws<InvalidOperationException>(() => _mutex.IncrefAndClose());
        Assert.False(_mutex.Decref());
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Read));
    }

    [Fact]
    public void Too_many_waiters_overflow_with_words()
    {
        Assert.Equal(FdLock.Acquired, TryLock(PollMode.Write));
        for (int i = 0; i < (1 << 20) - 1; i++) Assert.Equal(FdLock.Queued, TryLock(PollMode.Write));
        Assert.Contains("waiting operations", Assert.Throws<InvalidOperationException>(() => TryLock(PollMode.Write)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_nobody_holds_cannot_be_given_back()
    {
        Assert.Throws<InvalidOperationException>(() => _mutex.Decref());
        Assert.Throws<InvalidOperationException>(() => _mutex.Unlock(PollMode.Read));
        Assert.True(_mutex.Incref());
        Assert.Throws<InvalidOperationException>(() => _mutex.Unlock(PollMode.Write));
    }

    [Fact]
    public void Under_stress_each_lock_has_one_holder_and_destroy_comes_once_and_last()
    {
        int seed = Seed.Next();
        int[] holders = new int[3];
        string? failure = null;
        int destroyed = 0;
        Thread[] threads = [.. Enumerable.Range(0, 6).Select(t => new Thread(() =>
        {
            Random random = new(seed + t);
            for (int i = 0; i < 50_000; i++)
            {
                PollMode mode = (PollMode)random.Next(3);
                if (mode == PollMode.None)
                {
                    if (!_mutex.Incref()) return;
                    if (_mutex.Decref()) Interlocked.Increment(ref destroyed);
                }
                else
                {
                    if (!Lock(mode)) return;
                    if (Interlocked.Increment(ref holders[(int)mode]) != 1) failure = $"seed {seed}: two hold the {mode} lock.";
                    Interlocked.Decrement(ref holders[(int)mode]);
                    if (_mutex.Unlock(mode)) Interlocked.Increment(ref destroyed);
                }
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        threads[0].Join();
        Assert.True(_mutex.IncrefAndClose());
        if (_mutex.Decref()) Interlocked.Increment(ref destroyed);
        foreach (Thread thread in threads) Assert.True(thread.Join(Fixture.Patience));
        Assert.Null(failure);
        Assert.Equal(1, destroyed);
    }

    private static bool? OutcomeOf(FdWaiter waiter) => waiter.Task.IsCompleted ? waiter.Task.Result : null;

    private FdLock TryLock(PollMode mode) => _mutex.LockOrQueue(mode, out _);

    private FdWaiter Queue(PollMode mode)
    {
        Assert.Equal(FdLock.Queued, _mutex.LockOrQueue(mode, out FdWaiter? waiter));
        return waiter!;
    }

    private bool Lock(PollMode mode) =>
        _mutex.LockOrQueue(mode, out FdWaiter? waiter) is var outcome && outcome == FdLock.Queued ? waiter!.Task.Result : outcome == FdLock.Acquired;
}
