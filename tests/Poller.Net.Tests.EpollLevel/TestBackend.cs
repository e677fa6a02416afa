using Poller.Abstractions;
using Poller.Epoll;

namespace Poller.Net.Tests;

/// <summary>The net layer's tests over epoll, level-triggered.</summary>
internal static class TestBackend
{
    public static INetpollFactory Factory { get; } = new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level });
}
