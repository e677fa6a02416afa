using Poller.Abstractions;

namespace Poller.Net;

// The twin of Go's internal/poll/fd_mutex.go.
//
// One 64-bit word holds all there is to know: closed:1 rlock:1 wlock:1 refs:20 rwait:20 wwait:20. One reader and one writer at a time,
// any number of other operations; each holds a reference. Close sets a bit that no later operation passes, and sends off those that queue
// for a lock. Whoever drops the last reference of a closed descriptor is told so, and destroys it: once, and after its last use.
//
// Go lets whoever comes next have a lock that is given back, and those who queue try again. Here the lock and its reference are handed to
// the one who queues longest: a continuation that writes again at once would else overtake the queue for ever, and writes that nobody
// awaits would change places.

/// <summary>What one attempt at a lock came to.</summary>
internal enum FdLock
{
    /// <summary>The lock and a reference are held.</summary>
    Acquired,

    /// <summary>The lock is another's; the caller queues for it.</summary>
    Queued,

    /// <summary>The descriptor is closed.</summary>
    Closed,
}

/// <summary>
/// One who queues for a lock. Its task ends with true when the lock and a reference are its own, with false when the descriptor was closed.
/// </summary>
internal sealed class FdWaiter : TaskCompletionSource<bool>
{
    public FdWaiter()
        : base(TaskCreationOptions.RunContinuationsAsynchronously) => Node = new(this);

    /// <summary>Its place in the queue. Guarded by the lock of the queues.</summary>
    public LinkedListNode<FdWaiter> Node { get; }
}

/// <summary>Serialises access to a descriptor and counts its users. Safe from any thread; must not be copied.</summary>
internal struct FdMutex
{
    private const long ClosedBit = 1L << 0;
    private const long ReadLock = 1L << 1;
    private const long WriteLock = 1L << 2;
    private const long Reference = 1L << 3;
    private const long References = ((1L << 20) - 1) << 3;
    private const long ReadWait = 1L << 23;
    private const long ReadWaits = ((1L << 20) - 1) << 23;
    private const long WriteWait = 1L << 43;
    private const long WriteWaits = ((1L << 20) - 1) << 43;

    // Atomic.
    private long _state;

    // Made by whoever needs them first: almost no descriptor has two readers. Until the descriptor is closed a queue holds as many as the
    // word counts, under the lock of the queues.
    private Queues? _queues;

    public bool IsClosed => (Volatile.Read(ref _state) & ClosedBit) != 0;

