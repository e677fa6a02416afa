using Microsoft.Extensions.DependencyInjection;
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
        }));
        using ServiceProvider provider = services.BuildServiceProvider();
        Netpoller poller = provider.GetRequiredService<Netpoller>();
        Assert.Equal(NetpollDispatch.Inline, poller.Dispatch);
        Assert.Equal(3, poller.LoopCount);
        Assert.Same(clock, poller.TimeProvider);
    }

    [Fact]
    public void The_builder_names_the_backend_over_the_code()
    {
        Assert.Equal("epoll", Services.With(s => s.AddPoller(o => o.Backend = "posix").UseEpoll()).Backend());
        Assert.Equal("epoll-level", Services.With(s => s.AddPoller(o => o.Backend = "posix").UseEpoll(new EpollNetpollOptions { Trigger = PollTrigger.Level })).Backend());
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
            .AddSettings(("Poller:Backend", "posix"), ("Poller:Dispatch", "threadpool"), ("Poller:Loops", "2"))
            .AddPoller(o => o.Dispatch = NetpollDispatch.Inline).UseEpoll());
        using ServiceProvider provider = services.BuildServiceProvider();
        Netpoller poller = provider.GetRequiredService<Netpoller>();
        Assert.Equal("posix", poller.Backend);
        Assert.Equal(NetpollDispatch.ThreadPool, poller.Dispatch);
        Assert.Equal(2, poller.LoopCount);
    }

    [Fact]
    public void An_empty_setting_is_none() => Assert.Equal("posix", Services.With(s => s.AddSettings(("Poller:Backend", "")).AddPoller().UsePosix()).Backend());

    [Fact]
    public void Auto_tries_an_added_backend_first()
    {
        Assert.Equal("theirs", Services.With(s => s.AddPoller().AddBackend<TheirFactory>()).Backend());
        Assert.Equal("epoll", Services.With(s => s.AddPoller().AddBackend<AbsentFactory>()).Backend());
        Assert.Equal("theirs", Services.With(s => s.AddPoller().AddBackend<AbsentFactory>().AddBackend<TheirFactory>()).Backend());
    }

    [Fact]
    public async Task An_added_backend_is_named_as_any_other_and_serves()
    {
        ServiceCollection services = Services.With(s => s.AddSettings(("Poller:Backend", "theirs")).AddPoller().AddBackend<TheirFactory>().UseEpoll());
        await using ServiceProvider provider = services.BuildServiceProvider();
        Assert.Equal("theirs", provider.GetRequiredService<INetpollFactory>().Name);
        await provider.GetRequiredService<NetStack>().EchoAsync();
    }

    [Fact]
    public void An_added_backend_takes_the_place_of_one_of_the_same_name()
    {
        NamedFactory mine = new("epoll");
        using ServiceProvider provider = Services.With(s => s.AddPoller(o => o.Backends.Add(mine)).UseEpoll()).BuildServiceProvider();
        provider.GetRequiredService<INetpollFactory>().Create().Dispose();
        Assert.Equal(1, mine.Created);
    }

    [Fact]
    public void Auto_logs_what_it_chose_and_why_it_passed_others_over()
    {
        Log log = new();
        Assert.Equal("epoll", Services.With(s => s.AddLog(log).AddPoller().AddBackend<AbsentFactory>()).Backend());
        Assert.Equal(
            [
                "Poller.DependencyInjection: Backend auto: absent was passed over: it needs another machine.",
                "Poller.DependencyInjection: Backend auto: epoll it is, the first of absent, epoll, kqueue, posix that works here.",
            ],
            log.Lines);
    }

    [Fact]
    public void A_setting_that_a_poller_does_not_have_is_logged()
    {
        Log log = new();
        Services.With(s => s.AddLog(log).AddSettings(("Poller:Backned", "posix"), ("Poller:a:Loops", "2")).AddPoller().UseEpoll()).Backend();
        Assert.Contains("Poller.DependencyInjection: Poller:Backned is no setting of a poller; Backend, Dispatch or Loops was expected.", log.Lines);
        Assert.DoesNotContain(log.Lines, static line => line.Contains("Poller:a", StringComparison.Ordinal));
    }

    [Fact]
    public void A_named_backend_is_logged_with_the_setting_that_names_it()
    {
        Log log = new();
        Assert.Equal("posix", Services.With(s => s.AddLog(log).AddSettings(("Poller:Backend", "posix")).AddPoller().UseEpoll()).Backend());
        Assert.Equal(["Poller.DependencyInjection: Poller:Backend: posix it is."], log.Lines);
    }
}
