namespace Poller.Abstractions;

/// <summary>When a poller reports that a direction is ready.</summary>
public enum PollTrigger
{
    /// <summary>When it becomes ready. The user must read or write until the call would block, and only then wait again.</summary>
    Edge,

    /// <summary>While it is ready, once for each <see cref="INetpoll.Arm"/>.</summary>
    Level,
}
