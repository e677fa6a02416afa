using Poller.Abstractions;
using Poller.Epoll;
using Poller.Posix;

namespace Poller.Benchmarks;

/// <summary>The backends that are compared.</summary>
internal static class Backends
{
    public static INetpollFactory Epoll { get; } = new EpollNetpollFactory();

    public static INetpollFactory EpollLevel { get; } = new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level });

    public static INetpollFactory Posix { get; } = new PosixNetpollFactory();
}
