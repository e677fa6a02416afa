using Poller.Abstractions;

namespace Poller.Tests.Shared;

public abstract class EdgeRegistrationTests<TPoller>(TPoller poller) : PollerTest<TPoller>(poller) where TPoller : INetpoll
{
    [Fact]
    public void A_handle_wider_than_a_descriptor_is_not_cut_to_one()
    {
        Fd fd = OwnEventFd();
        nint wide = unchecked((nint)((1L << 32) | (uint)fd.Number));

        Assert.Equal(Errno.EBADF, Poller.Open(wide, new PollToken(1)));
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(1)));
        Assert.Equal(Errno.EBADF, Poller.Close(wide));
    }

    [Fact]
    public void Close_answers_EBADF_for_what_is_no_descriptor() => Assert.Equal(Errno.EBADF, Poller.Close(-1));

    [Fact]
    public void Arm_is_not_supported_as_there_is_nothing_to_arm()
    {
        Fd fd = OwnEventFd();

        NotSupportedException error = Assert.Throws<NotSupportedException>(() => { Poller.Arm(fd, PollMode.Read); });

        Assert.Contains($"arm fd {fd.Number} (Read)", error.Message, StringComparison.Ordinal);
    }
}
