using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of the lock of a descriptor, and of who destroys it.</summary>
internal static class FdMutexScenarios
{
    private sealed class Descriptor
    {
        private FdMutex _mutex;
        private int _holders;

        public int Closes { get; private set; }

        public int Destroyed { get; private set; }

        public int Reads { get; private set; }

        public ref FdMutex Mutex => ref _mutex;

        public void Close()
        {
            if (!_mutex.IncrefAndClose(out PollWaiter? sentOff)) return;
            Closes++;
            while (PollWaiter.TryPop(ref sentOff, out PollWaiter? waiter)) waiter.TryWakeThread();
            if (_mutex.Decref()) Destroy();
        }

        /// <summary>Does what a read does between PollFd's Lock and Unlock. False if the descriptor was closed.</summary>
        public bool Read()
        {
            QueuedWaiter waiter = new();
            if (_mutex.LockOrQueue(Direction.Read, waiter) == FdLock.Queued) waiter.Await();
            if (waiter.LockState != FdLock.Acquired) return false;
            Invariant.Holds(Interlocked.Increment(ref _holders) == 1, "two hold the read lock.");
            Use();
            Invariant.Holds(Interlocked.Exchange(ref _holders, 0) == 1, "two hold the read lock.");
            Reads++;
            Unlock();
            return true;
        }

        public void Unlock()
        {
            bool isLast = _mutex.Unlock(Direction.Read, out PollWaiter? next);
            next?.TryWakeThread();
            if (isLast) Destroy();
        }

        /// <summary>An operation without a lock.</summary>
        public void Look()
        {
            if (!_mutex.Incref()) return;
            Use();
            if (_mutex.Decref()) Destroy();
        }

        /// <summary>What PollFd.Cancel does for an operation, wherever it waits.</summary>
        public void Cancel(PollWaiter waiter)
        {
            if (_mutex.TryLeaveQueue(Direction.Read, waiter)) waiter.TryWakeThread();
        }

        private void Use() => Invariant.Holds(Destroyed == 0, "a descriptor was used after it was destroyed.");

        private void Destroy()
        {
            Destroyed++;
            Invariant.Holds(Destroyed == 1, "a descriptor was destroyed twice.");
        }
    }

    public static void CloseAndCloseAndReadLock(Run run)
    {
        Descriptor descriptor = new();
        run.Thread("reader", () => descriptor.Read());
        run.Thread("closer 1", descriptor.Close);
        run.Thread("closer 2", descriptor.Close);
        run.Finally(() => EndsDestroyed(descriptor));
    }

    public static void CloseAndOperation(Run run)
    {
        Descriptor descriptor = new();
        run.Thread("operation 1", descriptor.Look);
        run.Thread("operation 2", descriptor.Look);
        run.Thread("closer", descriptor.Close);
        run.Finally(() => EndsDestroyed(descriptor));
    }

    // The second reader queues behind the first. A close must send it off.
    public static void CloseAndTwoReadLocks(Run run)
    {
        Descriptor descriptor = new();
        run.Thread("reader 1", () => descriptor.Read());
        run.Thread("reader 2", () => descriptor.Read());
        run.Thread("closer", descriptor.Close);
        run.Finally(() => EndsDestroyed(descriptor));
    }

    public static void ThreeReadLocks(Run run)
    {
        Descriptor descriptor = new();
        for (int i = 1; i <= 3; i++) run.Thread($"reader {i}", () => ReadsOpen(descriptor));
        run.Finally(() => EndsOpen(descriptor, reads: 3));
    }

    // Two queue, and one of them gives up while the holder gives the lock back. The other one must get it, and in the end it must be free.
    public static void UnlockAndQueuedLockerLeaves(Run run)
    {
        Descriptor descriptor = new();
        Invariant.Holds(descriptor.Mutex.TryLock(Direction.Read) == FdLock.Acquired, "the lock was not free.");
        run.Thread("holder", descriptor.Unlock);
        run.Thread("leaver", () =>
        {
            QueuedWaiter waiter = new();
            if (descriptor.Mutex.LockOrQueue(Direction.Read, waiter) == FdLock.Queued)
            {
                descriptor.Cancel(waiter);
                waiter.Await();
            }
            Invariant.Holds(waiter.LockState is FdLock.Acquired or FdLock.Left, $"an open descriptor was said to be {waiter.LockState}.");
            if (waiter.LockState == FdLock.Acquired) descriptor.Unlock();
        });
        run.Thread("reader", () => ReadsOpen(descriptor));
        run.Finally(() => EndsOpen(descriptor, reads: 1));
    }

