using Poller.Abstractions;

namespace Poller.Net;

// The twin of the deadline part of Go's internal/poll/fd_poll_runtime.go. The time-outs of operations come from .NET (Stream.ReadTimeout).
// PollDeadlines says how a deadline and a time-out work together.
internal abstract partial class PollFd
{
    // Cached from our PollDesc, because they can be prolonged without a reference, and the desc is recycled after close. Null until a
    // deadline is set. A racy write is harmless: every writer stores the same object.
    private PollDeadlines? _deadlines;

    // Atomic. In ms, or Timeout.Infinite. An operation reads its own when it starts.
    private int _readTimeout = Timeout.Infinite;
    private int _writeTimeout = Timeout.Infinite;

    public int ReadTimeout
    {
        get => GetTimeout(Direction.Read, "get ReadTimeout");
        set => SetTimeout(Direction.Read, value, "set ReadTimeout");
    }

    public int WriteTimeout
    {
        get => GetTimeout(Direction.Write, "get WriteTimeout");
        set => SetTimeout(Direction.Write, value, "set WriteTimeout");
    }

    protected TimeProvider Clock => Loop.Clock.Provider;

    /// <summary>Sets the deadlines that <paramref name="mode"/> names to a time of day. Null and the default value clear them.</summary>
    public void SetDeadline(PollMode mode, DateTimeOffset? deadline, string operation)
    {
        bool clears = deadline is null || deadline == default(DateTimeOffset);
        if (!clears && _deadlines is { } deadlines && !IsClosed && Loop.TryProlong(deadlines, mode, deadline!.Value)) return;
        SetDeadline(mode, clears ? PollDeadlines.None : Loop.Clock.At(deadline!.Value), operation);
    }

    /// <summary>
    /// Sets the deadlines that <paramref name="mode"/> names to a time from now. A change of the time of day does not move them.
    /// <see cref="Timeout.InfiniteTimeSpan"/> clears them.
    /// </summary>
    public void SetDeadline(PollMode mode, TimeSpan fromNow, string operation)
    {
        long when = fromNow == Timeout.InfiniteTimeSpan ? PollDeadlines.None : Loop.Clock.After(fromNow);
        if (when > PollDeadlines.Past && _deadlines is { } deadlines && !IsClosed && deadlines.TryProlong(mode, when)) return;
        SetDeadline(mode, when, operation);
    }

    /// <summary>
    /// Bounds a wait in a side by a time from now, beside the side's deadline; null ends the bound. The caller holds the lock of the
    /// operation that waits in the side.
    /// </summary>
    protected void SetTimeout(Direction direction, TimeSpan? timeout)
    {
        long when = timeout is { } span ? Loop.Clock.After(span) : PollDeadlines.None;
        if (Desc.Deadlines?.TryProlongTimeout(direction, when) != true) Loop.SetTimeout(Desc, direction, when);
        if (timeout is { } length && Desc.Deadlines is { } deadlines)
        {
            deadlines.TimeoutLengthOf(direction) = (int)Math.Min((length.Ticks - 1) / TimeSpan.TicksPerMillisecond + 1, int.MaxValue);
        }
    }

    /// <summary>The exception for an operation that a time-out has ended, or a deadline if <paramref name="timeout"/> is null.</summary>
    protected abstract Exception TimedOut(string operation, TimeSpan? timeout);

    // The time-out that has ended an operation; null if its deadline did. The caller holds the direction's lock.
    private TimeSpan? PassedTimeout(Direction direction) =>
        Desc.Deadlines is { } deadlines
        && deadlines.TimeoutOf(direction) == PollDeadlines.Past
        && deadlines.DeadlineOf(direction) != PollDeadlines.Past
            ? TimeSpan.FromMilliseconds(deadlines.TimeoutLengthOf(direction))
            : null;

    private void SetDeadline(PollMode mode, long when, string operation)
    {
        using Reference held = Hold(operation);
        Loop.SetDeadline(Desc, mode, when);
        ExpireIfIdleEnded();
        _deadlines = Desc.Deadlines;
    }

    // Starts the time-out of an operation, or clears one that an earlier operation left. The caller holds the direction's lock.
    private void StartTimeout(Direction direction)
    {
        int timeout = Volatile.Read(ref TimeoutOf(direction));
        if (timeout != Timeout.Infinite)
        {
            SetTimeout(direction, TimeSpan.FromMilliseconds(timeout));
        }
        else if (Desc.Deadlines is { } deadlines && deadlines.TimeoutOf(direction) != PollDeadlines.None)
        {
            SetTimeout(direction, null);
        }
    }

    private int GetTimeout(Direction direction, string operation) =>
        IsClosed ? throw Failed(operation, IoResult.Disposed) : Volatile.Read(ref TimeoutOf(direction));

    private void SetTimeout(Direction direction, int value, string operation)
    {
        if (value is not Timeout.Infinite and <= 0)
        {
            throw new ArgumentOutOfRangeException(nameof(value), value, "a time-out in ms above 0, or Timeout.Infinite, was expected.");
        }
        if (IsClosed) throw Failed(operation, IoResult.Disposed);
        Volatile.Write(ref TimeoutOf(direction), value);
    }

    private ref int TimeoutOf(Direction direction) => ref direction == Direction.Read ? ref _readTimeout : ref _writeTimeout;
}
