using Microsoft.Extensions.DependencyInjection;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>Pollers side by side, each under a key.</summary>
[Collection(nameof(EnvironmentTests))]
public sealed class KeyedTests
{
    internal static string Backend(IServiceCollection services, string key)
    {
        using ServiceProvider provider = services.BuildServiceProvider();
        return provider.GetRequiredKeyedService<Netpoller>(key).Backend;
    }

    [Fact]
    public async Task Stacks_stand_side_by_side_each_over_a_poller_of_its_own()
    {
        ServiceCollection services = new();
        services.AddPoller().UseEpoll();
        services.AddPoller("front", o => o.Loops = 2).UsePosix();
        services.AddPoller("back").AddBackend<TheirFactory>();
        await using ServiceProvider provider = services.BuildServiceProvider();

        Netpoller plain = provider.GetRequiredService<Netpoller>();
        Netpoller front = provider.GetRequiredKeyedService<Netpoller>("front");
        Netpoller back = provider.GetRequiredKeyedService<Netpoller>("back");
        Assert.Equal(("epoll", 1), (plain.Backend, plain.LoopCount));
        Assert.Equal(("posix", 2), (front.Backend, front.LoopCount));
        Assert.Equal(("theirs", 1), (back.Backend, back.LoopCount));
        Assert.Equal("theirs", provider.GetRequiredKeyedService<INetpollFactory>("back").Name);

        NetStack[] stacks = [provider.GetRequiredService<NetStack>(), provider.GetRequiredKeyedService<NetStack>("front"), provider.GetRequiredKeyedService<NetStack>("back")];
        Assert.Equal(3, stacks.Distinct().Count());
        foreach (NetStack stack in stacks) await stack.EchoAsync();
        Assert.All([plain, front, back], static poller => Assert.NotEqual(0, poller.Statistics.Events));
    }

    [Fact]
    public void A_keyed_poller_has_its_own_part_of_the_configuration()
    {
        ServiceCollection services = Services.With(s => s.AddSettings(("Poller:Backend", "epoll-level"), ("Poller:a:Backend", "posix")));
        services.AddPoller("a");
        services.AddPoller("b");
        Assert.Equal("posix", Backend(services, "a"));
        Assert.Equal("epoll", Backend(services, "b"));
    }

    [Fact]
    public void An_empty_key_is_refused() => Assert.Throws<ArgumentException>(() => new ServiceCollection().AddPoller(""));
}
