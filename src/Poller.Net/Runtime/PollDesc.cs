using Poller.Abstractions;

namespace Poller.Net;

// The twin of pollDesc in Go's runtime/netpoll.go: the state machine of one open descriptor.
//
// Each side, read and write, is in one of four states, changed by compare-and-swap alone:
//
//   Nil    -> Ready           readiness, nobody waiting
//   Ready  -> Nil             a waiter consumes it; Reset before a read; Open
//   Nil    -> Wait -> Parked  a waiter announces itself, re-checks closing and deadline, parks
//   Wait, Parked -> Ready     readiness; a parked waiter becomes runnable
//   Wait, Parked -> Nil       deadline, close or cancellation; a parked waiter becomes runnable and re-checks why
//
// Publish first, then look. Closing, an expired deadline or a cancellation is published before the side is unblocked; a waiter announces
// itself (Wait) before it checks for them. Each half has a full fence between its write and its read, so one of the two sees the other, and
// no wake-up is lost.
//
// The flags and the sequence number share one word, so that an event of the descriptor's previous life can set none of them.
// A PollDesc is never freed but recycled: a stale event that is past the check of the sequence number finds an object, and all it
// can do there is wake a waiter that then finds nothing.

/// <summary>What became of a waiter that wanted to park.</summary>
internal enum PollPark
{
    /// <summary>It is parked, and may be running elsewhere by now.</summary>
    Parked,

    /// <summary>The side is ready; the readiness is consumed.</summary>
    Ready,

    /// <summary>It is not to wait: a deadline, a close or a cancellation came first. <see cref="PollDesc.Check"/> says which.</summary>
    Unblocked,
}

/// <summary>
/// One open descriptor as the poller sees it. One waiter a side, which FdMutex sees to; all else is safe from any thread.
/// </summary>
internal sealed class PollDesc(uint slot)
{
    private const int Nil = 0;
    private const int Ready = 1;
    private const int Wait = 2;
    private const int Parked = 3;

    private const ulong ClosingFlag = 1;
    private const ulong ReadExpired = 2;
    private const ulong WriteExpired = 4;
    private const ulong EventError = 8;
    private const ulong Hangup = 16;
    private const ulong FailedFlag = 32;
    private const int SequenceShift = 32;

    private struct Side
    {
        // Atomic.
        public int State;

        // Written by the waiter before Wait -> Parked, read by whoever moves the side out of Parked.
        public PollWaiter? Waiter;
    }

    // Constant from Open to Free. A descriptor has 32 bits, and so have those of a Windows handle that matter.
    private int _fd;

    // Atomic: sequence:32 flags:32.
    private ulong _info;

    private Side _read;
    private Side _write;

    /// <summary>Its deadlines; null before the first is set. Written under the timers' lock, from Open to Free.</summary>
    public PollDeadlines? Deadlines { get; set; }

    /// <summary>Where the PollCache keeps it.</summary>
    public uint Slot { get; } = slot;

    public nint Fd => _fd;

    /// <summary>What the descriptor is registered under, for as long as it is open.</summary>
    public PollToken Token => new(Slot, (uint)(Volatile.Read(ref _info) >> SequenceShift));

    /// <summary>Whether an end, an error or urgent data was reported: a short read no longer means that the socket is drained.</summary>
    public bool HangupSeen => (Volatile.Read(ref _info) & Hangup) != 0;

    /// <summary>Begins the life of a descriptor. The desc is the caller's alone.</summary>
    public void Open(nint fd)
    {
        _fd = (int)fd;
        Volatile.Write(ref _read.State, Nil);
        Volatile.Write(ref _write.State, Nil);
    }

    /// <summary>Ends it: every event and flag of this life is void from here on.</summary>
    public void Free()
    {
        _read.Waiter = null;
        _write.Waiter = null;
        Deadlines = null;
        uint sequence = (uint)(Volatile.Read(ref _info) >> SequenceShift) + 1;
        Volatile.Write(ref _info, (ulong)sequence << SequenceShift);
    }

    /// <summary>0, or why <paramref name="direction"/> cannot be waited for: closing, then deadline, then not pollable (reads only).</summary>
    public IoResult Check(Direction direction)
    {
        ulong info = Volatile.Read(ref _info);
        if ((info & (ClosingFlag | ReadExpired | WriteExpired | EventError)) == 0) return 0;
        if ((info & ClosingFlag) != 0) return (info & FailedFlag) != 0 ? IoResult.PollerFailed : IoResult.Closing;
        if ((info & (direction == Direction.Read ? ReadExpired : WriteExpired)) != 0) return IoResult.Timeout;
        return direction == Direction.Read && (info & EventError) != 0 ? IoResult.NotPollable : 0;
    }

