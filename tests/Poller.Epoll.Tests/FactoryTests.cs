using Poller.Abstractions;

namespace Poller.Epoll.Tests;

public class FactoryTests
{
    private readonly EpollNetpollFactory _factory = new();

    [Fact]
    public void The_factory_and_its_pollers_are_called_epoll()
    {
        using INetpoll poller = _factory.Create();

        Assert.Equal("epoll", _factory.Name);
        Assert.Equal(_factory.Name, poller.Name);
        Assert.Equal(PollTrigger.Edge, poller.Trigger);
    }

    [Fact]
    public void A_level_triggered_one_is_another_backend_by_name()
    {
        EpollNetpollFactory factory = new(new EpollNetpollOptions { Trigger = PollTrigger.Level });
        using INetpoll poller = factory.Create();

        Assert.Equal("epoll-level", factory.Name);
        Assert.Equal(factory.Name, poller.Name);
        Assert.Equal(PollTrigger.Level, poller.Trigger);
    }

    [Fact]
    public void Options_there_are_none_of_are_refused_with_what_was_expected()
    {
        EpollNetpollOptions options = new() { Trigger = (PollTrigger)7 };

        Assert.Throws<ArgumentNullException>(() => new EpollNetpollFactory(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => new EpollNetpoll(options));
        string message = Assert.Throws<ArgumentOutOfRangeException>(() => new EpollNetpollFactory(options)).Message;
        Assert.Contains("Edge or Level was expected", message, StringComparison.Ordinal);
        Assert.Contains("7", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Linux_is_supported_and_gives_no_reason()
    {
        Assert.True(_factory.IsSupported(out string? reason));
        Assert.Null(reason);
    }

    [Fact]
    public void Another_system_is_told_what_it_is_and_what_was_expected()
    {
        string? reason = EpollNetpollFactory.WhyNot(isLinux: false, "Plan 9");

        Assert.Equal("it needs Linux and this process runs on Plan 9", reason);
        Assert.Null(EpollNetpollFactory.WhyNot(isLinux: true, "Linux"));
    }

    [Fact]
    public void Create_leaves_Init_to_its_caller_and_makes_a_new_poller_each_time()
    {
        using INetpoll one = _factory.Create();
        using INetpoll other = _factory.Create();

        Assert.NotSame(one, other);
        Assert.Throws<InvalidOperationException>(one.Break);
        one.Init();
        one.Break();
        Assert.Throws<InvalidOperationException>(other.Break);
    }
}
