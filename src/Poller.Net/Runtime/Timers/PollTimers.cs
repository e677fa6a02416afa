using Poller.Abstractions;

namespace Poller.Net;

// The twin of the deadline half of Go's runtime/netpoll.go, and of the heap in its runtime/time.go: the deadlines of one loop. One lock
// guards them and the heap of their timers, so a timer is never stale, and we do not need Go's rseq and wseq. Each side has its own timer,
// even if both have the same deadline: two entries of the heap are simpler than one that serves both sides.
//
// Timers are lazy. A side has at most one. A later deadline only stores its value, and clearing a deadline leaves the timer in the heap.
// When the timer fires, it checks whether the deadline is due, has moved or is gone. So a deadline that each read prolongs, or a time-out
// that each read starts again, costs no heap operation and takes no lock (PollDeadlines).

/// <summary>The timers of one loop. Their times are those of its <see cref="LoopClock"/>. Safe from any thread.</summary>
internal sealed class PollTimers
{
    private struct Timer
    {
        public long When;
        public PollDeadlines Deadlines;
        public Direction Direction;
    }

    /// <summary>No timer.</summary>
    public const long Never = long.MaxValue;

    // 384 B, once a timer is set. The value is arbitrary within a wide range. When 20 timers were set and removed again and again, the heap
    // was resized each time: that allocated 91, 60 and 0 B a timer with 8, 16 and 32. With 100 timers it was 88, 82 and 70 B.
    private const int MinHeap = 16;

    private readonly Lock _lock = new();

    // Guarded by the lock.
    private Timer[] _heap = [];
    private int _count;

    // When the earliest timer fires, and how many waits a deadline or a time-out has ended. Written under the lock, read without it.
    private long _next = Never;
    private long _expired;

    /// <summary>When the earliest timer fires, or <see cref="Never"/>.</summary>
    public long Next => Volatile.Read(ref _next);

    /// <summary>How many waits a deadline or a time-out has ended.</summary>
    public long Expired => Volatile.Read(ref _expired);

    /// <summary>
    /// Sets the deadlines that <paramref name="mode"/> names: to a time ahead, to <see cref="PollDeadlines.None"/>, or to
    /// <see cref="PollDeadlines.Past"/>, which expires at once. Returns the waiters whose waits it ended.
    /// </summary>
    public void SetDeadline(PollDesc desc, PollMode mode, long when, out PollWaiter? reader, out PollWaiter? writer)
    {
        reader = writer = null;
        using (_lock.Hold())
        {
            if (DeadlinesOf(desc) is not { } deadlines) return;
            if ((mode & PollMode.Read) != 0) reader = SetSide(deadlines, Direction.Read, when);
            if ((mode & PollMode.Write) != 0) writer = SetSide(deadlines, Direction.Write, when);
        }
    }

    /// <summary>
    /// Sets the time-out of an operation that starts: to a time ahead, or to <see cref="PollDeadlines.None"/>. The caller holds the lock of
    /// the direction. So nobody waits there, and this ends no wait.
    /// </summary>
    public void SetTimeout(PollDesc desc, Direction direction, long when)
    {
        using (_lock.Hold())
        {
            if (DeadlinesOf(desc) is not { } deadlines) return;
            deadlines.SetTimeout(direction, when);
            if (!deadlines.HasPassed(direction)) desc.Unexpire(direction);
            Arm(deadlines, direction, when);
        }
    }

    /// <summary>Expires what is due at <paramref name="now"/>. Returns a linked list of the waiters whose waits it ended.</summary>
    public PollWaiter? Expire(long now)
    {
        if (Next > now) return null;
        PollWaiter? runnable = null;
        using (_lock.Hold())
        {
            while (_count > 0 && _heap[0].When <= now)
            {
                PollDeadlines deadlines = _heap[0].Deadlines;
                Direction direction = _heap[0].Direction;
                bool passed = deadlines.Pass(direction, now, out long next);
                if (next == Never)
                {
                    Remove(deadlines, direction);
                }
                else
                {
                    _heap[0].When = next;
                    SiftDown(0);
                }
                if (passed && deadlines.Desc.Expire(direction) is { } waiter)
                {
                    Volatile.Write(ref _expired, _expired + 1);
                    waiter.Next = runnable;
                    runnable = waiter;
                }
            }
            PublishNext();
        }
        return runnable;
    }