    /// <summary>
    /// Prepares an operation: forgets the readiness that earlier ones left. The operation is to be tried before the wait, or an edge is
    /// lost.
    /// </summary>
    public IoResult Reset(Direction direction)
    {
        IoResult reason = Check(direction);
        if (!reason.IsSuccess) return reason;

        // A full fence before the operation: readiness that comes meanwhile leaves a side alone that is still Ready, and a store that the
        // operation's own loads had overtaken would take its edge away.
        ref int state = ref SideOf(direction).State;
        if (Volatile.Read(ref state) != Nil) Interlocked.Exchange(ref state, Nil);
        return reason;
    }

    /// <summary>Waits for readiness: consumes it where it is there, parks the waiter where it is not.</summary>
    public PollPark Park(Direction direction, PollWaiter waiter)
    {
        ref Side side = ref SideOf(direction);
        while (true)
        {
            int old = Interlocked.CompareExchange(ref side.State, Wait, Nil);
            if (old == Nil) break;
            if (old == Ready && Interlocked.CompareExchange(ref side.State, Nil, Ready) == Ready) return PollPark.Ready;
            if (old != Ready)
            {
                throw new InvalidOperationException($"fd {_fd}: a second waiter came to the {direction} side; one was expected (state {old}).");
            }
        }

        // Announced; now look. Pairs with Evict, Expire and Unblock, which publish before they unblock.
        if (Check(direction).IsSuccess && !waiter.IsCanceled)
        {
            side.Waiter = waiter;
            if (Interlocked.CompareExchange(ref side.State, Parked, Wait) == Wait) return PollPark.Parked;
        }
        return Consume(direction) ? PollPark.Ready : PollPark.Unblocked;
    }

    /// <summary>Ends a wait, for a waiter that was made runnable: true when by readiness.</summary>
    public bool Consume(Direction direction)
    {
        ref Side side = ref SideOf(direction);
        side.Waiter = null;
        int old = Interlocked.Exchange(ref side.State, Nil);
        if (old == Parked) throw new InvalidOperationException($"fd {_fd}: the {direction} side was parked and its waiter ran all the same.");
        return old == Ready;
    }

    /// <summary>Takes in what a poll found. Returns who is runnable now; an event of another life is dropped.</summary>
    public void Notify(PollEvent found, out PollWaiter? reader, out PollWaiter? writer)
    {
        reader = writer = null;
        PollReadiness readiness = found.Readiness;
        while (true)
        {
            ulong info = Volatile.Read(ref _info);
            if ((uint)(info >> SequenceShift) != found.Token.Sequence) return;

            // The hang-up stays: its edge comes once. It is set before the side is ready, so that whoever consumes that readiness knows.
            ulong next = (readiness & PollReadiness.ReadHangup) != 0 ? info | Hangup : info;
            next = (readiness & PollReadiness.Error) != 0 ? next | EventError : next & ~EventError;
            if (next == info || Interlocked.CompareExchange(ref _info, next, info) == info) break;
        }
        if ((readiness & PollReadiness.Readable) != 0) reader = Unblock(Direction.Read, Ready);
        if ((readiness & PollReadiness.Writable) != 0) writer = Unblock(Direction.Write, Ready);
    }

    /// <summary>Closes: no wait begins any more, and those that last end. Returns who is runnable. Under the timers' lock.</summary>
    public void Evict(out PollWaiter? reader, out PollWaiter? writer)
    {
        Interlocked.Or(ref _info, ClosingFlag);
        reader = Unblock(Direction.Read, Nil);
        writer = Unblock(Direction.Write, Nil);
    }

    /// <summary>Says why <see cref="Evict"/> is about to close it: the backend failed. From any thread.</summary>
    public void MarkFailed() => Interlocked.Or(ref _info, FailedFlag);

    /// <summary>
    /// Marks the deadline of one direction as passed, and ends its wait. Returns who is runnable. Under the timers' lock.
    /// </summary>
    public PollWaiter? Expire(Direction direction)
    {
        Interlocked.Or(ref _info, direction == Direction.Read ? ReadExpired : WriteExpired);
        return Unblock(direction, Nil);
    }

    /// <summary>Takes back <see cref="Expire"/>: the deadline was moved or cleared. Under the timers' lock.</summary>
    public void Unexpire(Direction direction) => Interlocked.And(ref _info, ~(direction == Direction.Read ? ReadExpired : WriteExpired));

    /// <summary>
    /// Ends the wait of a waiter that was cancelled, which is published on the waiter itself. Returns it when it is runnable.
    /// </summary>
    public PollWaiter? Cancel(Direction direction) => Unblock(direction, Nil);

    private PollWaiter? Unblock(Direction direction, int to)
    {
        ref Side side = ref SideOf(direction);
        while (true)
        {
            int old = Volatile.Read(ref side.State);
            if (old == Ready) return null; // Readiness outlives a deadline and a close.
            if (old == Nil && to == Nil) return null;

            // A waiter that has only announced itself finds the new state when it wants to park.
            if (Interlocked.CompareExchange(ref side.State, to, old) == old) return old == Parked ? side.Waiter : null;
        }
    }

    private ref Side SideOf(Direction direction) => ref direction == Direction.Read ? ref _read : ref _write;
}
