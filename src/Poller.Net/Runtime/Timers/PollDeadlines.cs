using Poller.Abstractions;

namespace Poller.Net;

// The twin of rd and wd of pollDesc in Go's runtime/netpoll.go. They are not in the PollDesc, for two reasons. Most idle descriptors have
// none. And a PollDesc is recycled, so a caller needs a reference to the descriptor before it may change the PollDesc. A PollDeadlines
// belongs to one descriptor for ever, so one compare-and-swap can prolong it without such a reference.
//
// A direction has two limits: the deadline that the user set, and the time-out of the operation under way. The earlier of the two holds.
// Each limit is in one of three states: None, a time, or Past.
//
//   from -> to                      by
//   None, a time, Past -> a time    it is set; under the timers' lock
//   None, a time, Past -> Past      the user sets a deadline that is not ahead; under the lock. A time-out is never set to Past.
//   a time -> a later time          it is prolonged; by compare-and-swap, without the lock
//   a time -> Past                  it passed; by compare-and-swap under the lock, so it is either prolonged or passed
//   any -> None                     it is cleared, or the descriptor is closed; under the lock
//
// The user sets the deadline. An operation sets the time-out when it starts, while it holds the lock of its direction, and does not clear
// it when it ends. So a stale time-out may pass while nobody waits. The next operation sets or clears it before it looks.
//
// Two things hold whenever the timers' lock is free:
//
//   - The side of the PollDesc is expired exactly if one of its two limits is Past (or the descriptor is closed).
//   - The direction's timer fires no later than each of its limits that is a time. Both limits share this timer, which looks at both when it
//     fires. Prolonging a limit keeps this true, so it needs no lock.

/// <summary>The deadlines and time-outs of one descriptor. It is created when the first of them is set.</summary>
internal sealed class PollDeadlines(PollDesc desc)
{
    /// <summary>No deadline.</summary>
    public const long None = 0;

    /// <summary>A deadline that has passed.</summary>
    public const long Past = 1;

    private struct Side
    {
        // Atomic. A time in ns of the loop's clock, None or Past.
        public long Deadline;
        public long Timeout;

        // Guarded by the timers' lock: the index of the side's timer in the heap, plus one.
        public int TimerIndex;

        // Guarded by the lock of the direction: how long the time-out was, in ms.
        public int TimeoutLength;
    }

    private Side _read;
    private Side _write;

    /// <summary>The desc of their descriptor. Valid under the timers' lock while the descriptor is open.</summary>
    public PollDesc Desc => desc;

    /// <summary>The user's deadline of a direction: a time, <see cref="None"/> or <see cref="Past"/>.</summary>
    public long DeadlineOf(Direction direction) => Volatile.Read(ref SideOf(direction).Deadline);

    /// <summary>The time-out of the last operation of a direction: a time, <see cref="None"/> or <see cref="Past"/>.</summary>
    public long TimeoutOf(Direction direction) => Volatile.Read(ref SideOf(direction).Timeout);

    /// <summary>
    /// Moves the deadlines that <paramref name="mode"/> names to a later time, by at most <paramref name="atMost"/> ns. False if one of
    /// them is not a time, or would move otherwise; the caller must then set them.
    /// </summary>
    public bool TryProlong(PollMode mode, long when, long atMost = long.MaxValue) =>
        ((mode & PollMode.Read) == 0 || TryProlong(ref _read.Deadline, when, atMost))
        && ((mode & PollMode.Write) == 0 || TryProlong(ref _write.Deadline, when, atMost));

    /// <summary>Moves a time-out to a later time. False if it is not a time, or is later already; the caller must then set it.</summary>
    public bool TryProlongTimeout(Direction direction, long when) => TryProlong(ref SideOf(direction).Timeout, when, long.MaxValue);

    /// <summary>Sets the user's deadline of one direction. The caller holds the timers' lock.</summary>
    public void SetDeadline(Direction direction, long when) => Volatile.Write(ref SideOf(direction).Deadline, when);

    /// <summary>Sets the time-out of one direction's operation. The caller holds the timers' lock.</summary>
    public void SetTimeout(Direction direction, long when) => Volatile.Write(ref SideOf(direction).Timeout, when);

    /// <summary>Whether the direction's deadline or its time-out has passed. The caller holds the timers' lock.</summary>
    public bool HasPassed(Direction direction) => DeadlineOf(direction) == Past || TimeoutOf(direction) == Past;

    /// <summary>
    /// Marks the limits that are due at <paramref name="now"/> as passed. True if there are any. <paramref name="next"/> is when the
    /// direction's timer must fire again, or <see cref="PollTimers.Never"/>. The caller holds the timers' lock.
    /// </summary>
    public bool Pass(Direction direction, long now, out long next)
    {
        next = PollTimers.Never;
        ref Side side = ref SideOf(direction);
        return Pass(ref side.Deadline, now, ref next) | Pass(ref side.Timeout, now, ref next);
    }

    /// <summary>The index of the direction's timer in the heap, plus one; 0 if it has none. The caller holds the timers' lock.</summary>
    public ref int TimerIndexOf(Direction direction) => ref SideOf(direction).TimerIndex;

    /// <summary>How long the time-out of the last operation of a direction was, in ms. The caller holds the direction's lock.</summary>
    public ref int TimeoutLengthOf(Direction direction) => ref SideOf(direction).TimeoutLength;

    private static bool TryProlong(ref long limit, long when, long atMost)
    {
        long old = Volatile.Read(ref limit);
        return old > Past && when >= old && when - old <= atMost && Interlocked.CompareExchange(ref limit, when, old) == old;
    }

    private static bool Pass(ref long limit, long now, ref long next)
    {
        while (true)
        {
            long when = Volatile.Read(ref limit);
            if (when <= Past) return false;
            if (when > now)
            {
                next = Math.Min(next, when);
                return false;
            }
            if (Interlocked.CompareExchange(ref limit, Past, when) == when) return true;
        }
    }

    private ref Side SideOf(Direction direction) => ref direction == Direction.Read ? ref _read : ref _write;
}