    /// <summary>
    /// Closes a desc: clears its deadlines and ends its waits. Returns the waiters that are runnable now. A second call does nothing.
    /// </summary>
    public void Evict(PollDesc desc, out PollWaiter? reader, out PollWaiter? writer)
    {
        using (_lock.Hold())
        {
            desc.Evict(out reader, out writer);
            if (desc.Deadlines is not { } deadlines) return;
            Drop(deadlines, Direction.Read);
            Drop(deadlines, Direction.Write);
            PublishNext();
        }
    }

    // Returns null if the desc is closing. Creates the deadlines on first use.
    private static PollDeadlines? DeadlinesOf(PollDesc desc) => desc.IsClosing ? null : desc.Deadlines ??= new PollDeadlines(desc);

    private PollWaiter? SetSide(PollDeadlines deadlines, Direction direction, long when)
    {
        deadlines.SetDeadline(direction, when);
        if (when == PollDeadlines.Past)
        {
            PollWaiter? waiter = deadlines.Desc.Expire(direction);
            if (waiter is not null) Volatile.Write(ref _expired, _expired + 1);
            return waiter;
        }
        if (!deadlines.HasPassed(direction)) deadlines.Desc.Unexpire(direction);
        Arm(deadlines, direction, when);
        return null;
    }

    // Makes sure that the side's timer fires no later than when.
    private void Arm(PollDeadlines deadlines, Direction direction, long when)
    {
        if (when == PollDeadlines.None) return;
        int index = deadlines.TimerIndexOf(direction) - 1;
        if (index < 0)
        {
            Add(deadlines, direction, when);
        }
        else if (when < _heap[index].When)
        {
            _heap[index].When = when;
            SiftUp(index);
        }
        PublishNext();
    }

    private void Drop(PollDeadlines deadlines, Direction direction)
    {
        deadlines.SetDeadline(direction, PollDeadlines.None);
        deadlines.SetTimeout(direction, PollDeadlines.None);
        if (deadlines.TimerIndexOf(direction) != 0) Remove(deadlines, direction);
    }

    private void PublishNext() => Volatile.Write(ref _next, _count > 0 ? _heap[0].When : Never);

    private void Add(PollDeadlines deadlines, Direction direction, long when)
    {
        if (_count == _heap.Length) Array.Resize(ref _heap, Math.Max(MinHeap, _count * 2));
        Place(_count++, new Timer { When = when, Deadlines = deadlines, Direction = direction });
        SiftUp(_count - 1);
    }

    private void Remove(PollDeadlines deadlines, Direction direction)
    {
        int index = deadlines.TimerIndexOf(direction) - 1;
        deadlines.TimerIndexOf(direction) = 0;
        Timer last = _heap[--_count];
        _heap[_count] = default;
        if (index != _count)
        {
            Place(index, last);
            SiftUp(index);
            SiftDown(last.Deadlines.TimerIndexOf(last.Direction) - 1);
        }

        // Shrink at a quarter, not at a half: a heap that grows and shrinks by one timer must not be copied each time.
        if (_heap.Length > MinHeap && _count <= _heap.Length / 4) Array.Resize(ref _heap, _heap.Length / 2);
    }

    // Each node has four children, as in Go's runtime/time.go. A remove and an add together took 78, 67 and 60 ns of CPU with two, four and
    // eight children in a heap of 1,000 timers; in a heap of 100,000 they took 538, 539 and 514 ns. So half and double would do as well.
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
        timer.Deadlines.TimerIndexOf(timer.Direction) = index + 1;
    }
}
