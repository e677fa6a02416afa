using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>Each way to choose the backend, and which of two wins. On Linux, where epoll and posix work.</summary>
[Collection(nameof(EnvironmentTests))]
public sealed class SwappingTests
{
    [Fact]
    public async Task Without_a_word_it_is_the_best_that_works_here_and_it_serves()
    {
        await using ServiceProvider provider = Services.With(s => s.AddPoller()).BuildServiceProvider();
        Netpoller poller = provider.GetRequiredService<Netpoller>();
        Assert.Equal("epoll", poller.Backend);
        Assert.Equal(NetpollDispatch.Adaptive, poller.Dispatch);
        Assert.Equal(1, poller.LoopCount);
        await provider.GetRequiredService<NetStack>().EchoAsync();
    }

    [Theory]
    [InlineData("epoll"), InlineData("epoll-level"), InlineData("posix"), InlineData("POSIX")]
    public async Task Code_names_the_backend(string name)
    {
        await using ServiceProvider provider = Services.With(s => s.AddPoller(o => o.Backend = name)).BuildServiceProvider();
        Assert.Equal(name.ToLowerInvariant(), provider.GetRequiredService<Netpoller>().Backend);
        await provider.GetRequiredService<NetStack>().EchoAsync();
    }

    [Fact]
    public void Code_sets_the_dispatch_and_the_loops_and_the_services_give_the_clock()
    {
        FakeTimeProvider clock = new();
        ServiceCollection services = Services.With(s => s.AddSingleton<TimeProvider>(clock).AddPoller(o =>
        {
            o.Dispatch = NetpollDispatch.Inline;
            o.Loops = 3;
            o.MaxBlockedHandlers = 5;
        }));
        using ServiceProvider provider = services.BuildServiceProvider();
        Netpoller poller = provider.GetRequiredService<Netpoller>();
        Assert.Equal(NetpollDispatch.Inline, poller.Dispatch);
        Assert.Equal(3, poller.LoopCount);
        Assert.Equal(5, poller.MaxBlockedHandlers);
        Assert.Same(clock, poller.TimeProvider);
    }

    [Fact]
    public void The_builder_names_the_backend_over_the_code()
    {
        Assert.Equal("epoll", Services.With(s => s.AddPoller(o => o.Backend = "posix").UseEpoll()).Backend());
        Assert.Equal(
            "epoll-level",
            Services.With(s => s.AddPoller(o => o.Backend = "posix").UseEpoll(new() { Trigger = PollTrigger.Level })).Backend());
        Assert.Equal("posix", Services.With(s => s.AddPoller(o => o.Backend = "epoll").UsePosix()).Backend());
    }

    [Fact]
    public void The_builder_stands_above_code_that_comes_after_it() => Assert.Equal("epoll-level", Services.With(s =>
    {
        s.AddPoller().UseEpoll(new EpollNetpollOptions { Trigger = PollTrigger.Level });
        s.AddPoller(o => o.Backend = "posix");
    }).Backend());

    [Fact]
    public void The_configuration_may_ask_for_auto_over_the_builder() =>
        Assert.Equal("epoll", Services.With(s => s.AddSettings(("Poller:Backend", "auto")).AddPoller().UsePosix()).Backend());

    [Fact]
    public void The_latest_word_of_the_builder_holds()
    {
        Assert.Equal("posix", Services.With(s => s.AddPoller().UseEpoll().UsePosix()).Backend());
        Assert.Equal("epoll", Services.With(s =>
        {
            s.AddPoller().UsePosix();
            s.AddPoller().UseEpoll();
        }).Backend());
    }

    [Fact]
    public void The_configuration_names_the_backend_over_the_builder()
    {
        ServiceCollection services = Services.With(s => s
            .AddSettings(("Poller:Backend", "posix"), ("Poller:Dispatch", "threadpool"),
                ("Poller:Loops", "2"), ("Poller:MaxBlockedHandlers", "7"))
            .AddPoller(o => o.Dispatch = NetpollDispatch.Inline).UseEpoll());
        using ServiceProvider provider = services.BuildServiceProvider();
        Netpoller poller = provider.GetRequiredService<Netpoller>();
        Assert.Equal("posix", poller.Backend);
        Assert.Equal(NetpollDispatch.ThreadPool, poller.Dispatch);
        Assert.Equal(2, poller.LoopCount);
        Assert.Equal(7, poller.MaxBlockedHandlers);
    }

    [Fact]
    public void An_empty_setting_is_none() =>
        Assert.Equal("posix", Services.With(s => s.AddSettings(("Poller:Backend", "")).AddPoller().UsePosix()).Backend());

    [Fact]
    public void Auto_tries_an_added_backend_first()
    {
        Assert.Equal("theirs", Services.With(s => s.AddPoller().AddFactory<TheirFactory>()).Backend());
        Assert.Equal("epoll", Services.With(s => s.AddPoller().AddFactory<AbsentFactory>()).Backend());
        Assert.Equal("theirs", Services.With(s => s.AddPoller().AddFactory<AbsentFactory>().AddFactory<TheirFactory>()).Backend());
    }

