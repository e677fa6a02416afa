using Poller.Abstractions;

namespace Poller.Epoll;

/// <summary>How an <see cref="EpollNetpoll"/> works. The default is right for nearly every program.</summary>
public sealed record EpollNetpollOptions
{
    /// <summary>
    /// When readiness is reported. <see cref="PollTrigger.Edge"/>, the default, takes one system call for the life of a descriptor;
    /// <see cref="PollTrigger.Level"/> takes one for each <see cref="INetpoll.Arm"/>, and the backend is called <c>epoll-level</c>.
    /// </summary>
    public PollTrigger Trigger { get; init; } = PollTrigger.Edge;
}