    // An operation is cancelled while it is about to queue. Whichever comes second must find the other, and the operation must become
    // runnable once. The holder keeps the lock until then; otherwise the operation would end in any case.
    public static void QueueAndCancel(Run run)
    {
        Descriptor descriptor = new();
        Invariant.Holds(descriptor.Mutex.TryLock(Direction.Read) == FdLock.Acquired, "the lock was not free.");
        QueuedWaiter waiter = new();
        run.Thread("starter", () =>
        {
            // PollOp.Start does the same.
            Invariant.Holds(descriptor.Mutex.LockOrQueue(Direction.Read, waiter) == FdLock.Queued, "a lock was given out twice.");
            if (waiter.IsCanceled) descriptor.Cancel(waiter);
            waiter.Await();
            Invariant.Holds(waiter.LockState == FdLock.Left, $"one who was cancelled in the queue is {waiter.LockState}.");
        });
        run.Thread("canceler", () =>
        {
            waiter.Cancel();
            descriptor.Cancel(waiter);
        });
        run.Finally(() =>
        {
            descriptor.Unlock();
            EndsOpen(descriptor, reads: 0);
        });
    }

    // A waiter in the queue gives up while the descriptor is closed. It must be sent off or leave, and not both.
    public static void CloseAndQueuedLockerLeaves(Run run)
    {
        Descriptor descriptor = new();
        Invariant.Holds(descriptor.Mutex.TryLock(Direction.Read) == FdLock.Acquired, "the lock was not free.");
        QueuedWaiter waiter = new();
        Invariant.Holds(descriptor.Mutex.LockOrQueue(Direction.Read, waiter) == FdLock.Queued, "a lock was given out twice.");
        run.Thread("leaver", () =>
        {
            descriptor.Cancel(waiter);
            waiter.Await();
            Invariant.Holds(waiter.LockState is FdLock.Closed or FdLock.Left, $"one who left or was sent off is {waiter.LockState}.");
        });
        run.Thread("closer", descriptor.Close);
        run.Finally(() =>
        {
            descriptor.Unlock();
            EndsDestroyed(descriptor);
        });
    }

    /// <summary>A waiter that queues as a thread does. It checks that it is made runnable once.</summary>
    private sealed class QueuedWaiter : PollWaiter
    {
        private int _woken;

        public void Cancel() => SetCanceled(true);

        public void Await() => ControlledThread.WaitUntil(() => _woken == 1, new Site("Wait", "place in the queue", "", 0));

        public override void Execute() => throw new InvalidOperationException("a thread that queues was run.");

        internal override bool TryWakeThread()
        {
            ControlledThread? self = ControlledThread.Step(new Site("Wake", "the waiter", "", 0));
            _woken++;
            Invariant.Holds(_woken == 1, "one who queued was made runnable twice.");
            self?.Fence();
            return true;
        }
    }

    private static void ReadsOpen(Descriptor descriptor) => Invariant.Holds(descriptor.Read(), "an open descriptor was said to be closed.");

    private static void EndsDestroyed(Descriptor descriptor) => Invariant.Holds(
        descriptor is { Closes: 1, Destroyed: 1 },
        $"closes: {descriptor.Closes}, destroyed: {descriptor.Destroyed}; 1 and 1 were expected.");

    // The descriptor must be open and unlocked: a close must destroy it at once.
    private static void EndsOpen(Descriptor descriptor, int reads)
    {
        Invariant.Holds(descriptor.Reads == reads && descriptor.Destroyed == 0, $"{descriptor.Reads} of {reads} reads were made.");
        descriptor.Close();
        EndsDestroyed(descriptor);
    }
}