    /// <summary>Takes a reference for an operation that needs no lock. False when the descriptor is closed.</summary>
    public bool Incref()
    {
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0) return false;
            long next = old + Reference;
            if ((next & References) == 0) throw Overflow("operations");
            if (Interlocked.CompareExchange(ref _state, next, old) == old) return true;
        }
    }

    /// <summary>
    /// Closes the descriptor, takes a reference and sends off all who queue for a lock. False when it was closed already.
    /// </summary>
    public bool IncrefAndClose()
    {
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0) return false;
            long next = (old | ClosedBit) + Reference;
            if ((next & References) == 0) throw Overflow("operations");
            next &= ~(ReadWaits | WriteWaits);
            if (Interlocked.CompareExchange(ref _state, next, old) != old) continue;

            if ((old & ReadWaits) != 0) QueuesHere().SendOff(PollMode.Read);
            if ((old & WriteWaits) != 0) QueuesHere().SendOff(PollMode.Write);
            return true;
        }
    }

    /// <summary>Drops a reference. True when the caller is to destroy the descriptor.</summary>
    public bool Decref()
    {
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & References) == 0) throw new InvalidOperationException("FdMutex: a reference was dropped that nobody held.");
            long next = old - Reference;
            if (Interlocked.CompareExchange(ref _state, next, old) == old) return (next & (ClosedBit | References)) == ClosedBit;
        }
    }

    /// <summary>Takes the lock of one direction, and a reference; queues the caller when it is taken.</summary>
    public FdLock LockOrQueue(PollMode mode, out FdWaiter? waiter)
    {
        waiter = null;
        (long bit, _, _) = BitsOf(mode);
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0) return FdLock.Closed;
            if ((old & bit) != 0) return Enqueue(mode, out waiter);
            if (TryAcquire(bit, old)) return FdLock.Acquired;
        }
    }

    /// <summary>
    /// Gives back a lock and its reference, or hands both to the one who queues longest. True when the caller is to destroy the descriptor.
    /// </summary>
    public bool Unlock(PollMode mode)
    {
        (long bit, _, long waits) = BitsOf(mode);
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & bit) == 0 || (old & References) == 0)
            {
                throw new InvalidOperationException($"FdMutex: {mode} was unlocked that nobody had locked.");
            }
            if ((old & waits) != 0)
            {
                if (TryHandOver(mode)) return false;
                continue; // Those who queued have left, or were sent off.
            }
            long next = (old & ~bit) - Reference;
            if (Interlocked.CompareExchange(ref _state, next, old) == old) return (next & (ClosedBit | References)) == ClosedBit;
        }
    }

    /// <summary>
    /// Takes one who gave up out of the queue. False when it has been told already, or is about to be: its task says what.
    /// </summary>
    public bool TryLeaveQueue(PollMode mode, FdWaiter waiter)
    {
        (_, long wait, _) = BitsOf(mode);
        Queues queues = QueuesHere();
        lock (queues.Lock)
        {
            if (waiter.Node.List is null) return false;
            queues.Of(mode).Remove(waiter.Node);
            while (true)
            {
                long old = Volatile.Read(ref _state);
                if ((old & ClosedBit) != 0) return true; // Its count is gone; whoever closed has yet to come for the queue.
                if (Interlocked.CompareExchange(ref _state, old - wait, old) == old) return true;
            }
        }
    }

    private bool TryAcquire(long bit, long old)
    {
        long next = (old | bit) + Reference;
        if ((next & References) == 0) throw Overflow("operations");
        return Interlocked.CompareExchange(ref _state, next, old) == old;
    }

    private FdLock Enqueue(PollMode mode, out FdWaiter? waiter)
    {
        waiter = null;
        (long bit, long wait, long waits) = BitsOf(mode);
        Queues queues = QueuesHere();
        lock (queues.Lock)
        {
            while (true)
            {
                long old = Volatile.Read(ref _state);
                if ((old & ClosedBit) != 0) return FdLock.Closed;
                if ((old & bit) == 0)
                {
                    if (TryAcquire(bit, old)) return FdLock.Acquired;
                    continue;
                }
                if (((old + wait) & waits) == 0) throw Overflow("waiting operations");
                if (Interlocked.CompareExchange(ref _state, old + wait, old) != old) continue;
                waiter = new FdWaiter();
                queues.Of(mode).AddLast(waiter.Node);
                return FdLock.Queued;
            }
        }
    }

    // The lock bit and the reference stay as they are: they change hands.
    private bool TryHandOver(PollMode mode)
    {
        (_, long wait, long waits) = BitsOf(mode);
        Queues queues = QueuesHere();
        FdWaiter first;
        lock (queues.Lock)
        {
            while (true)
            {
                long old = Volatile.Read(ref _state);
                if ((old & waits) == 0) return false;
                if (Interlocked.CompareExchange(ref _state, old - wait, old) == old) break;
            }
            first = queues.Of(mode).First?.Value
                ?? throw new InvalidOperationException($"FdMutex: {mode} counts one who queues, and nobody does.");
            queues.Of(mode).RemoveFirst();
        }
        first.SetResult(true);
        return true;
    }

    private Queues QueuesHere()
    {
        if (Volatile.Read(ref _queues) is { } there) return there;
        Queues made = new();
        return Interlocked.CompareExchange(ref _queues, made, null) ?? made;
    }

    private static (long Bit, long Wait, long Waits) BitsOf(PollMode mode) =>
        mode == PollMode.Read ? (ReadLock, ReadWait, ReadWaits) : (WriteLock, WriteWait, WriteWaits);

    private static InvalidOperationException Overflow(string what) =>
        new($"too many concurrent {what} on a single descriptor; at most {(1 << 20) - 1} were expected.");

    private sealed class Queues
    {
        public readonly Lock Lock = new();

        // Guarded by the lock.
        private readonly LinkedList<FdWaiter> _readers = new();
        private readonly LinkedList<FdWaiter> _writers = new();

        public LinkedList<FdWaiter> Of(PollMode mode) => mode == PollMode.Read ? _readers : _writers;

        public void SendOff(PollMode mode)
        {
            LinkedList<FdWaiter> waiters = Of(mode);
            while (true)
            {
                FdWaiter? first;
                lock (Lock)
                {
                    first = waiters.First?.Value;
                    if (first is null) return;
                    waiters.RemoveFirst();
                }
                first.SetResult(false);
            }
        }
    }
}
