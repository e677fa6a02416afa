using Microsoft.Extensions.DependencyInjection;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>When things are made, that there is one of each, and in which order they end.</summary>
[Collection(nameof(EnvironmentTests))]
public sealed class LifetimeTests
{
    [Fact]
    public void There_is_one_of_each()
    {
        using ServiceProvider provider = Services.With(s =>
        {
            s.AddPoller();
            s.AddPoller();
        }).BuildServiceProvider();
        using IServiceScope scope = provider.CreateScope();
        Assert.Same(provider.GetRequiredService<NetStack>(), scope.ServiceProvider.GetRequiredService<NetStack>());
        Assert.Same(provider.GetRequiredService<Netpoller>(), scope.ServiceProvider.GetRequiredService<Netpoller>());
        Assert.Same(provider.GetRequiredService<INetpollFactory>(), scope.ServiceProvider.GetRequiredService<INetpollFactory>());
        Assert.Single(provider.GetServices<Netpoller>());
    }

    [Fact]
    public void Nothing_is_made_before_it_is_asked_for()
    {
        List<string> ends = [];
        using (ServiceProvider provider =
            Services.With(s => s.AddSingleton(ends).AddPoller().AddFactory<WatchedFactory>()).BuildServiceProvider())
        {
            Assert.NotNull(provider);
        }
        Assert.Empty(ends);
    }

    [Fact]
    public async Task What_uses_the_poller_ends_before_it_and_all_end_with_the_services()
    {
        List<string> ends = [];
        ServiceCollection services =
            Services.With(s => s.AddSingleton(ends).AddSingleton<Server>().AddPoller().AddFactory<WatchedFactory>());
        ServiceProvider provider = services.BuildServiceProvider();
        Server server = provider.GetRequiredService<Server>();
        Netpoller poller = provider.GetRequiredService<Netpoller>();
        await provider.GetRequiredService<NetStack>().EchoAsync();

        await provider.DisposeAsync();

        Assert.True(server.PollerServed);
        Assert.Equal(["server", "factory"], ends);
        Assert.Throws<ObjectDisposedException>(() => new NetStack(poller).Listen("tcp", "127.0.0.1:0"));
    }

    [Fact]
    public void A_factory_that_was_handed_in_is_not_disposed()
    {
        using NamedFactory mine = new("mine");
        using (ServiceProvider provider = Services.With(s => s.AddPoller(o => o.Factories.Add(mine))).BuildServiceProvider())
        {
            Assert.Equal("mine", provider.GetRequiredService<Netpoller>().Backend);
        }
        Assert.Equal(0, mine.Disposed);
    }

    private sealed class Server(NetStack net, List<string> ends) : IDisposable
    {
        public bool PollerServed { get; private set; }

        public void Dispose()
        {
            using ConnListener listener = net.Listen("tcp", "127.0.0.1:0");
            using Conn conn = net.Dial("tcp", listener.LocalEndPoint.ToString()!);
            PollerServed = true;
            ends.Add("server");
        }
    }
}
