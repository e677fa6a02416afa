using Poller.Abstractions;

namespace Poller.Net;

// The twin of pollDesc in Go's runtime/netpoll.go: the state machine of one open descriptor.
//
// Each side, read or write, is in one of four states. Only atomic operations on the side's word change it:
//
//   from -> to                by
//   Nil -> Ready              readiness, while nobody waits
//   Ready -> Nil              a waiter consumes the readiness; Reset before an operation; Open, for the next descriptor
//   Nil -> Wait               a waiter announces itself
//   Wait -> Parked            it has found no close, no passed deadline and no cancellation, and parks
//   Wait -> Nil               it has found one of them, and does not park
//   Wait, Parked -> Ready     readiness; a parked waiter becomes runnable
//   Wait, Parked -> Nil       a deadline, a close or a cancellation; a parked waiter becomes runnable, and checks which it was
//
// Publish first, then look. Whoever closes, cancels or lets a deadline pass publishes that before it unblocks the side. A waiter announces
// itself (Wait) before it checks for these. Each of the two has a full fence between its write and its read, so at least one sees the
// other, and no wake-up is lost.
//
// The flags and the sequence number share one word, so an event of the descriptor's previous life cannot set a flag. A PollDesc is recycled
// and never freed. So a stale event that has already passed the check of the sequence number still finds an object. There it can do no more
// than wake a waiter, which then finds nothing.

/// <summary>What happened to a waiter that wanted to park.</summary>
internal enum PollPark
{
    /// <summary>It is parked. It may already be running on another thread.</summary>
    Parked,

    /// <summary>The side was ready. The waiter has consumed the readiness.</summary>
    Ready,

    /// <summary>It must not wait: a deadline, a close or a cancellation came first. <see cref="PollDesc.Check"/> says which.</summary>
    Unblocked,
}

