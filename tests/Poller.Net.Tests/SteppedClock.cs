using Microsoft.Extensions.Time.Testing;

namespace Poller.Net.Tests;

/// <summary>A clock whose time of day can be stepped, while timestamps and timers go on as they were.</summary>
internal sealed class SteppedClock : FakeTimeProvider
{
    private int _timers;

    public TimeSpan Step { get; set; }

    /// <summary>How many timers were created.</summary>
    public int Timers => Volatile.Read(ref _timers);

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Step;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        Interlocked.Increment(ref _timers);
        return base.CreateTimer(callback, state, dueTime, period);
    }

    public override long GetTimestamp() => base.GetUtcNow().Ticks;
}
