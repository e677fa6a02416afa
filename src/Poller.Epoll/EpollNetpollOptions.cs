using Poller.Abstractions;

namespace Poller.Epoll;

/// <summary>How an <see cref="EpollNetpoll"/> works. The default is right for nearly every program.</summary>
public sealed record EpollNetpollOptions
{
    /// <summary>
    /// When the poller reports readiness. With <see cref="PollTrigger.Edge"/>, the default, registering takes one system call for the life
    /// of a descriptor. With <see cref="PollTrigger.Level"/> each <see cref="INetpoll.Arm"/> takes one more, and so does an event that
    /// leaves the other direction armed; the backend is then called <c>epoll-level</c>.
    /// </summary>
    public PollTrigger Trigger { get; init; } = PollTrigger.Edge;
}
