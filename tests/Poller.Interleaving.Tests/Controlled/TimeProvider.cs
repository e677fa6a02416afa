namespace Poller.Interleaving.Tests.Controlled;

/// <summary>
/// A clock that a scenario moves, in ns. Each look at it, each move and each change of a timer is a scheduling point and a full fence.
/// </summary>
public sealed class TimeProvider
{
    private sealed class Timer(TimeProvider clock, TimerCallback callback, object? state) : ITimer
    {
        // In ns; null if it is not set. The timers of the sources fire once.
        private long? _due;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            ControlledThread? self = ControlledThread.Step(new Site("Change", $"timer to {dueTime}", "", 0));
            _due = dueTime == Timeout.InfiniteTimeSpan ? null : clock._now + dueTime.Ticks * TimeSpan.NanosecondsPerTick;
            self?.Fence();
            return true;
        }

        public void Fire()
        {
            if (_due > clock._now || _due is null) return;
            _due = null;
            callback(state);
        }

        public void Dispose() => _due = null;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }

    private readonly List<Timer> _timers = [];
    private long _now;

    /// <summary>The clock that the kernel's time-outs follow.</summary>
    public static TimeProvider System { get; private set; } = new();

    public long TimestampFrequency { get; } = TimeSpan.NanosecondsPerTick * TimeSpan.TicksPerSecond;

    /// <summary>Sets the kernel's clock back to 0, for a scenario's set-up.</summary>
    public static TimeProvider Reset() => System = new TimeProvider();

    /// <summary>The time of day goes with the clock.</summary>
    public DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(_now / TimeSpan.NanosecondsPerTick);

    public long GetTimestamp()
    {
        ControlledThread? self = ControlledThread.Step(new Site("Read", "clock", "", 0));
        self?.Fence();
        self?.TraceResult(_now);
        return _now;
    }

    /// <summary>The time that the kernel sees. It is no scheduling point.</summary>
    public long Peek() => _now;

    public ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        Timer timer = new(this, callback, state);
        timer.Change(dueTime, period);
        _timers.Add(timer);
        return timer;
    }

    /// <summary>Moves the clock to <paramref name="now"/>, and fires what is due.</summary>
    public void Advance(long now)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Move", $"clock to {now}", "", 0));
        _now = now;
        self?.Fence();
        foreach (Timer timer in _timers) timer.Fire();
    }
}