    [Fact]
    public async Task An_added_backend_is_named_as_any_other_and_serves()
    {
        ServiceCollection services =
            Services.With(s => s.AddSettings(("Poller:Backend", "theirs")).AddPoller().AddFactory<TheirFactory>().UseEpoll());
        await using ServiceProvider provider = services.BuildServiceProvider();
        Assert.Equal("theirs", provider.GetRequiredService<INetpollFactory>().Name);
        await provider.GetRequiredService<NetStack>().EchoAsync();
    }

    [Fact]
    public void An_added_backend_takes_the_place_of_one_of_the_same_name()
    {
        NamedFactory mine = new("epoll");
        using ServiceProvider provider = Services.With(s => s.AddPoller(o => o.Factories.Add(mine)).UseEpoll()).BuildServiceProvider();
        provider.GetRequiredService<INetpollFactory>().Create().Dispose();
        Assert.Equal(1, mine.Created);
    }

    [Fact]
    public void Auto_logs_what_it_chose_and_why_it_passed_others_over()
    {
        Log log = new();
        Assert.Equal("epoll", Services.With(s => s.AddLog(log).AddPoller().AddFactory<AbsentFactory>()).Backend());
        Assert.Equal(
            [
                "Poller.DependencyInjection: Backend \"auto\": passed absent over: it needs another machine.",
                "Poller.DependencyInjection: Backend \"auto\": took epoll, the first of absent, epoll, kqueue, posix that works here.",
            ],
            log.Lines);
    }

    [Fact]
    public void A_setting_that_a_poller_does_not_have_is_logged()
    {
        Log log = new();
        ServiceCollection services = Services.With(s => s.AddLog(log).AddSettings(
            ("Poller:Backned", "posix"), ("Poller:a:Loops", "2"), ("Poller:Empty", ""),
            ("Poller:Keyed:a:Loop", "2"), ("Poller:Keyed:b:Loops", "2")));
        services.AddPoller().UsePosix();
        services.AddKeyedPoller("a").UsePosix();
        using ServiceProvider provider = services.BuildServiceProvider();
        Assert.NotNull(provider.GetRequiredService<Netpoller>());
        Assert.NotNull(provider.GetRequiredKeyedService<Netpoller>("a"));
        Assert.Equal(
            [
                "Poller:Backned is no setting of a poller; Backend, Dispatch, Loops, MaxBlockedHandlers or Keyed was expected.",
                "Poller:Keyed:a:Loop is no setting of a poller; Backend, Dispatch, Loops or MaxBlockedHandlers was expected.",
                "Poller:Keyed:b: no poller has this key; AddKeyedPoller with it was expected.",
                "Poller:a is no setting of a poller; Backend, Dispatch, Loops, MaxBlockedHandlers or Keyed was expected.",
            ],
            log.Lines.Where(static line => line.EndsWith("expected.", StringComparison.Ordinal))
                .Select(static line => line["Poller.DependencyInjection: ".Length..]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_named_backend_is_logged_with_the_setting_that_names_it()
    {
        Log log = new();
        Assert.Equal("posix", Services.With(s => s.AddLog(log).AddSettings(("Poller:Backend", "posix")).AddPoller().UseEpoll()).Backend());
        Assert.Equal(["Poller.DependencyInjection: Poller:Backend: took posix."], log.Lines);
    }

    [Theory, InlineData(true), InlineData(false)]
    public async Task A_factory_of_the_services_is_the_backend_whatever_the_options_name(bool comesFirst)
    {
        Log log = new();
        ServiceCollection services = Services.With(s => s.AddLog(log).AddSettings(("Poller:Backend", "eqoll")));
        if (comesFirst) services.AddSingleton<INetpollFactory, TheirFactory>();
        services.AddPoller();
        if (!comesFirst) services.AddSingleton<INetpollFactory, TheirFactory>();
        await using ServiceProvider provider = services.BuildServiceProvider();
        provider.GetRequiredService<IStartupValidator>().Validate();
        Assert.Equal("theirs", provider.GetRequiredService<Netpoller>().Backend);
        Assert.Contains(
            "Poller.DependencyInjection: Took theirs, the INetpollFactory that the services have of their own. "
            + "It overrides Poller:Backend \"eqoll\".",
            log.Lines);
    }

    [Fact]
    public void A_keyed_factory_of_the_services_is_the_backend_of_its_key_alone()
    {
        ServiceCollection services = Services.With(static s => s.AddKeyedSingleton<INetpollFactory, TheirFactory>("a"));
        services.AddKeyedPoller("a", static o => o.Backend = "eqoll");
        services.AddKeyedPoller("b", static o => o.Backend = "posix");
        Assert.Equal("theirs", KeyedTests.Backend(services, "a"));
        Assert.Equal("posix", KeyedTests.Backend(services, "b"));
        ValidationTests.AssertFails(
            Services.With(s => s.AddKeyedSingleton<INetpollFactory, TheirFactory>("a").AddPoller(static o => o.Backend = "eqoll")),
            "Backend \"eqoll\": auto, epoll, epoll-level, kqueue or posix was expected.");
    }
}
