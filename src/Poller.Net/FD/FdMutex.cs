namespace Poller.Net;

// The twin of Go's internal/poll/fd_mutex.go.
//
// One 64-bit word holds the state: closed:1 rlock:1 wlock:1 refs:20 rwait:20 wwait:20. There is one reader and one writer at a time, and
// any number of other operations. Each holds a reference. Close sets the closed bit, which lets no later operation in, and sends off the
// waiters in the queues. Whoever drops the last reference of a closed descriptor learns so from the return value and destroys it: once, and
// after its last use.
//
//   from -> to                                    by
//   open, unlocked       -> locked, refs + 1      TryLock, LockOrQueue
//   open                 -> refs + 1              Incref
//   open, locked         -> waits + 1             LockOrQueue, under the queues' lock: the waiter is Queued
//   locked, waits > 0    -> waits - 1             Unlock, under the queues' lock: the next waiter is Acquired, and has lock and reference
//   locked, waits = 0    -> unlocked, refs - 1    Unlock
//   refs > 0             -> refs - 1              Decref
//   waits > 0            -> waits - 1             TryLeaveQueue, under the queues' lock: the waiter is Left
//   open                 -> closed, refs + 1, waits = 0
//                                                 IncrefAndClose; it then takes the queues' lock, and all waiters in the queues are Closed
//
// In Go a lock that is given back goes to whoever comes first, and those who queue must try again. Here we hand the lock and its reference
// to the waiter that has queued longest. Otherwise a continuation that writes again at once could overtake the queue for ever, and writes
// that nobody awaits could change their order.
//
// These methods run no waiter. They return the waiters that became runnable, and the caller passes them to the loop. So no continuation
// runs on the stack of a caller that unlocks, closes or cancels.

/// <summary>The outcome of a try to take a lock, or of a wait for it.</summary>
internal enum FdLock : byte
{
    /// <summary>The caller holds the lock and a reference.</summary>
    Acquired,

    /// <summary>Another operation holds the lock.</summary>
    Busy,

    /// <summary>Another operation holds the lock, and the waiter is in the queue for it.</summary>
    Queued,

    /// <summary>The waiter gave up and left the queue. It holds nothing.</summary>
    Left,

    /// <summary>The descriptor is closed. The waiter holds nothing.</summary>
    Closed,
}

