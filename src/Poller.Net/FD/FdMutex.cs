using Poller.Abstractions;

namespace Poller.Net;

// The twin of Go's internal/poll/fd_mutex.go.
//
// One 64-bit word holds all there is to know: closed:1 rlock:1 wlock:1 refs:20 rwait:20 wwait:20. One reader and one writer at a time,
// any number of other operations; each holds a reference. Close sets a bit that no later operation passes, and wakes those that queue
// for a lock. Whoever drops the last reference of a closed descriptor is told so, and destroys it: once, and after its last use.

/// <summary>What one attempt at a lock came to.</summary>
internal enum FdLock
{
    /// <summary>The lock and a reference are held.</summary>
    Acquired,

    /// <summary>The lock is another's; the caller is counted as waiting and is to take a permit of the side's semaphore before it tries again.</summary>
    Queued,

    /// <summary>The descriptor is closed.</summary>
    Closed,
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

    // Made by whoever needs one first: almost no descriptor has two readers.
    private SemaphoreSlim? _readers;
    private SemaphoreSlim? _writers;

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

    /// <summary>Closes the descriptor, takes a reference and sends off all who queue for a lock. False when it was closed already.</summary>
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

            int readers = (int)((old & ReadWaits) / ReadWait);
            int writers = (int)((old & WriteWaits) / WriteWait);
            if (readers > 0) Semaphore(PollMode.Read).Release(readers);
            if (writers > 0) Semaphore(PollMode.Write).Release(writers);
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

    /// <summary>Tries once to take the lock of one direction, and a reference; queues the caller when it is taken.</summary>
    public FdLock TryLock(PollMode mode)
    {
        (long bit, long wait, long waits) = BitsOf(mode);
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & ClosedBit) != 0) return FdLock.Closed;
            bool free = (old & bit) == 0;
            long next = free ? (old | bit) + Reference : old + wait;
            if ((next & (free ? References : waits)) == 0) throw Overflow(free ? "operations" : "waiting operations");
            if (Interlocked.CompareExchange(ref _state, next, old) == old) return free ? FdLock.Acquired : FdLock.Queued;
        }
    }

    /// <summary>Gives back a lock and its reference, and lets one who queues for it try. True when the caller is to destroy the descriptor.</summary>
    public bool Unlock(PollMode mode)
    {
        (long bit, long wait, long waits) = BitsOf(mode);
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & bit) == 0 || (old & References) == 0) throw new InvalidOperationException($"FdMutex: {mode} was unlocked that nobody had locked.");
            bool queued = (old & waits) != 0;
            long next = (old & ~bit) - Reference - (queued ? wait : 0);
            if (Interlocked.CompareExchange(ref _state, next, old) != old) continue;
            if (queued) Semaphore(mode).Release();
            return (next & (ClosedBit | References)) == ClosedBit;
        }
    }

    /// <summary>
    /// Takes a queued caller that gave up off the count. Those who wait are interchangeable: the place given up need not be its own. False when it was taken off already: a permit of the semaphore is on
    /// its way to it, and it has to take that permit first.
    /// </summary>
    public bool TryLeaveQueue(PollMode mode)
    {
        (_, long wait, long waits) = BitsOf(mode);
        while (true)
        {
            long old = Volatile.Read(ref _state);
            if ((old & waits) == 0) return false;
            if (Interlocked.CompareExchange(ref _state, old - wait, old) == old) return true;
        }
    }

    /// <summary>Where the queued callers of one direction wait.</summary>
    public SemaphoreSlim Semaphore(PollMode mode)
    {
        ref SemaphoreSlim? semaphore = ref mode == PollMode.Read ? ref _readers : ref _writers;
        return Volatile.Read(ref semaphore) ?? Make(ref semaphore);

        static SemaphoreSlim Make(ref SemaphoreSlim? semaphore)
        {
            SemaphoreSlim made = new(0);
            return Interlocked.CompareExchange(ref semaphore, made, null) ?? made;
        }
    }

    private static (long Bit, long Wait, long Waits) BitsOf(PollMode mode) =>
        mode == PollMode.Read ? (ReadLock, ReadWait, ReadWaits) : (WriteLock, WriteWait, WriteWaits);

    private static InvalidOperationException Overflow(string what) =>
        new($"too many concurrent {what} on a single descriptor; at most {(1 << 20) - 1} were expected.");
}
