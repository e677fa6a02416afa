using Poller.Abstractions;

namespace Poller.Epoll.Tests;

public sealed class EpollFactoryTests() : FactoryTests(new EpollNetpollFactory(), "epoll", PollTrigger.Edge)
{
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
    public void Another_system_is_told_what_it_is_and_what_was_expected()
    {
        string? reason = EpollNetpollFactory.WhyNot(isLinux: false, "Plan 9");

        Assert.Equal("it needs Linux and this process runs on Plan 9", reason);
        Assert.Null(EpollNetpollFactory.WhyNot(isLinux: true, "Linux"));
    }
}

/// <summary>A level-triggered one is another backend by name.</summary>
public sealed class EpollLevelFactoryTests() : FactoryTests(EpollLevel.Factory, "epoll-level", PollTrigger.Level);
