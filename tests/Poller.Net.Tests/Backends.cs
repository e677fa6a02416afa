using Poller.Abstractions;
using Poller.Epoll;
using Poller.Posix;

namespace Poller.Net.Tests;

/// <summary>A backend that the net layer's tests run over.</summary>
public interface ITestBackend
{
    /// <summary>The factory of its pollers.</summary>
    static abstract INetpollFactory Factory { get; }
}

/// <summary>epoll, edge-triggered.</summary>
public abstract class EpollBackend : ITestBackend
{
    /// <inheritdoc/>
    public static INetpollFactory Factory { get; } = new EpollNetpollFactory();
}

/// <summary>epoll, level-triggered.</summary>
public abstract class EpollLevelBackend : ITestBackend
{
    /// <inheritdoc/>
    public static INetpollFactory Factory { get; } = new EpollNetpollFactory(new EpollNetpollOptions { Trigger = PollTrigger.Level });
}

/// <summary>poll(2).</summary>
public abstract class PosixBackend : ITestBackend
{
    /// <inheritdoc/>
    public static INetpollFactory Factory { get; } = new PosixNetpollFactory();
}

/// <summary>kqueue, over an emulated kernel.</summary>
public abstract class KqueueBackend : ITestBackend
{
    /// <inheritdoc/>
    public static INetpollFactory Factory { get; } = new EmulatedKqueueFactory();
}
