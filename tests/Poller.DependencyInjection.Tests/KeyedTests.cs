using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
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
        services.AddKeyedPoller("front", o => o.Loops = 2).UsePosix();
        services.AddKeyedPoller("back").AddFactory<TheirFactory>();
        await using ServiceProvider provider = services.BuildServiceProvider();

        Netpoller plain = provider.GetRequiredService<Netpoller>();
        Netpoller front = provider.GetRequiredKeyedService<Netpoller>("front");
        Netpoller back = provider.GetRequiredKeyedService<Netpoller>("back");
        Assert.Equal(("epoll", 1), (plain.Backend, plain.LoopCount));
        Assert.Equal(("posix", 2), (front.Backend, front.LoopCount));
        Assert.Equal(("theirs", 1), (back.Backend, back.LoopCount));
        Assert.Equal("theirs", provider.GetRequiredKeyedService<INetpollFactory>("back").Name);

        NetStack[] stacks =
        [
            provider.GetRequiredService<NetStack>(),
            provider.GetRequiredKeyedService<NetStack>("front"),
            provider.GetRequiredKeyedService<NetStack>("back"),
        ];
        Assert.Equal(3, stacks.Distinct().Count());
        foreach (NetStack stack in stacks) await stack.EchoAsync();
        Assert.All([plain, front, back], static poller => Assert.NotEqual(0, poller.Statistics.Events));
    }

    [Fact]
    public void A_keyed_poller_has_its_own_part_of_the_configuration()
    {
        ServiceCollection services =
            Services.With(s => s.AddSettings(("Poller:Backend", "epoll-level"), ("Poller:Keyed:a:Backend", "posix")));
        services.AddKeyedPoller("a");
        services.AddKeyedPoller("b");
        Assert.Equal("posix", Backend(services, "a"));
        Assert.Equal("epoll", Backend(services, "b"));
    }

    [Theory, InlineData("Loops"), InlineData("Dispatch"), InlineData("Backend"), InlineData("Keyed"), InlineData("poller")]
    public void A_key_that_is_the_name_of_a_setting_is_as_good_as_any_other(string key)
    {
        Log log = new();
        ServiceCollection services = Services.With(s => s
            .AddLog(log)
            .AddSettings(("Poller:Backend", "epoll-level"), ($"Poller:Keyed:{key}:Backend", "posix"), ($"Poller:Keyed:{key}:Loops", "2"))
            .AddPoller());
        services.AddKeyedPoller(key);
        using ServiceProvider provider = services.BuildServiceProvider();
        Netpoller plain = provider.GetRequiredService<Netpoller>(), keyed = provider.GetRequiredKeyedService<Netpoller>(key);
        Assert.Equal(("epoll-level", 1, "posix", 2), (plain.Backend, plain.LoopCount, keyed.Backend, keyed.LoopCount));
        Assert.DoesNotContain(log.Lines, static line => line.Contains("expected", StringComparison.Ordinal));
    }

    [Fact]
    public void Any_object_is_a_key()
    {
        object[] keys = [1, "1", DayOfWeek.Monday, typeof(KeyedTests), new object(), new object()];
        ServiceCollection services = new();
        foreach (object key in keys) services.AddKeyedPoller(key, o => o.Loops = Array.IndexOf(keys, key) + 1).UsePosix();
        using ServiceProvider provider = services.BuildServiceProvider();
        Assert.Equal([1, 2, 3, 4, 5, 6], keys.Select(key => provider.GetRequiredKeyedService<Netpoller>(key).LoopCount));
        Assert.Equal(6, keys.Select(key => provider.GetRequiredKeyedService<NetStack>(key)).Distinct().Count());
        Assert.Null(provider.GetService<Netpoller>());
    }

    [Fact]
    public void Equal_keys_are_one_poller()
    {
        ServiceCollection services = new();
        services.AddKeyedPoller(DayOfWeek.Monday).UsePosix();
        services.AddKeyedPoller(DayOfWeek.Monday, static o => o.Loops = 2);
        using ServiceProvider provider = services.BuildServiceProvider();
        Netpoller poller = Assert.Single(provider.GetKeyedServices<Netpoller>(DayOfWeek.Monday));
        Assert.Equal(("posix", 2), (poller.Backend, poller.LoopCount));
    }

    [Fact]
    public void The_text_of_a_key_names_its_section()
    {
        ServiceCollection services = Services.With(s => s.AddSettings(("Poller:Keyed:Monday:Loops", "2"), ("Poller:Keyed:a:Loops", "3")));
        services.AddKeyedPoller(DayOfWeek.Monday);
        services.AddKeyedPoller("a");
        services.AddKeyedPoller("a:Loops"); // No section can have this name, and it reads none.
        using ServiceProvider provider = services.BuildServiceProvider();
        Assert.Equal(2, provider.GetRequiredKeyedService<Netpoller>(DayOfWeek.Monday).LoopCount);
        Assert.Equal(3, provider.GetRequiredKeyedService<Netpoller>("a").LoopCount);
        Assert.Equal(1, provider.GetRequiredKeyedService<Netpoller>("a:Loops").LoopCount);
    }

    [Fact]
    public void A_message_names_the_key()
    {
        ServiceCollection services = new();
        services.AddKeyedPoller(DayOfWeek.Monday, static o => o.Loops = 0);
        using ServiceProvider provider = services.BuildServiceProvider();
        OptionsValidationException e =
            Assert.Throws<OptionsValidationException>(() => provider.GetRequiredKeyedService<Netpoller>(DayOfWeek.Monday));
        Assert.Equal(["Loops of poller \"Monday\" \"0\": a whole number from 1 to 1024 was expected."], e.Failures);
    }

    [Fact]
    public void No_key_is_refused()
    {
        Assert.Throws<ArgumentException>(static () => new ServiceCollection().AddKeyedPoller(""));
        Assert.Throws<ArgumentNullException>(static () => new ServiceCollection().AddKeyedPoller(null!));
    }
}
