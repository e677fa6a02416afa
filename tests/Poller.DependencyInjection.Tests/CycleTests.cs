using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Poller.Abstractions;
using Poller.Net;
using Poller.Posix;

namespace Poller.DependencyInjection.Tests;

/// <summary>Factories whose constructor asks for what waits for them.</summary>
[Collection(nameof(EnvironmentTests))]
public sealed class CycleTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task A_factory_that_asks_for_its_poller_is_refused()
    {
        await AssertRefusedAsync<Asks<Netpoller>>();
        await AssertRefusedAsync<Asks<NetStack>>();
        await AssertRefusedAsync<Asks<INetpollFactory>>();
        await AssertRefusedAsync<ReadsOptions>();
    }

    [Fact]
    public async Task A_factory_of_the_services_that_asks_for_its_poller_is_refused()
    {
        ServiceCollection services = Services.With(static s => s.AddSingleton<INetpollFactory, Asks<Netpoller>>().AddPoller());
        await using ServiceProvider provider = services.BuildServiceProvider();
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => Task.Run(provider.GetRequiredService<NetStack>).WaitAsync(Patience));
        Assert.StartsWith(
            "The INetpollFactory of the services asks in its constructor for the poller or",
            e.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Factories_that_ask_for_the_pollers_of_each_other_are_refused()
    {
        ServiceCollection services = new();
        services.AddKeyedPoller("a").AddFactory<AsksKeyed<B>>();
        services.AddKeyedPoller("b").AddFactory<AsksKeyed<A>>();
        await using ServiceProvider provider = services.BuildServiceProvider();
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(
            () => Task.Run(() => provider.GetRequiredKeyedService<Netpoller>("a")).WaitAsync(Patience));
        Assert.Contains("asks in its constructor for poller \"a\"", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_factory_may_ask_for_another_poller()
    {
        ServiceCollection services = new();
        services.AddPoller().UsePosix();
        services.AddKeyedPoller("a").AddFactory<Asks<Netpoller>>();
        Assert.Equal("asks", KeyedTests.Backend(services, "a"));
    }

    // By both ways to it: the poller itself, and a host's start, which validates the options first.
    private static async Task AssertRefusedAsync<TFactory>() where TFactory : class, INetpollFactory
    {
        await Refused(static provider => provider.GetRequiredService<NetStack>());
        await Refused(static provider => provider.GetRequiredService<IStartupValidator>().Validate());

        static async Task Refused(Action<IServiceProvider> ask)
        {
            ServiceProvider provider = Services.With(static s => s.AddPoller().AddFactory<TFactory>()).BuildServiceProvider();
            InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(
                () => Task.Run(() => ask(provider)).WaitAsync(Patience));
            Assert.Equal(
                $"{typeof(TFactory)} asks in its constructor for the poller or for its options, which wait for it; "
                + "a constructor without them was expected.",
                e.Message);
            await provider.DisposeAsync(); // Not where the check fails: a provider that hangs does not end either.
        }
    }

    private sealed class A;

    private sealed class B;

    private sealed class AsksKeyed<TKey>(IServiceProvider services) : Asks<Netpoller>(
        services.GetRequiredKeyedService<Netpoller>(typeof(TKey).Name.ToLowerInvariant()));

    private sealed class ReadsOptions(IOptions<PollerOptions> options) : Asks<PollerOptions>(options.Value);

    private class Asks<T>(T what) : INetpollFactory
    {
        public T What => what;

        public string Name => "asks";

        public bool IsSupported([NotNullWhen(false)] out string? reason)
        {
            reason = null;
            return true;
        }

        public INetpoll Create() => new PosixNetpollFactory().Create();
    }
}
