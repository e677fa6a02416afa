namespace Poller.Net.Tests;

public sealed class FdMutexTests
{
    private FdMutex _mutex;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_lock_is_held_by_one_and_the_next_is_queued(bool writes)
    {
        Direction direction = writes ? Direction.Write : Direction.Read;
        Assert.Equal(FdLock.Acquired, TryLock(direction));
        Waiter waiter = Queue(direction);
        Assert.Equal(FdLock.Queued, waiter.LockState);
        Assert.False(Unlock(direction));
        Assert.Equal((FdLock.Acquired, 1), (waiter.LockState, waiter.Wakes));
        Assert.False(Unlock(direction));
        Assert.Equal(FdLock.Acquired, TryLock(direction));
    }

    [Fact]
    public void The_two_directions_do_not_exclude_each_other()
    {
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Read));
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Write));
        Assert.True(_mutex.Incref());
        Assert.False(Unlock(Direction.Read));
        Assert.False(Unlock(Direction.Write));
        Assert.False(_mutex.Decref());
    }

    [Fact]
    public void After_a_close_nothing_begins_and_the_last_one_out_destroys()
    {
        Assert.True(_mutex.Incref());
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Read));
        Assert.True(Close());
        Assert.True(_mutex.IsClosed);
        Assert.False(Close());
        Assert.False(_mutex.Incref());
        Assert.Equal(FdLock.Closed, TryLock(Direction.Read));
        Assert.Equal(FdLock.Closed, TryLock(Direction.Write));
        Assert.False(Lock(Direction.Read));
        Assert.False(Unlock(Direction.Read));
        Assert.False(_mutex.Decref());
        Assert.True(_mutex.Decref());
    }

    [Fact]
    public void A_close_unblocks_all_who_queue()
    {
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Read));
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Write));
        bool?[] locked = new bool?[6];
        Worker[] threads =
        [
            .. Enumerable.Range(0, locked.Length)
                .Select(i => Worker.Start(() => locked[i] = Lock(i % 2 == 0 ? Direction.Read : Direction.Write))),
        ];
        Assert.True(Close());
        foreach (Worker thread in threads) thread.Join();
        Assert.All(locked, got => Assert.False(got));
        Assert.False(Unlock(Direction.Read));
        Assert.False(Unlock(Direction.Write));
        Assert.True(_mutex.Decref());
    }

    [Fact]
    public void One_who_leaves_the_queue_takes_no_place_with_him()
    {
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Read));
        Waiter first = Queue(Direction.Read);
        Waiter second = Queue(Direction.Read);
        Assert.True(_mutex.TryLeaveQueue(Direction.Read, first));
        Assert.False(_mutex.TryLeaveQueue(Direction.Read, first));
        Assert.False(Unlock(Direction.Read));
        Assert.Equal((FdLock.Acquired, 1), (second.LockState, second.Wakes));
        Assert.Equal((FdLock.Left, 0), (first.LockState, first.Wakes));
        Assert.False(_mutex.TryLeaveQueue(Direction.Read, second));
        Assert.False(Unlock(Direction.Read));
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Read));
    }

    [Fact]
    public void One_who_leaves_after_a_close_was_sent_off()
    {
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Write));
        Waiter waiter = Queue(Direction.Write);
        Assert.True(Close());
        Assert.False(_mutex.TryLeaveQueue(Direction.Write, waiter));
        Assert.Equal((FdLock.Closed, 1), (waiter.LockState, waiter.Wakes));
        Assert.False(Unlock(Direction.Write));
        Assert.True(_mutex.Decref());
    }

    [Fact]
    public void A_lock_that_is_given_back_is_handed_to_the_one_who_queues_longest_and_to_nobody_else()
    {
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Write));
        Waiter[] waiters = [Queue(Direction.Write), Queue(Direction.Write), Queue(Direction.Write)];
        for (int i = 0; i < waiters.Length; i++)
        {
            Assert.False(Unlock(Direction.Write));
            Assert.Equal(i + 1, waiters.Count(static w => w.LockState == FdLock.Acquired));
            Assert.Equal((FdLock.Acquired, 1), (waiters[i].LockState, waiters[i].Wakes));
            Waiter late = Queue(Direction.Write); // It stands for the last holder, which would come again at once.
            Assert.True(_mutex.TryLeaveQueue(Direction.Write, late));
        }
        Assert.False(Unlock(Direction.Write));
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Write));
    }

    [Fact]
    public void Too_many_operations_overflow_with_words()
    {
        for (int i = 0; i < (1 << 20) - 1; i++) Assert.True(_mutex.Incref());
        Assert.Contains(
            "too many concurrent operations",
            Assert.Throws<InvalidOperationException>(() => _mutex.Incref()).Message,
            StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => TryLock(Direction.Read));
        Assert.Throws<InvalidOperationException>(() => Close());
        Assert.False(_mutex.Decref());
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Read));
    }

    [Fact]
    public void Too_many_waiters_overflow_with_words()
    {
        Assert.Equal(FdLock.Acquired, TryLock(Direction.Write));
        for (int i = 0; i < (1 << 20) - 1; i++) Assert.Equal(FdLock.Queued, _mutex.LockOrQueue(Direction.Write, new Waiter()));
        Assert.Contains(
            "waiting operations",
            Assert.Throws<InvalidOperationException>(() => _mutex.LockOrQueue(Direction.Write, new Waiter())).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void What_nobody_holds_cannot_be_given_back()
    {
        Assert.Throws<InvalidOperationException>(() => _mutex.Decref());
        Assert.Throws<InvalidOperationException>(() => Unlock(Direction.Read));
        Assert.True(_mutex.Incref());
        Assert.Throws<InvalidOperationException>(() => Unlock(Direction.Write));
    }

    [Fact]
    public void Under_stress_each_lock_has_one_holder_and_destroy_comes_once_and_last()
    {
        int seed = Seed.Next();
        int[] holders = new int[2];
        string? failure = null;
        int destroyed = 0;
        Worker[] threads = [.. Enumerable.Range(0, 6).Select(t => Worker.Start(() =>
        {
            Random random = new(seed + t);
            for (int i = 0; i < 50_000; i++)
            {
                int what = random.Next(3);
                if (what == 2)
                {
                    if (!_mutex.Incref()) return;
                    if (_mutex.Decref()) Interlocked.Increment(ref destroyed);
                }
                else
                {
                    Direction direction = (Direction)what;
                    if (!Lock(direction)) return;
                    if (Interlocked.Increment(ref holders[what]) != 1) failure = $"seed {seed}: two hold the {direction} lock.";
                    Interlocked.Decrement(ref holders[what]);
                    if (Unlock(direction)) Interlocked.Increment(ref destroyed);
                }
            }
        }))];
        threads[0].Join();
        Assert.True(Close());
        if (_mutex.Decref()) Interlocked.Increment(ref destroyed);
        foreach (Worker thread in threads[1..]) thread.Join();
        Assert.Null(failure);
        Assert.Equal(1, destroyed);
    }

    private FdLock TryLock(Direction direction) => _mutex.TryLock(direction);

    private Waiter Queue(Direction direction)
    {
        Waiter waiter = new();
        Assert.Equal(FdLock.Queued, _mutex.LockOrQueue(direction, waiter));
        return waiter;
    }

    private bool Lock(Direction direction)
    {
        Waiter waiter = new();
        if (_mutex.LockOrQueue(direction, waiter) == FdLock.Queued) waiter.Await();
        return waiter.LockState == FdLock.Acquired;
    }

    private bool Unlock(Direction direction)
    {
        bool isLast = _mutex.Unlock(direction, out PollWaiter? next);
        next?.TryWakeThread();
        return isLast;
    }

    private bool Close()
    {
        if (!_mutex.IncrefAndClose(out PollWaiter? sentOff)) return false;
        while (sentOff is not null)
        {
            PollWaiter? next = sentOff.Next;
            sentOff.TryWakeThread();
            sentOff = next;
        }
        return true;
    }

    private sealed class Waiter : PollWaiter
    {
        // Guarded by the lock on this.
        private int _wakes;

        public int Wakes
        {
            get
            {
                lock (this) return _wakes;
            }
        }

        public void Await()
        {
            lock (this)
            {
                while (_wakes == 0) Assert.True(Monitor.Wait(this, Fixture.Patience), "one who queues was not woken.");
            }
        }

        public override void Execute() => throw new InvalidOperationException("a thread that waits was queued.");

        internal override bool TryWakeThread()
        {
            lock (this)
            {
                _wakes++;
                Monitor.Pulse(this);
                return true;
            }
        }
    }
}
