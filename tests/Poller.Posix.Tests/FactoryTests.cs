using Poller.Abstractions;

namespace Poller.Posix.Tests;

public class FactoryTests
{
    private readonly PosixNetpollFactory _factory = new();

    [Fact]
    public void The_factory_and_its_pollers_are_called_posix()
    {
        using INetpoll poller = _factory.Create();

        Assert.Equal("posix", _factory.Name);
        Assert.Equal(_factory.Name, poller.Name);
        Assert.Equal(PollTrigger.Level, poller.Trigger);
    }

    [Fact]
    public void A_Unix_is_supported_and_gives_no_reason()
    {
        Assert.True(_factory.IsSupported(out string? reason));
        Assert.Null(reason);
    }

    [Fact]
    public void Another_system_is_told_what_it_is_and_what_was_expected()
    {
        Assert.Equal(
            "it needs poll(2), which every Unix has, and this process runs on Windows 11",
            PosixNetpollFactory.WhyNot(isUnix: false, "Windows 11"));
        Assert.Null(PosixNetpollFactory.WhyNot(isUnix: true, "Linux"));
    }

    [Fact]
    public void Create_leaves_Init_to_its_caller_and_makes_a_new_poller_each_time()
    {
        using INetpoll one = _factory.Create();
        using INetpoll other = _factory.Create();

        Assert.NotSame(one, other);
        one.Init();
        one.Break();
        Assert.Throws<InvalidOperationException>(other.Break);
    }
}
