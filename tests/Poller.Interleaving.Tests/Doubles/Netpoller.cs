using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>The members of Netpoller that a PollLoop uses.</summary>
internal sealed class Netpoller(TimeProvider clock, NetpollDispatch dispatch)
{
    public TimeProvider TimeProvider => clock;

    public NetpollDispatch Dispatch => dispatch;

    public int MaxBlockedHandlers => 1;

    public Sysmon? Sysmon { get; set; }

    public void Warn(string message) => throw new InvariantException(message);

    public void Report(string operation, Exception exception) => throw new InvariantException($"{operation}: {exception}");
}
