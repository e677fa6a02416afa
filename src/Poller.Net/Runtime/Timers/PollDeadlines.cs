using Poller.Abstractions;

namespace Poller.Net;

// The rd and wd of pollDesc in Go's runtime/netpoll.go. They are no part of the PollDesc, for two reasons: most descriptors that idle have
// none; and a PollDesc is recycled, so that whoever changes it needs a reference to the descriptor first. These are one descriptor's for
// ever, and can be prolonged by one compare-and-swap.
//
// A direction's deadline is in one of three states:
//
//   None      -> a time, Past    set, under the lock of the timers
//   a time    -> a later time    prolonged, by compare-and-swap without the lock: the timer is armed for an earlier time, and looks
//   a time    -> Past            it passed: by compare-and-swap under the lock, so that it is either prolonged or passed
//   any       -> None            cleared, or the descriptor is closed; under the lock

/// <summary>The deadlines of one descriptor, made with the first that is set.</summary>
internal sealed class PollDeadlines(PollDesc desc)
{
    /// <summary>No deadline.</summary>
    public const long None = 0;

    /// <summary>A deadline that has passed.</summary>
    public const long Past = 1;

    private struct Side
    {
        // Atomic. In ns of the clock of the loop's timers.
        public long When;

        // Guarded by the lock of the timers: where in the heap the side's timer stands, plus one.
        public int TimerIndex;
    }

    private Side _read;
    private Side _write;

    /// <summary>Whose they are, for as long as a timer stands for one of them.</summary>
    public PollDesc Desc => desc;

    /// <summary>The deadline of a direction, in ns of the loop's clock, or <see cref="None"/> or <see cref="Past"/>.</summary>
    public long Of(PollMode mode) => Volatile.Read(ref SideOf(mode).When);

    /// <summary>
    /// Moves a deadline that has yet to pass to a later time, later by <paramref name="atMost"/> ns. False when it is not so: then it is to
    /// be set.
    /// </summary>
    public bool TryProlong(PollMode mode, long when, long atMost)
    {
        ref long deadline = ref SideOf(mode).When;
        long old = Volatile.Read(ref deadline);
        return old > Past && when >= old && when - old <= atMost && Interlocked.CompareExchange(ref deadline, when, old) == old;
    }

    /// <summary>
    /// Marks the deadline that was <paramref name="old"/> as passed. False when it was prolonged meanwhile. Under the lock.
    /// </summary>
    public bool TryPass(PollMode mode, long old) => Interlocked.CompareExchange(ref SideOf(mode).When, Past, old) == old;

    /// <summary>Under the lock.</summary>
    public void Set(PollMode mode, long when) => Volatile.Write(ref SideOf(mode).When, when);

    /// <summary>Where the direction's timer stands in the heap, plus one; 0 is nowhere. Under the lock.</summary>
    public ref int TimerIndexOf(PollMode mode) => ref SideOf(mode).TimerIndex;

    private ref Side SideOf(PollMode mode) => ref mode == PollMode.Read ? ref _read : ref _write;
}
