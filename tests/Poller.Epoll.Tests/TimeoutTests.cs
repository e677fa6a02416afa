using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Epoll.Tests;

public unsafe partial class TimeoutTests : EpollTest
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(999_999, 1)]
    [InlineData(1_000_000, 1)]
    [InlineData(1_000_001, 2)]
    [InlineData(1_999_999, 2)]
    [InlineData(2_000_000, 2)]
    [InlineData(int.MaxValue * 1_000_000L, int.MaxValue)]
    [InlineData(int.MaxValue * 1_000_000L + 1, int.MaxValue)]
    [InlineData(long.MaxValue - 1, int.MaxValue)]
    [InlineData(long.MaxValue, int.MaxValue)]
    public void Milliseconds_are_rounded_up_and_do_not_overflow(long delay, int milliseconds) =>
        Assert.Equal(milliseconds, EpollNetpoll.ToMilliseconds(delay));

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 50_000)]
    [InlineData(true, 999_999)]
    [InlineData(true, 1_000_001)]
    [InlineData(true, 5_300_000)]
    [InlineData(true, 1_000_000_001)]
    [InlineData(false, 1)]
    [InlineData(false, 50_000)]
    [InlineData(false, 999_999)]
    [InlineData(false, 1_000_001)]
    [InlineData(false, 5_300_000)]
    [InlineData(false, 1_000_000_001)]
    public void A_poll_is_never_over_early(bool nanoseconds, long delay)
    {
        Poller.HasPwait2 = nanoseconds;

        Worker.RunUninterrupted(() =>
        {
            for (int i = delay < Second ? 20 : 1; i > 0; i--)
            {
                TimeSpan taken = Time(() => Assert.Empty(Poll(delay)));
                Assert.InRange(taken.TotalNanoseconds, delay, Worker.Bound.TotalNanoseconds);
            }
        });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_event_ends_a_timed_poll(bool nanoseconds)
    {
        Poller.HasPwait2 = nanoseconds;
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);
        (Worker thread, List<PollEvent> events) = StartPoll(600 * Second);

        fd.Signal();
        thread.Join();

        Assert.Equal(new PollToken(1), Assert.Single(events).Token);
    }

    [Theory]
    [InlineData(true, long.MaxValue)]
    [InlineData(true, long.MaxValue - 1)]
    [InlineData(true, int.MaxValue * Millisecond + 1)]
    [InlineData(false, long.MaxValue)]
    [InlineData(false, long.MaxValue - 1)]
    [InlineData(false, int.MaxValue * Millisecond + 1)]
    [InlineData(true, long.MinValue)]
    public void A_huge_delay_blocks_until_a_Break(bool nanoseconds, long delay)
    {
        Poller.HasPwait2 = nanoseconds;
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

    [Fact]
    public void Nanoseconds_are_what_a_kernel_with_epoll_pwait2_counts_in()
    {
        // Bad arguments tell whether the call is there without making it.
        const int EBADF = 9, EINVAL = 22;
        bool known = syscall(441, -1, null, 1, null, 0, 0) < 0 && Marshal.GetLastPInvokeError() is EBADF or EINVAL;

        Poll(1);

        Assert.Equal(known, Poller.HasPwait2);
    }

    [Fact]
    public void Delays_that_do_not_use_it_leave_the_choice_open()
    {
        Poller.Break();
        Poll(Blocking);
        Poll(0);

        Assert.True(Poller.HasPwait2);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint epfd, void* events, nint maxevents, void* timeout, nint sigmask, nint sigsetsize);
}
