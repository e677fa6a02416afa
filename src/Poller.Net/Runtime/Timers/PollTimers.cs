using Poller.Abstractions;

namespace Poller.Net;

// The deadline half of Go's runtime/netpoll.go, and the heap of its runtime/time.go: the deadlines of one loop. One lock guards them and
// the heap of their timers, so a timer cannot be stale: what Go's rseq and wseq are for does not arise. Each side has a timer of its own,
// also when both have the same deadline: two heap entries are simpler than one that stands for both.
//
// Timers are lazy. A side has at most one; a later deadline only stores its value, a cleared one leaves the timer where it is, and
// the timer looks when it fires: still due, moved, or gone. So a deadline that each read prolongs costs no heap operation, and no lock
// (PollDeadlines); nor does it read a clock while the loop is awake, as the loop has just looked how far apart the two clocks are.

/// <summary>The deadlines of one loop. Safe from any thread.</summary>
internal sealed class PollTimers(TimeProvider clock)
{
    private struct Timer
    {
        public long When;
        public PollDeadlines Deadlines;
        public PollMode Mode;
    }

    /// <summary>No timer.</summary>
    public const long Never = long.MaxValue;

    // Constant. Where Now counts from, and what times of day are told from: in ns, of a clock that counts from the year 1, they would not
    // fit. Nanoseconds in one tick of the clock; 0 when that is not a whole number.
    private readonly long _origin = clock.GetTimestamp();
    private readonly DateTimeOffset _utcOrigin = clock.GetUtcNow();
    private readonly long _nanosecondsPerTick =
        1_000_000_000 % clock.TimestampFrequency == 0 ? 1_000_000_000 / clock.TimestampFrequency : 0;

    private readonly Lock _lock = new();

    // Guarded by the lock.
    private Timer[] _heap = [];
    private int _count;

    // Written under the lock, read without: when the earliest timer fires.
    private long _next = Never;

    // Atomic. What the time of day, from its origin, is ahead of Now, in ns.
    private long _utcOffset;

    // Atomic. When anybody looked at the clock last, and when the two were compared, in ns of Now.
    private long _looked;
    private long _compared;

    /// <summary>The time, in ns since the timers were made; above 0.</summary>
    public long Now
    {
        get
        {
            long timestamp = clock.GetTimestamp() - _origin;
            return 1 + (_nanosecondsPerTick != 0
                ? timestamp * _nanosecondsPerTick
                : (long)((Int128)timestamp * 1_000_000_000 / clock.TimestampFrequency));
        }
    }

    /// <summary>The time <paramref name="span"/> from now; what is not ahead is <see cref="PollDeadlines.Past"/>.</summary>
    public long After(TimeSpan span)
    {
        if (span <= TimeSpan.Zero) return PollDeadlines.Past;
        long now = Now;
        Look(now);
        return span.Ticks < (Never - now) / TimeSpan.NanosecondsPerTick ? now + span.Ticks * TimeSpan.NanosecondsPerTick : Never - 1;
    }

    /// <summary>
    /// Notes the time, and compares the clocks now and then: the time of day may be stepped, and deadlines that are set after that go by
    /// the new time. For the loop, before it is awake to others, and for who sets a deadline.
    /// </summary>
    public void Look(long now)
    {
        const long Often = 100_000_000;
        Volatile.Write(ref _looked, now);
        if (now - Volatile.Read(ref _compared) < Often) return;
        Volatile.Write(ref _compared, now);
        Compare();
    }

    /// <summary>A time of day in ns of <see cref="Now"/>; what is not ahead is <see cref="PollDeadlines.Past"/>.</summary>
    public long At(DateTimeOffset time) => After(time - Compare());

    /// <summary>
    /// Prolongs deadlines to a time of day. False when they are to be set. <paramref name="inSync"/>: the loop is awake, and has looked at
    /// the clocks; else they are read.
    /// </summary>
    /// <remarks>
    /// In sync nobody knows what time it is, only what it was at the last look: so what might be past by now is to be set, and so is what
    /// would be prolonged by more than a second, as it is when the time of day was stepped since, or the machine suspended.
    /// </remarks>
    public bool TryProlong(PollDeadlines deadlines, PollMode mode, DateTimeOffset deadline, bool inSync)
    {
        const long Second = 1_000_000_000;
        const long Century = 100 * 366 * TimeSpan.TicksPerDay;
        long ticks = (deadline - _utcOrigin).Ticks;
        if (ticks is < 0 or > Century) return false;
        if (!inSync && deadline <= Compare()) return false;
        long when = ticks * TimeSpan.NanosecondsPerTick - Volatile.Read(ref _utcOffset);
        if (inSync && when < Volatile.Read(ref _looked) + Second) return false;
        long atMost = inSync ? Second : long.MaxValue;
        return ((mode & PollMode.Read) == 0 || deadlines.TryProlong(PollMode.Read, when, atMost))
            && ((mode & PollMode.Write) == 0 || deadlines.TryProlong(PollMode.Write, when, atMost));
    }

    /// <summary>When the earliest timer fires, in ns of <see cref="Now"/>, or <see cref="Never"/>.</summary>
    public long Next => Volatile.Read(ref _next);

