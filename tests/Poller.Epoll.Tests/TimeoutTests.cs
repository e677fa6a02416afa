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

    [Fact]
    public void Nanoseconds_are_what_a_kernel_with_epoll_pwait2_counts_in()
    {
        // Bad arguments tell whether the call is there without making it.
        Assert.True(syscall(441, -1, null, 1, null, 0, 0) < 0);
        Errno error = new(Marshal.GetLastPInvokeError());
        bool known = error == Errno.EBADF || error == Errno.EINVAL;

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
