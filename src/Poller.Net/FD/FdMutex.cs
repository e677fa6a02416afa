namespace Poller.Net;

// The twin of Go's internal/poll/fd_mutex.go.
//
// One 64-bit word holds all there is to know: closed:1 rlock:1 wlock:1 refs:20 rwait:20 wwait:20. One reader and one writer at a time,
// any number of other operations; each holds a reference. Close sets a bit that no later operation passes, and sends off those that queue
// for a lock. Whoever drops the last reference of a closed descriptor is told so, and destroys it: once, and after its last use.
//
//   open, unlocked       -> locked, refs + 1      TryLock, LockOrQueue
//   open, locked         -> waits + 1             LockOrQueue, under the lock of the queues: the waiter is Queued
//   locked, waits > 0    -> waits - 1             Unlock, under the same lock: lock and reference are the next one's, who is Acquired
//   locked, waits = 0    -> unlocked, refs - 1    Unlock
//   waits > 0            -> waits - 1             TryLeaveQueue, under the same lock: the waiter is Left
//   open                 -> closed, waits = 0     IncrefAndClose; then, under the same lock, all who queue are Closed
//
// Go lets whoever comes next have a lock that is given back, and those who queue try again. Here the lock and its reference are handed to
// the one who queues longest: a continuation that writes again at once would else overtake the queue for ever, and writes that nobody
// awaits would change places.
//
// Nobody runs in here. Who is runnable by a call is returned, and the caller hands it to the loop: so no continuation runs on the stack of
// one who unlocks, closes or cancels.

/// <summary>What a try at a lock, or a wait for it, came to.</summary>
internal enum FdLock : byte
{
    /// <summary>The lock and a reference are held.</summary>
    Acquired,

    /// <summary>The lock is another's.</summary>
    Busy,

    /// <summary>The lock is another's; the waiter queues for it.</summary>
    Queued,

    /// <summary>The waiter gave up and left the queue. It holds nothing.</summary>
    Left,

    /// <summary>The descriptor is closed. The waiter holds nothing.</summary>
    Closed,
}

/// <summary>Serialises access to a descriptor and counts its users. Safe from any thread; must not be copied.</summary>
/// <remarks>
/// Calls come in pairs. <see cref="Incref"/> that returned true, and <see cref="IncrefAndClose"/> that did, by <see cref="Decref"/>. A lock
/// that is <see cref="FdLock.Acquired"/>, at once or after a wait, by <see cref="Unlock"/>. Whoever is told by one of the second calls to
/// destroy the descriptor does so; nobody uses it any more.
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
    /// Closes the descriptor, takes a reference and sends off all who queue for a lock: they are runnable, linked, and hold nothing. False
    /// when it was closed already.
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

    /// <summary>Takes the lock of one direction, and a reference, where it is free: <see cref="FdLock.Busy"/> where it is not.</summary>
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
    /// Takes the lock of one direction, and a reference, or queues the waiter for them: one who is <see cref="FdLock.Queued"/> is runnable
    /// once, when its <see cref="PollWaiter.Lock"/> says what came of it.
    /// </summary>
    public FdLock LockOrQueue(Direction direction, PollWaiter waiter)
    {
        FdLock found = TryLock(direction);
        if (found == FdLock.Busy) return Enqueue(direction, waiter);
        waiter.Lock = found;
        return found;
    }

    /// <summary>
    /// Gives back a lock and its reference, or hands both to the one who queues longest, who is runnable then. True when the caller is to
    /// destroy the descriptor.
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
                throw new InvalidOperationException($"FdMutex: {direction} was unlocked that nobody had locked.");
            }
            if ((old & waits) != 0)
            {
                runnable = TryHandOver(direction);
                if (runnable is not null) return false;
                continue; // Those who queued have left, or were sent off.
            }
            long next = (old & ~bit) - Reference;
            if (Interlocked.CompareExchange(ref _state, next, old) == old) return (next & (ClosedBit | References)) == ClosedBit;
        }
    }

    /// <summary>
    /// Takes one who gives up out of the queue: it is runnable, by the caller's hand, and holds nothing. False when it does not queue, or
    /// was made runnable already.
    /// </summary>
    public bool TryLeaveQueue(Direction direction, PollWaiter waiter)
    {
        // Without queues nobody has queued, and one who is about to looks after it whether it was to give up (PollOp.Start).
        if (Volatile.Read(ref _queues) is not { } queues) return false;
        (_, long wait, _) = BitsOf(direction);
        lock (queues.Lock)
        {
            if (waiter.Lock != FdLock.Queued) return false;
            queues.Of(direction).Remove(waiter);
            waiter.Lock = FdLock.Left;
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

    private FdLock Enqueue(Direction direction, PollWaiter waiter)
    {
        (long bit, long wait, long waits) = BitsOf(direction);
        Queues queues = QueuesHere();
        lock (queues.Lock)
        {
            while (true)
            {
                long old = Volatile.Read(ref _state);
                if ((old & ClosedBit) != 0) return waiter.Lock = FdLock.Closed;
                if ((old & bit) == 0)
                {
                    if (TryAcquire(bit, old)) return waiter.Lock = FdLock.Acquired;
                    continue;
                }
                if (((old + wait) & waits) == 0) throw Overflow("waiting operations");
                if (Interlocked.CompareExchange(ref _state, old + wait, old) != old) continue;
                waiter.Lock = FdLock.Queued;
                queues.Of(direction).Add(waiter);
                return FdLock.Queued;
            }
        }
    }

    // The lock bit and the reference stay as they are: they change hands.
    private PollWaiter? TryHandOver(Direction direction)
    {
        (_, long wait, long waits) = BitsOf(direction);
        Queues queues = QueuesHere();
        lock (queues.Lock)
        {
            while (true)
            {
                long old = Volatile.Read(ref _state);
                if ((old & waits) == 0) return null;
                if (Interlocked.CompareExchange(ref _state, old - wait, old) == old) break;
            }
            PollWaiter first = queues.Of(direction).First
                ?? throw new InvalidOperationException($"FdMutex: {direction} counts one who queues, and nobody does.");
            queues.Of(direction).Remove(first);
            first.Lock = FdLock.Acquired;
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

        /// <summary>Empties both; those who queued are Closed, linked.</summary>
        public PollWaiter? SendOff()
        {
            lock (Lock)
            {
                if (_readers.Last is { } last) last.Next = _writers.First;
                PollWaiter? all = _readers.First ?? _writers.First;
                _readers = _writers = default;
                for (PollWaiter? waiter = all; waiter is not null; waiter = waiter.Next)
                {
                    waiter.Previous = null;
                    waiter.Lock = FdLock.Closed;
                }
                return all;
            }
        }
    }

    /// <summary>Linked through the waiters.</summary>
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
