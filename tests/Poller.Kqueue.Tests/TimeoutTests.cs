using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

public class TimeoutTests : KqueueTest
{
    [Theory]
    [InlineData(1)]
    [InlineData(50_000)]
    [InlineData(999_999)]
    [InlineData(1_000_001)]
    [InlineData(5_300_000)]
    [InlineData(1_000_000_001)]
    public void A_poll_is_never_over_early(long delay)
    {
        Worker.RunUninterrupted(() =>
        {
            for (int i = delay < Second ? 20 : 1; i > 0; i--)
            {
                TimeSpan taken = Time(() => Assert.Empty(Poll(delay)));
                Assert.InRange(taken.TotalNanoseconds, delay, Worker.Bound.TotalNanoseconds);
            }
        });
    }

    [Fact]
    public void An_event_ends_a_timed_poll()
    {
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);
        (Worker thread, List<PollEvent> events) = StartPoll(600 * Second);

        fd.Signal();
        thread.Join();

        Assert.Equal(new PollToken(1), Assert.Single(events).Token);
    }

    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(long.MaxValue - 1)]
    [InlineData(int.MaxValue * Millisecond + 1)]
    [InlineData(long.MinValue)]
    public void A_huge_delay_blocks_until_a_Break(long delay)
    {
        Worker thread = Worker.StartUninterrupted(() => Assert.Empty(Poll(delay)));

        Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(50)));

        Poller.Break();
        thread.Join();
    }

    [Fact]
    public void A_delay_of_zero_never_blocks()
    {
        OpenQuietly(OwnEventFd(), 1);

        Worker thread = Worker.Start(() => { for (int i = 0; i < 10_000; i++) Assert.Empty(Poll(0)); });

        thread.Join();
    }
}