    /// <summary>
    /// Sets the deadlines that <paramref name="mode"/> names: to a time that <see cref="After"/> gave, or to
    /// <see cref="PollDeadlines.None"/>. <see cref="PollDeadlines.Past"/> expires at once: the waiters it ends are returned.
    /// </summary>
    public void Set(PollDesc desc, PollMode mode, long when, out PollWaiter? reader, out PollWaiter? writer)
    {
        reader = writer = null;
        lock (_lock)
        {
            if (desc.Check(PollMode.Read) == IoResult.Closing) return;
            PollDeadlines deadlines = desc.Deadlines ??= new PollDeadlines(desc);
            if ((mode & PollMode.Read) != 0) reader = SetSide(deadlines, PollMode.Read, when);
            if ((mode & PollMode.Write) != 0) writer = SetSide(deadlines, PollMode.Write, when);
        }
    }

    /// <summary>Expires what is due at <paramref name="now"/>. Returns the waiters it ends, linked.</summary>
    public PollWaiter? Expire(long now)
    {
        if (Next > now) return null;
        PollWaiter? runnable = null;
        lock (_lock)
        {
            while (_count > 0 && _heap[0].When <= now)
            {
                PollDeadlines deadlines = _heap[0].Deadlines;
                PollMode mode = _heap[0].Mode;
                long deadline = deadlines.Of(mode);
                if (deadline > now)
                {
                    _heap[0].When = deadline;
                    SiftDown(0);
                    continue;
                }
                if (deadline > PollDeadlines.Past && !deadlines.TryPass(mode, deadline)) continue; // Prolonged just now.
                Remove(deadlines, mode);
                if (deadline > PollDeadlines.Past && deadlines.Desc.Expire(mode) is { } waiter)
                {
                    waiter.Next = runnable;
                    runnable = waiter;
                }
            }
            Volatile.Write(ref _next, _count > 0 ? _heap[0].When : Never);
        }
        return runnable;
    }

    /// <summary>
    /// Closes a desc: its deadlines are gone and its waits end. Returns who is runnable. A second call finds nothing to do.
    /// </summary>
    public void Evict(PollDesc desc, out PollWaiter? reader, out PollWaiter? writer)
    {
        lock (_lock)
        {
            desc.Evict(out reader, out writer);
            if (desc.Deadlines is not { } deadlines) return;
            Drop(deadlines, PollMode.Read);
            Drop(deadlines, PollMode.Write);
            Volatile.Write(ref _next, _count > 0 ? _heap[0].When : Never);
        }
    }

    private DateTimeOffset Compare()
    {
        DateTimeOffset time = clock.GetUtcNow();
        Volatile.Write(ref _utcOffset, (time - _utcOrigin).Ticks * TimeSpan.NanosecondsPerTick - Now);
        return time;
    }

    private PollWaiter? SetSide(PollDeadlines deadlines, PollMode mode, long when)
    {
        deadlines.Set(mode, when);
        if (when == PollDeadlines.Past) return deadlines.Desc.Expire(mode);
        deadlines.Desc.Unexpire(mode);
        if (when == PollDeadlines.None) return null;

        int index = deadlines.TimerIndexOf(mode) - 1;
        if (index < 0) Add(deadlines, mode, when);
        else if (when < _heap[index].When)
        {
            _heap[index].When = when;
            SiftUp(index);
        }
        Volatile.Write(ref _next, _heap[0].When);
        return null;
    }

    private void Drop(PollDeadlines deadlines, PollMode mode)
    {
        deadlines.Set(mode, PollDeadlines.None);
        if (deadlines.TimerIndexOf(mode) != 0) Remove(deadlines, mode);
    }

    private void Add(PollDeadlines deadlines, PollMode mode, long when)
    {
        if (_count == _heap.Length) Array.Resize(ref _heap, Math.Max(16, _count * 2));
        Place(_count++, new Timer { When = when, Deadlines = deadlines, Mode = mode });
        SiftUp(_count - 1);
    }

    private void Remove(PollDeadlines deadlines, PollMode mode)
    {
        int index = deadlines.TimerIndexOf(mode) - 1;
        deadlines.TimerIndexOf(mode) = 0;
        Timer last = _heap[--_count];
        _heap[_count] = default;
        if (index == _count) return;
        Place(index, last);
        SiftUp(index);
        SiftDown(last.Deadlines.TimerIndexOf(last.Mode) - 1);
    }

    // A heap of four children a node is half as deep as one of two, and a node's children share a cache line or two.
    private void SiftUp(int index)
    {
        Timer timer = _heap[index];
        while (index > 0)
        {
            int parent = (index - 1) / 4;
            if (_heap[parent].When <= timer.When) break;
            Place(index, _heap[parent]);
            index = parent;
        }
        Place(index, timer);
    }

    private void SiftDown(int index)
    {
        Timer timer = _heap[index];
        while (true)
        {
            int first = 4 * index + 1;
            int least = -1;
            for (int child = first; child < first + 4 && child < _count; child++)
            {
                if (least < 0 || _heap[child].When < _heap[least].When) least = child;
            }
            if (least < 0 || _heap[least].When >= timer.When) break;
            Place(index, _heap[least]);
            index = least;
        }
        Place(index, timer);
    }

    private void Place(int index, Timer timer)
    {
        _heap[index] = timer;
        timer.Deadlines.TimerIndexOf(timer.Mode) = index + 1;
    }
}