/// <summary>Serialises access to a descriptor and counts its users. Safe from any thread; do not copy it.</summary>
/// <remarks>
/// Calls come in pairs. After <see cref="Incref"/> or <see cref="IncrefAndClose"/> has returned true, the caller must call
/// <see cref="Decref"/>. After a lock is <see cref="FdLock.Acquired"/>, at once or after a wait, the caller must call <see cref="Unlock"/>.
/// If the second call returns true, nobody uses the descriptor any more, and its caller must destroy the descriptor.
/// </remarks>
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

    // Created when first needed, because almost no descriptor has two readers. Until the descriptor is closed, under the queues' lock, a
    // queue has as many waiters as the word counts.
    private Queues? _queues;

    public bool IsClosed => (Volatile.Read(ref _state) & ClosedBit) != 0;

    /// <summary>Takes a reference for an operation that needs no lock. False if the descriptor is closed.</summary>
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
    /// Closes the descriptor, takes a reference and empties the queues. Returns the waiters from the queues in a linked list: they are
    /// runnable and hold nothing. False if the descriptor was already closed.
    /// </summary>
    public bool IncrefAndClose(out PollWaiter? sentOff)
    {
        sentOff = null;
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0) return false;
            long next = (old | ClosedBit) + Reference;
            if ((next & References) == 0) throw Overflow("operations");
            next &= ~(ReadWaits | WriteWaits);
            if (Interlocked.CompareExchange(ref _state, next, old) != old) continue;

            if ((old & (ReadWaits | WriteWaits)) != 0) sentOff = QueuesHere().SendOff();
            return true;
        }
    }

    /// <summary>Drops a reference. True if the caller must destroy the descriptor.</summary>
    public bool Decref()
    {
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & References) == 0) throw new InvalidOperationException("FdMutex: Decref without a reference; call Incref first.");
            long next = old - Reference;
            if (Interlocked.CompareExchange(ref _state, next, old) == old) return (next & (ClosedBit | References)) == ClosedBit;
        }
    }

    /// <summary>Takes the lock of one direction and a reference. <see cref="FdLock.Busy"/> if the lock is not free.</summary>
    public FdLock TryLock(Direction direction)
    {
        (long bit, _, _) = BitsOf(direction);
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0) return FdLock.Closed;
            if ((old & bit) != 0) return FdLock.Busy;
            if (TryAcquire(bit, old)) return FdLock.Acquired;
        }
    }

    /// <summary>
    /// Takes the lock of one direction and a reference, or queues the waiter for them. A waiter that is <see cref="FdLock.Queued"/> becomes
    /// runnable once, and then its <see cref="PollWaiter.LockState"/> is the outcome.
    /// </summary>
    public FdLock LockOrQueue(Direction direction, PollWaiter waiter)
    {
        FdLock found = TryLock(direction);
        if (found == FdLock.Busy) return Enqueue(direction, waiter);
        waiter.LockState = found;
        return found;
    }

    /// <summary>
    /// Gives back a lock and its reference, or hands both to the waiter that has queued longest, which is then runnable. True if the caller
    /// must destroy the descriptor.
    /// </summary>
    public bool Unlock(Direction direction, out PollWaiter? runnable)
    {
        runnable = null;
        (long bit, _, long waits) = BitsOf(direction);
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & bit) == 0 || (old & References) == 0)
            {
                throw new InvalidOperationException($"FdMutex: Unlock of {direction}, which is not locked.");
            }
            if ((old & waits) != 0)
            {
                runnable = TryHandOver(direction);
                if (runnable is not null) return false;
                continue; // The waiters have left the queue, or were sent off.
            }
            long next = (old & ~bit) - Reference;
            if (Interlocked.CompareExchange(ref _state, next, old) == old) return (next & (ClosedBit | References)) == ClosedBit;
        }
    }

    /// <summary>
    /// Takes a waiter that gives up out of the queue. It then holds nothing, and the caller makes it runnable. False if it is not in the
    /// queue, or was already made runnable.
    /// </summary>
    public bool TryLeaveQueue(Direction direction, PollWaiter waiter)
    {
        // Without queues nobody has queued yet. A waiter that is about to queue checks afterwards whether it should give up (PollOp.Start).
        if (Volatile.Read(ref _queues) is not { } queues) return false;
        (_, long wait, _) = BitsOf(direction);
        using (queues.Lock.Hold())
        {
            if (waiter.LockState != FdLock.Queued) return false;
            queues.Of(direction).Remove(waiter);
            waiter.LockState = FdLock.Left;
            while (true)
            {
                long old = Volatile.Read(ref _state);
                if ((old & ClosedBit) != 0) return true; // The close has already cleared the count, and will empty the queue.
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

    private FdLock Enqueue(Direction direction, PollWaiter waiter)
    {
        (long bit, long wait, long waits) = BitsOf(direction);
        Queues queues = QueuesHere();
        using (queues.Lock.Hold())
        {
            while (true)
            {
                long old = Volatile.Read(ref _state);
                if ((old & ClosedBit) != 0) return waiter.LockState = FdLock.Closed;
                if ((old & bit) == 0)
                {
                    if (TryAcquire(bit, old)) return waiter.LockState = FdLock.Acquired;
                    continue;
                }
                if (((old + wait) & waits) == 0) throw Overflow("waiting operations");
                if (Interlocked.CompareExchange(ref _state, old + wait, old) != old) continue;
                waiter.LockState = FdLock.Queued;
                queues.Of(direction).Add(waiter);
                return FdLock.Queued;
            }
        }
    }

    // The lock bit and the reference stay in the word. They now belong to the next waiter.
    private PollWaiter? TryHandOver(Direction direction)
    {
        (_, long wait, long waits) = BitsOf(direction);
        Queues queues = QueuesHere();
        using (queues.Lock.Hold())
        {
            while (true)
            {
                long old = Volatile.Read(ref _state);
                if ((old & waits) == 0) return null;
                if (Interlocked.CompareExchange(ref _state, old - wait, old) == old) break;
            }
            PollWaiter first = queues.Of(direction).First
                ?? throw new InvalidOperationException($"FdMutex: {direction} counts a waiter, but its queue is empty.");
            queues.Of(direction).Remove(first);
            first.LockState = FdLock.Acquired;
            return first;
        }
    }

    private Queues QueuesHere()
    {
        if (Volatile.Read(ref _queues) is { } there) return there;
        Queues made = new();
        return Interlocked.CompareExchange(ref _queues, made, null) ?? made;
    }

    private static (long Bit, long Wait, long Waits) BitsOf(Direction direction) =>
        direction == Direction.Read ? (ReadLock, ReadWait, ReadWaits) : (WriteLock, WriteWait, WriteWaits);

    private static InvalidOperationException Overflow(string what) =>
        new($"too many concurrent {what} on a single descriptor; at most {(1 << 20) - 1} were expected.");

    private sealed class Queues
    {
        public readonly Lock Lock = new();

        // Guarded by the lock.
        private Queue _readers;
        private Queue _writers;

        public ref Queue Of(Direction direction) => ref direction == Direction.Read ? ref _readers : ref _writers;

        /// <summary>Empties both queues. Returns their waiters, which are Closed, in a linked list.</summary>
        public PollWaiter? SendOff()
        {
            using (Lock.Hold())
            {
                if (_readers.Last is { } last) last.Next = _writers.First;
                PollWaiter? all = _readers.First ?? _writers.First;
                _readers = _writers = default;
                for (PollWaiter? waiter = all; waiter is not null; waiter = waiter.Next)
                {
                    waiter.Previous = null;
                    waiter.LockState = FdLock.Closed;
                }
                return all;
            }
        }
    }

    /// <summary>A list that is linked through its waiters.</summary>
    private struct Queue
    {
        public PollWaiter? First;
        public PollWaiter? Last;

        public void Add(PollWaiter waiter)
        {
            waiter.Previous = Last;
            if (Last is null) First = waiter;
            else Last.Next = waiter;
            Last = waiter;
        }

        public void Remove(PollWaiter waiter)
        {
            if (waiter.Previous is null) First = waiter.Next;
            else waiter.Previous.Next = waiter.Next;
            if (waiter.Next is null) Last = waiter.Previous;
            else waiter.Next.Previous = waiter.Previous;
            waiter.Next = waiter.Previous = null;
        }
    }
}
