using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>What is said of options that cannot be, and when.</summary>
[Collection(nameof(EnvironmentTests))]
public sealed class ValidationTests
{
    private const string Expected = "auto, epoll, epoll-level, kqueue or posix was expected.";

    /// <summary>That the poller is not made, for these reasons.</summary>
    internal static void AssertFails(IServiceCollection services, params string[] messages)
    {
        using ServiceProvider provider = services.BuildServiceProvider();
        OptionsValidationException e = Assert.Throws<OptionsValidationException>(provider.GetRequiredService<NetStack>);
        Assert.Equal(messages, e.Failures);
    }

    [Theory, InlineData("eqoll"), InlineData(""), InlineData(" "), InlineData(null)]
    public void A_backend_that_nobody_knows(string? name) =>
        AssertFails(Services.With(s => s.AddPoller(o => o.Backend = name!)), $"Backend \"{name}\": {Expected}");

    [Fact]
    public void A_backend_that_nobody_knows_beside_one_that_was_added() =>
        AssertFails(
            Services.With(s => s.AddPoller(o => o.Backend = "eqoll").AddFactory<TheirFactory>()),
            "Backend \"eqoll\": auto, theirs, epoll, epoll-level, kqueue or posix was expected.");

    [Fact]
    public void A_backend_that_does_not_work_here() =>
        AssertFails(
            Services.With(s => s.AddPoller(o => o.Backend = "absent").AddFactory<AbsentFactory>()),
            "Backend \"absent\": it needs another machine.");

    [Fact]
    public void Loops_out_of_their_range()
    {
        AssertFails(Services.With(s => s.AddPoller(o => o.Loops = 0)), "Loops \"0\": a whole number from 1 to 1024 was expected.");
        AssertFails(Services.With(s => s.AddPoller(o => o.Loops = 1025)), "Loops \"1025\": a whole number from 1 to 1024 was expected.");
    }

    [Fact]
    public void Blocked_handlers_out_of_their_range()
    {
        const string Numbers = "a whole number from 1 to 32767 was expected.";
        AssertFails(Services.With(s => s.AddPoller(o => o.MaxBlockedHandlers = 0)), $"MaxBlockedHandlers \"0\": {Numbers}");
        AssertFails(Services.With(s => s.AddPoller(o => o.MaxBlockedHandlers = 32_768)), $"MaxBlockedHandlers \"32768\": {Numbers}");
        AssertFails(
            Services.With(s => s.AddSettings(("Poller:MaxBlockedHandlers", "many")).AddPoller()),
            $"Poller:MaxBlockedHandlers \"many\": {Numbers}");
    }

    [Fact]
    public void The_greatest_counts_are_those_that_a_poller_takes()
    {
        using ServiceProvider provider = Services
            .With(s => s.AddPoller(o => (o.Loops, o.MaxBlockedHandlers) = (1024, 32_767))).BuildServiceProvider();
        Netpoller poller = provider.GetRequiredService<Netpoller>();
        Assert.Equal((1024, 32_767), (poller.LoopCount, poller.MaxBlockedHandlers));
    }

    [Fact]
    public void A_dispatch_there_is_not() =>
        AssertFails(
            Services.With(s => s.AddPoller(o => o.Dispatch = (NetpollDispatch)7)),
            "Dispatch \"7\": Adaptive, Inline or ThreadPool was expected.");

    [Fact]
    public void No_factory_is_refused_where_it_is_added()
    {
        PollerOptions options = new();
        Assert.Throws<ArgumentNullException>(() => options.Factories.Add(null!));
        options.Factories.Add(new TheirFactory());
        Assert.Throws<ArgumentNullException>(() => options.Factories[0] = null!);
        Assert.Throws<ArgumentNullException>(() => options.Factories.Insert(0, null!));
    }

    [Fact]
    public void All_that_is_wrong_is_said_at_once() =>
        AssertFails(
            Services.With(s => s.AddPoller(o => (o.Backend, o.Loops) = ("x", -1))),
            $"Backend \"x\": {Expected}",
            "Loops \"-1\": a whole number from 1 to 1024 was expected.");

    [Fact]
    public void A_setting_is_named_as_the_configuration_has_it()
    {
        AssertFails(Services.With(s => s.AddSettings(("Poller:Backend", "x")).AddPoller()), $"Poller:Backend \"x\": {Expected}");
        AssertFails(
            Services.With(s => s.AddSettings(("Poller:Loops", "0")).AddPoller()),
            "Poller:Loops \"0\": a whole number from 1 to 1024 was expected.");
        AssertFails(
            Services.With(s => s.AddSettings(("Poller:Backend", "x"), ("Poller:Dispatch", "3"), ("Poller:Loops", "two")).AddPoller()),
            $"Poller:Backend \"x\": {Expected}",
            "Poller:Dispatch \"3\": Adaptive, Inline or ThreadPool was expected.",
            "Poller:Loops \"two\": a whole number from 1 to 1024 was expected.");
    }

    [Fact]
    public void A_section_of_another_shape()
    {
        AssertFails(
            Services.With(s => s.AddSettings(("Poller", "posix")).AddPoller()),
            "Poller \"posix\": a section with Backend, Dispatch, Loops, MaxBlockedHandlers or Keyed was expected.");
        AssertFails(
            Services.With(s => s.AddSettings(("Poller:Backend:0", "posix")).AddPoller()),
            "Poller:Backend: one value was expected, and it has several parts.");
    }

    [Fact]
    public void A_backend_that_code_sets_after_the_configuration_is_not_named_as_the_configuration_has_it() =>
        AssertFails(
            Services.With(s =>
            {
                s.AddSettings(("Poller:Backend", "posix")).AddPoller();
                s.PostConfigure<PollerOptions>(o => o.Backend = "x");
            }),
            $"Backend \"x\": {Expected}");

    [Fact]
    public async Task A_host_does_not_start_with_options_that_cannot_be()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddPoller(o => o.Backend = "x");
        builder.Services.AddKeyedPoller("a", o => o.Loops = 0);
        using IHost host = builder.Build();
        AggregateException all = await Assert.ThrowsAsync<AggregateException>(() => host.StartAsync());
        Assert.Equal(
            [$"Backend \"x\": {Expected}", "Loops of poller \"a\" \"0\": a whole number from 1 to 1024 was expected."],
            all.InnerExceptions.Cast<OptionsValidationException>().SelectMany(static e => e.Failures).Order());
    }
}
