using Poller.Abstractions;

namespace Poller.Net;

// The rd and wd of pollDesc in Go's runtime/netpoll.go. They are no part of the PollDesc, for two reasons: most descriptors that idle have
// none; and a PollDesc is recycled, so that whoever changes it needs a reference to the descriptor first. These are one descriptor's for
// ever, and can be prolonged by one compare-and-swap.
//
// A direction has two ends: the deadline that the user set, and the time-out of the operation that is under way. The earlier holds. Each is
// in one of three states:
//
//   None      -> a time, Past    set, under the lock of the timers; a time-out is never set to Past
//   a time    -> a later time    prolonged, by compare-and-swap without the lock
//   a time    -> Past            it passed: by compare-and-swap under the lock, so that it is either prolonged or passed
//   any       -> None            cleared, or the descriptor is closed; under the lock
//   Past      -> a time          set, under the lock
//
// The user sets the deadline. An operation sets the time-out as it begins, while it holds the lock of its direction, and leaves it when
// it ends. So a stale time-out may pass while nobody waits: the next operation sets a new one, or clears it, before it looks.
//
// Two things hold whenever the lock of the timers is free:
//
//   - The side of the PollDesc is expired exactly if one of its two ends is Past (or the descriptor is closed).
//   - The direction has a timer that fires no later than either end that is a time. It has one timer for both, and looks at both when it
//     fires. Prolonging an end leaves it true, and so needs no lock.

/// <summary>The deadlines and time-outs of one descriptor, made with the first that is set.</summary>
internal sealed class PollDeadlines(PollDesc desc)
{
    /// <summary>No deadline.</summary>
    public const long None = 0;

    /// <summary>A deadline that has passed.</summary>
    public const long Past = 1;

    private struct Side
    {
        // Atomic. In ns of the loop's clock, or None or Past.
        public long Deadline;
        public long Timeout;

        // Guarded by the lock of the timers: where in the heap the side's timer stands, plus one.
        public int TimerIndex;
    }

    private Side _read;
    private Side _write;

    /// <summary>Whose they are, for as long as a timer stands for one of them.</summary>
    public PollDesc Desc => desc;

    /// <summary>The user's deadline of a direction: a time, <see cref="None"/> or <see cref="Past"/>.</summary>
    public long DeadlineOf(PollMode mode) => Volatile.Read(ref SideOf(mode).Deadline);

    /// <summary>The time-out of the last operation of a direction: a time, <see cref="None"/> or <see cref="Past"/>.</summary>
    public long TimeoutOf(PollMode mode) => Volatile.Read(ref SideOf(mode).Timeout);

    /// <summary>
    /// Moves the deadlines that <paramref name="mode"/> names, and that have yet to pass, to a later time: later by
    /// <paramref name="atMost"/> ns. False when they are to be set instead.
    /// </summary>
    public bool TryProlong(PollMode mode, long when, long atMost = long.MaxValue) =>
        ((mode & PollMode.Read) == 0 || TryProlong(ref _read.Deadline, when, atMost))
        && ((mode & PollMode.Write) == 0 || TryProlong(ref _write.Deadline, when, atMost));

    /// <summary>Moves a time-out that has yet to pass to a later time. False when it is to be set instead.</summary>
    public bool TryProlongTimeout(PollMode mode, long when) => TryProlong(ref SideOf(mode).Timeout, when, long.MaxValue);

    /// <summary>Under the lock.</summary>
    public void SetDeadline(PollMode mode, long when) => Volatile.Write(ref SideOf(mode).Deadline, when);

    /// <summary>Under the lock.</summary>
    public void SetTimeout(PollMode mode, long when) => Volatile.Write(ref SideOf(mode).Timeout, when);

    /// <summary>Whether the direction's deadline or its time-out has passed. Under the lock.</summary>
    public bool HasPassed(PollMode mode) => DeadlineOf(mode) == Past || TimeoutOf(mode) == Past;

    /// <summary>
    /// Marks what is due at <paramref name="now"/> as passed. True if anything is. <paramref name="next"/> is when the direction's timer is
    /// to fire again, or <see cref="PollTimers.Never"/>. Under the lock.
    /// </summary>
    public bool Pass(PollMode mode, long now, out long next)
    {
        next = PollTimers.Never;
        ref Side side = ref SideOf(mode);
        return Pass(ref side.Deadline, now, ref next) | Pass(ref side.Timeout, now, ref next);
    }

    /// <summary>Where the direction's timer stands in the heap, plus one; 0 is nowhere. Under the lock.</summary>
    public ref int TimerIndexOf(PollMode mode) => ref SideOf(mode).TimerIndex;

    private static bool TryProlong(ref long end, long when, long atMost)
    {
        long old = Volatile.Read(ref end);
        return old > Past && when >= old && when - old <= atMost && Interlocked.CompareExchange(ref end, when, old) == old;
    }

    private static bool Pass(ref long end, long now, ref long next)
    {
        while (true)
        {
            long when = Volatile.Read(ref end);
            if (when <= Past) return false;
            if (when > now)
            {
                next = Math.Min(next, when);
                return false;
            }
            if (Interlocked.CompareExchange(ref end, Past, when) == when) return true;
        }
    }

    private ref Side SideOf(PollMode mode) => ref mode == PollMode.Read ? ref _read : ref _write;
}
