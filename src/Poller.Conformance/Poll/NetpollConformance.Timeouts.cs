using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Conformance;

public abstract partial class NetpollConformance
{
    /// <summary>
    /// A time-out is rounded up: after a poll that returned early, the caller's timer would not be due yet, and it would spin.
    /// </summary>
    /// <param name="delay">The time-out in nanoseconds.</param>
    [Theory]
    [InlineData(1)]
    [InlineData(50_000)]
    [InlineData(999_999)]
    [InlineData(1_000_001)]
    [InlineData(5_300_000)]
    [InlineData(1_000_000_001)]
    public void A_poll_is_never_over_early(long delay) => Worker.RunUninterrupted($"poll for {delay} ns", () =>
    {
        for (int i = delay < Second ? 20 : 1; i > 0; i--)
        {
            TimeSpan taken = Time(() => Assert.Empty(Poll(delay)));
            Assert.InRange(taken.TotalNanoseconds, delay, Worker.Bound.TotalNanoseconds);
        }
    });

    /// <summary>An event ends a poll before its time-out.</summary>
    [Fact]
    public void An_event_ends_a_timed_poll()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        Arm(near, PollMode.Read);
        (Worker thread, List<PollEvent> events) = StartPoll(600 * Second);

        far.Write();
        thread.Join();

        Assert.All(events, e => Assert.Equal(new PollToken(1), e.Token));
        Assert.Contains(events, e => e.Readiness.HasFlag(PollReadiness.Readable));
    }

    /// <summary>No delay is too long, whatever the kernel's unit is. A delay below zero blocks.</summary>
    /// <param name="delay">The time-out in nanoseconds.</param>
    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(long.MaxValue - 1)]
    [InlineData(int.MaxValue * Millisecond + 1)]
    [InlineData(long.MinValue)]
    public void A_huge_delay_blocks_until_a_Break(long delay)
    {
        Worker thread = Worker.StartUninterrupted(Describe(delay, room: 16), () => Assert.Empty(Poll(delay)));

        Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(50)), $"a poll for {delay} ns ended within 50 ms");

        Poller.Break();
        thread.Join();
    }

    /// <summary>A poll with delay 0 returns at once when nothing is ready.</summary>
    [Fact]
    public void A_delay_of_zero_never_blocks()
    {
        OpenQuietly(OwnSocketPair().Near, 1);

        Worker.Start("poll 10000 times without blocking", () => { for (int i = 0; i < 10_000; i++) Assert.Empty(Poll(0)); }).Join();
    }

    /// <summary>A signal may end a wait that has a time-out. A wait without one goes on.</summary>
    [Fact]
    public void A_signal_does_not_end_a_poll_without_a_time_out()
    {
        using PosixSignalRegistration handler = HandleWindowChanges();
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        for (int i = 0; i < 20; i++)
        {
            thread.Interrupt(LibC.SIGWINCH);
            Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(2)), "a signal ended a poll without a time-out");
        }

        Poller.Break();
        thread.Join();
        Assert.Empty(events);
    }

    /// <summary>A wait that a signal interrupts loses no event.</summary>
    [Fact]
    public void Signals_cost_no_event()
    {
        using PosixSignalRegistration handler = HandleWindowChanges();
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        int received = 0;
        Worker thread = Worker.Start("receive 200 bytes, each after an event, among signals", () =>
        {
            while (received < 200)
            {
                Arm(near, PollMode.Read);
                Poll(received % 2 == 0 ? Blocking : 10 * Second);
                received += near.Drain();
            }
        });

        for (int i = 0; i < 200; i++)
        {
            thread.Interrupt(LibC.SIGWINCH);
            far.Write();
        }

        thread.Join();
        Assert.Equal(200, received);
    }

    // Without a handler the system ignores the signal, which then interrupts nothing.
#pragma warning disable CA1416 // The kit is for Unix.
    private static PosixSignalRegistration HandleWindowChanges() => PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => { });
#pragma warning restore CA1416
}
