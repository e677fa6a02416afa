using Poller.Abstractions;

namespace Poller.Tests.Shared;

/// <summary>A factory of a backend that this system has.</summary>
public abstract class FactoryTests(INetpollFactory factory, string name, PollTrigger trigger)
{
    [Fact]
    public void The_factory_and_its_pollers_have_the_backends_name()
    {
        using INetpoll poller = factory.Create();

        Assert.Equal(name, factory.Name);
        Assert.Equal(name, poller.Name);
        Assert.Equal(trigger, poller.Trigger);
    }

    [Fact]
    public void It_is_supported_and_gives_no_reason()
    {
        Assert.True(factory.IsSupported(out string? reason));
        Assert.Null(reason);
    }

    [Fact]
    public void Create_leaves_Init_to_its_caller_and_makes_a_new_poller_each_time()
    {
        using INetpoll one = factory.Create();
        using INetpoll other = factory.Create();

        Assert.NotSame(one, other);
        Assert.Throws<InvalidOperationException>(one.Break);
        one.Init();
        one.Break();
        Assert.Throws<InvalidOperationException>(other.Break);
    }
}
