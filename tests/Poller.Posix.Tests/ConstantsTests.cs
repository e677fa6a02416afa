using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Posix.Tests;

public class ConstantsTests
{
    [Fact]
    public void A_pollfd_is_an_int_and_two_shorts()
    {
        Assert.Equal(8, Unsafe.SizeOf<PollFd>());
        Assert.Equal(0, Marshal.OffsetOf<PollFd>(nameof(PollFd.Fd)));
        Assert.Equal(4, Marshal.OffsetOf<PollFd>(nameof(PollFd.Events)));
        Assert.Equal(6, Marshal.OffsetOf<PollFd>(nameof(PollFd.Revents)));
    }

    [Fact]
    public void The_numbers_all_Unixes_share_are_those_of_poll_h()
    {
        Assert.Equal([0x1, 0x4, 0x8, 0x10, 0x20], [LibC.POLLIN, LibC.POLLOUT, LibC.POLLERR, LibC.POLLHUP, LibC.POLLNVAL]);
    }

    [Fact]
    public void The_numbers_they_do_not_are_those_of_each()
    {
        Assert.Equal(new UnixConstants(ReadHangup: 0x2000, NonBlocking: 0x800), UnixConstants.Linux);
        Assert.Equal(new UnixConstants(ReadHangup: 0, NonBlocking: 0x4), UnixConstants.Bsd);
        Assert.Equal(new UnixConstants(ReadHangup: 0, NonBlocking: 0x80), UnixConstants.Illumos);
        Assert.Equal(UnixConstants.Linux, UnixConstants.Current);
    }

    [Theory]
    [InlineData(PollMode.None, 0)]
    [InlineData(PollMode.Read, LibC.POLLIN | 0x2000)]
    [InlineData(PollMode.Write, LibC.POLLOUT)]
    [InlineData(PollMode.ReadWrite, LibC.POLLIN | LibC.POLLOUT | 0x2000)]
    public void What_is_armed_asks_for(PollMode mode, short events) => Assert.Equal(events, PosixNetpoll.ToEvents(mode));

    [Theory]
    [InlineData(0, None)]
    [InlineData(LibC.POLLIN, Readable)]
    [InlineData(LibC.POLLOUT, Writable)]
    [InlineData(LibC.POLLIN | LibC.POLLOUT, Readable | Writable)]
    [InlineData(0x2000, Readable | ReadHangup)]
    [InlineData(LibC.POLLIN | 0x2000, Readable | ReadHangup)]
    [InlineData(LibC.POLLHUP, Readable | Writable | ReadHangup)]
    [InlineData(LibC.POLLIN | LibC.POLLHUP, Readable | Writable | ReadHangup)]
    [InlineData(LibC.POLLERR, Readable | Writable | ReadHangup | Error)]
    [InlineData(LibC.POLLERR | LibC.POLLOUT, Readable | Writable | ReadHangup)]
    [InlineData(LibC.POLLNVAL, Readable | Writable | ReadHangup | Error)]
    public void An_answer_means(short revents, PollReadiness readiness) => Assert.Equal(readiness, PosixNetpoll.ToReadiness(revents));

    [Theory]
    [InlineData(1, 1)]
    [InlineData(999_999, 1)]
    [InlineData(1_000_000, 1)]
    [InlineData(1_000_001, 2)]
    [InlineData(int.MaxValue * 1_000_000L, int.MaxValue)]
    [InlineData(int.MaxValue * 1_000_000L + 1, int.MaxValue)]
    [InlineData(long.MaxValue, int.MaxValue)]
    public void Milliseconds_are_rounded_up_and_do_not_overflow(long delay, int milliseconds) =>
        Assert.Equal(milliseconds, LibC.ToMilliseconds(delay));
}
