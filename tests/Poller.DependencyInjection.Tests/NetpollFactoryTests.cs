using Poller.Abstractions;
using Poller.Kqueue;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>The backends without services. On Linux, where epoll and posix work.</summary>
public sealed class NetpollFactoryTests
{
    [Fact]
    public async Task A_poller_over_the_best_backend_serves()
    {
        using Netpoller poller = new(NetpollFactory.Best);
        Assert.Equal("epoll", poller.Backend);
        await new NetStack(poller).EchoAsync();
    }

    [Theory]
    [InlineData("auto", "epoll"), InlineData("AUTO", "epoll"), InlineData("epoll", "epoll")]
    [InlineData("epoll-level", "epoll-level"), InlineData("posix", "posix"), InlineData("Posix", "posix")]
    public void A_backend_has_a_name(string name, string backend)
    {
        using INetpoll poll = NetpollFactory.Named(name).Create();
        poll.Init();
        Assert.Equal(backend, poll.Name);
    }

    [Theory, InlineData(""), InlineData("eqoll"), InlineData("posix ")]
    public void A_name_that_no_backend_has_is_refused(string name)
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => NetpollFactory.Named(name));
        Assert.StartsWith(
            $"backend \"{name}\": auto, epoll, epoll-level, kqueue or posix was expected.",
            e.Message,
            StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(static () => NetpollFactory.Named(null!));
    }

    [Fact]
    public void A_backend_that_does_not_work_here_says_why()
    {
        // On Linux with a kqueue library it does.
        if (new KqueueNetpollFactory().IsSupported(out string? reason))
        {
            Assert.Equal("kqueue", NetpollFactory.Named("kqueue").Name);
            return;
        }
        PlatformNotSupportedException e = Assert.Throws<PlatformNotSupportedException>(static () => NetpollFactory.Named("kqueue"));
        Assert.Equal($"backend \"kqueue\": {reason}.", e.Message);
    }
}