/// <summary>
/// The poller's view of one open descriptor. FdMutex lets only one waiter at a time come to a side. Everything else is safe from any
/// thread.
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
    private const ulong ErrorPassesFlag = 64;
    private const int SequenceShift = 32;

    private struct Side
    {
        // Atomic.
        public int State;

        // The waiter writes it before Wait -> Parked. Whoever moves the side out of Parked reads it.
        public PollWaiter? Waiter;
    }

    // Constant from Open to Free, and -1 from then on. A descriptor has 32 bits; of a Windows handle only 32 bits matter.
    private int _fd;

    // Atomic: sequence:32 flags:32.
    private ulong _info;

    private Side _read;
    private Side _write;

    /// <summary>Its deadlines; null until one is set. Written under the timers' lock; constant from then until Free.</summary>
    public PollDeadlines? Deadlines { get; set; }

    /// <summary>Its place in the PollCache.</summary>
    public uint Slot { get; } = slot;

    public nint Fd => _fd;

    /// <summary>The token under which the descriptor is registered while it is open.</summary>
    public PollToken Token => new(Slot, (uint)(Volatile.Read(ref _info) >> SequenceShift));

    /// <summary>
    /// Whether the end, an error or urgent data was reported. If so, a short read no longer means that the socket is drained.
    /// </summary>
    public bool HangupSeen => (Volatile.Read(ref _info) & Hangup) != 0;

    /// <summary>Whether the desc was evicted, because its descriptor is closed or its loop has ended.</summary>
    public bool IsClosing => (Volatile.Read(ref _info) & ClosingFlag) != 0;

    /// <summary>Begins the life of a descriptor. No other thread uses the desc yet.</summary>
    public void Open(nint fd)
    {
        _fd = (int)fd;
        Volatile.Write(ref _read.State, Nil);
        Volatile.Write(ref _write.State, Nil);
    }

    /// <summary>
    /// Says that an error of this descriptor is over once a system call has returned it, so an event which reports only an error never
    /// means that the descriptor cannot be polled. Call it after <see cref="Open"/>; events may come meanwhile.
    /// </summary>
    public void LetErrorsPass()
    {
        Interlocked.Or(ref _info, ErrorPassesFlag);
        Interlocked.And(ref _info, ~EventError); // No event sets it after the first step.
    }

    /// <summary>Ends the life of a descriptor: from here on its events and flags have no effect.</summary>
    public void Free()
    {
        _fd = -1;
        _read.Waiter = null;
        _write.Waiter = null;
        Deadlines = null;
        uint sequence = (uint)(Volatile.Read(ref _info) >> SequenceShift) + 1;
        Volatile.Write(ref _info, (ulong)sequence << SequenceShift);
    }

    /// <summary>
    /// 0, or why nobody can wait in this <paramref name="direction"/>. The order of the checks is closing (or the poller failed), deadline,
    /// not pollable (reads only).
    /// </summary>
    public IoResult Check(Direction direction) => Reason(direction, Volatile.Read(ref _info));

    /// <summary>
    /// 0, or why no operation can begin in this <paramref name="direction"/>. An event that reports only an error is no reason: tcp_reset
    /// in the kernel sets a socket's error before its hang-up, so a poll may see the error alone. The operation tries, and its system call
    /// says what happened.
    /// </summary>
    public IoResult CheckBegin(Direction direction) => Reason(direction, Volatile.Read(ref _info) & ~EventError);

    /// <summary>
    /// Prepares an operation: clears the readiness that earlier ones left. The caller must try the operation before it waits; otherwise it
    /// loses an edge.
    /// </summary>
    public IoResult Reset(Direction direction)
    {
        IoResult reason = CheckBegin(direction);
        if (!reason.IsSuccess) return reason;

        // A full fence before the operation. Readiness that comes meanwhile does nothing if it finds the side Ready. If the operation's
        // loads could overtake our store, the operation might miss the new bytes, and the store would then erase their edge.
        ref int state = ref SideOf(direction).State;
        if (Volatile.Read(ref state) != Nil) Interlocked.Exchange(ref state, Nil);
        return reason;
    }

    /// <summary>Waits for readiness: consumes it if the side is ready, and parks the waiter if not.</summary>
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
                throw new InvalidOperationException($"fd {_fd}: two waiters in the {direction} side (state {old}); one was expected.");
            }
        }

        // We have announced the waiter; now look. This pairs with Evict, Expire and Cancel, whose reasons are published before they
        // unblock.
        if (Check(direction).IsSuccess && !waiter.IsCanceled)
        {
            side.Waiter = waiter;
            if (Interlocked.CompareExchange(ref side.State, Parked, Wait) == Wait) return PollPark.Parked;
        }
        return Consume(direction) ? PollPark.Ready : PollPark.Unblocked;
    }

    /// <summary>Ends the wait of a waiter that is runnable or did not park. True if the side was ready.</summary>
    public bool Consume(Direction direction)
    {
        ref Side side = ref SideOf(direction);
        side.Waiter = null;
        int old = Interlocked.Exchange(ref side.State, Nil);
        if (old == Parked) throw new InvalidOperationException($"fd {_fd}: the waiter of the {direction} side runs while it is Parked.");
        return old == Ready;
    }

    /// <summary>
    /// Applies an event. Returns the waiters that are runnable now, and in <paramref name="isFirstHangup"/> whether it is the first of the
    /// descriptor that reports a hang-up: then whoever watches for it must run (<see cref="PollCache.TakeHangupWatch"/>). Drops an event of
    /// another life.
    /// </summary>
    public void Notify(PollEvent found, out PollWaiter? reader, out PollWaiter? writer, out bool isFirstHangup)
    {
        reader = writer = null;
        isFirstHangup = false;
        PollReadiness readiness = found.Readiness;
        while (true)
        {
            ulong info = Volatile.Read(ref _info);
            if ((uint)(info >> SequenceShift) != found.Token.Sequence) return;

            // The hang-up flag stays set, because its edge comes once. We set it before the side becomes Ready, so that the waiter which
            // consumes this readiness sees it.
            ulong next = (readiness & PollReadiness.ReadHangup) != 0 ? info | Hangup : info;
            isFirstHangup = next != info;
            bool isError = (readiness & PollReadiness.Error) != 0 && (info & ErrorPassesFlag) == 0;
            next = isError ? next | EventError : next & ~EventError;
            if (next == info || Interlocked.CompareExchange(ref _info, next, info) == info) break;
        }
        if ((readiness & PollReadiness.Readable) != 0) reader = Unblock(Direction.Read, Ready);
        if ((readiness & PollReadiness.Writable) != 0) writer = Unblock(Direction.Write, Ready);
    }

    /// <summary>
    /// Closes: no new wait begins, and those under way end. Returns the waiters that are runnable now. The caller holds the timers' lock.
    /// </summary>
    public void Evict(out PollWaiter? reader, out PollWaiter? writer)
    {
        Interlocked.Or(ref _info, ClosingFlag);
        reader = Unblock(Direction.Read, Nil);
        writer = Unblock(Direction.Write, Nil);
    }

    /// <summary>Notes that the backend failed, before <see cref="Evict"/> closes the desc for that reason. Safe from any thread.</summary>
    public void MarkFailed() => Interlocked.Or(ref _info, FailedFlag);

    /// <summary>
    /// Marks the deadline of one direction as passed, and ends its wait. Returns the waiter if it is runnable now. The caller holds the
    /// timers' lock.
    /// </summary>
    public PollWaiter? Expire(Direction direction)
    {
        Interlocked.Or(ref _info, direction == Direction.Read ? ReadExpired : WriteExpired);
        return Unblock(direction, Nil);
    }

    /// <summary>Undoes <see cref="Expire"/>, when the deadline is moved or cleared. The caller holds the timers' lock.</summary>
    public void Unexpire(Direction direction) => Interlocked.And(ref _info, ~(direction == Direction.Read ? ReadExpired : WriteExpired));

    /// <summary>
    /// Ends the wait of a waiter that was cancelled. The caller has published that on the waiter. Returns the waiter if it is runnable now.
    /// </summary>
    public PollWaiter? Cancel(Direction direction) => Unblock(direction, Nil);

    /// <summary>
    /// Makes a side ready that the backend does not report. The caller holds a reference to the descriptor. Returns the waiter if it is
    /// runnable now.
    /// </summary>
    public PollWaiter? MakeReady(Direction direction) => Unblock(direction, Ready);

    private static IoResult Reason(Direction direction, ulong info)
    {
        if ((info & (ClosingFlag | ReadExpired | WriteExpired | EventError)) == 0) return 0;
        if ((info & ClosingFlag) != 0) return (info & FailedFlag) != 0 ? IoResult.PollerFailed : IoResult.Closing;
        if ((info & (direction == Direction.Read ? ReadExpired : WriteExpired)) != 0) return IoResult.Timeout;
        return direction == Direction.Read && (info & EventError) != 0 ? IoResult.NotPollable : 0;
    }

    private PollWaiter? Unblock(Direction direction, int to)
    {
        ref Side side = ref SideOf(direction);
        while (true)
        {
            int old = Volatile.Read(ref side.State);
            if (old == Ready) return null; // Readiness survives a deadline and a close.
            if (old == Nil && to == Nil) return null;

            // A waiter that has announced itself and not parked yet finds the new state when it tries to park.
            if (Interlocked.CompareExchange(ref side.State, to, old) == old) return old == Parked ? side.Waiter : null;
        }
    }

    private ref Side SideOf(Direction direction) => ref direction == Direction.Read ? ref _read : ref _write;
}
