using Poller.Abstractions;
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
            if (!_mutex.IncrefAndClose()) return;
            Closes++;
            if (_mutex.Decref()) Destroy();
        }

        /// <summary>A read, from PollFd's Lock to its Unlock. False when it found the descriptor closed.</summary>
        public bool Read()
        {
            FdLock outcome = _mutex.LockOrQueue(PollMode.Read, out FdWaiter? waiter);
            if (outcome == FdLock.Closed || (outcome == FdLock.Queued && !Await(waiter!))) return false;
            Invariant.Holds(Interlocked.Increment(ref _holders) == 1, "two hold the read lock.");
            Use();
            Invariant.Holds(Interlocked.Exchange(ref _holders, 0) == 1, "two hold the read lock.");
            Reads++;
            Unlock();
            return true;
        }

        public void Unlock()
        {
            if (_mutex.Unlock(PollMode.Read)) Destroy();
        }

        /// <summary>An operation without a lock.</summary>
        public void Look()
        {
            if (!_mutex.Incref()) return;
            Use();
            if (_mutex.Decref()) Destroy();
        }

        /// <summary>What PollFd does for a queued caller that gives up.</summary>
        public void LeaveQueue(FdWaiter waiter)
        {
            if (!_mutex.TryLeaveQueue(PollMode.Read, waiter) && Await(waiter)) Unlock();
        }

        private static bool Await(FdWaiter waiter)
        {
            ControlledThread.WaitUntil(() => waiter.Task.IsCompleted, new Site("Wait", "place in the queue", "", 0));
            return waiter.Task.Result;
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

    // The second reader queues behind the first; a close is to send it off.
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

    // One of two that queue gives up while the lock is given back: it is the other's, and nobody's afterwards.
    public static void UnlockAndQueuedLockerLeaves(Run run)
    {
        Descriptor descriptor = new();
        Invariant.Holds(descriptor.Mutex.LockOrQueue(PollMode.Read, out _) == FdLock.Acquired, "the lock was not free.");
        run.Thread("holder", descriptor.Unlock);
        run.Thread("leaver", () =>
        {
            switch (descriptor.Mutex.LockOrQueue(PollMode.Read, out FdWaiter? waiter))
            {
                case FdLock.Acquired: descriptor.Unlock(); break;
                case FdLock.Queued: descriptor.LeaveQueue(waiter!); break;
                default: throw new InvariantException("an open descriptor was said to be closed.");
            }
        });
        run.Thread("reader", () => ReadsOpen(descriptor));
        run.Finally(() => EndsOpen(descriptor, reads: 1));
    }

    private static void ReadsOpen(Descriptor descriptor) => Invariant.Holds(descriptor.Read(), "an open descriptor was said to be closed.");

    private static void EndsDestroyed(Descriptor descriptor) => Invariant.Holds(
        descriptor is { Closes: 1, Destroyed: 1 },
        $"closes: {descriptor.Closes}, destroyed: {descriptor.Destroyed}; 1 and 1 were expected.");

    // Open and free: a close on top of it destroys at once.
    private static void EndsOpen(Descriptor descriptor, int reads)
    {
        Invariant.Holds(descriptor.Reads == reads && descriptor.Destroyed == 0, $"{descriptor.Reads} of {reads} reads were made.");
        descriptor.Close();
        EndsDestroyed(descriptor);
    }
}
