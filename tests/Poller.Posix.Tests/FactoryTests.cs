using Poller.Abstractions;

namespace Poller.Posix.Tests;

public sealed class PosixFactoryTests() : FactoryTests(new PosixNetpollFactory(), "posix", PollTrigger.Level)
{
    [Fact]
    public void Another_system_is_told_what_it_is_and_what_was_expected()
    {
        Assert.Equal(
            "it needs poll(2), which every Unix has, and this process runs on Windows 11",
            PosixNetpollFactory.WhyNot(isUnix: false, "Windows 11"));
        Assert.Null(PosixNetpollFactory.WhyNot(isUnix: true, "Linux"));
    }
}
