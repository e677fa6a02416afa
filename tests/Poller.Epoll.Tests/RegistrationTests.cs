using Poller.Abstractions;

namespace Poller.Epoll.Tests;

public class RegistrationTests : EpollTest
{
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
