using Poller.Abstractions;
using Poller.Epoll;

namespace Poller.Level.Tests;

/// <summary>The backend that the tests of level-triggering run over here.</summary>
internal static class LevelBackend
{
    public static INetpollFactory Factory { get; } = new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level });
}
