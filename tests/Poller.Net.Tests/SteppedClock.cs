using Microsoft.Extensions.Time.Testing;

namespace Poller.Net.Tests;

/// <summary>A clock whose time of day can be stepped, while timestamps and timers go on as they were.</summary>
internal sealed class SteppedClock : FakeTimeProvider
{
    public TimeSpan Step { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Step;

    public override long GetTimestamp() => base.GetUtcNow().Ticks;
}
