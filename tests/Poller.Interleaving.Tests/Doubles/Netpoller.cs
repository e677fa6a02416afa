using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>The members of Netpoller that a PollLoop uses.</summary>
internal sealed class Netpoller(TimeProvider clock, NetpollDispatch dispatch, int maxBlockedHandlers)
{
    public TimeProvider TimeProvider => clock;

    public NetpollDispatch Dispatch => dispatch;

    public int MaxBlockedHandlers => maxBlockedHandlers;

    public PollerMetrics Metrics { get; } = new();

    public Sysmon? Sysmon { get; set; }

    /// <summary>The only warning is that all places are taken, which a scenario may lead to.</summary>
    public void Warn(string message) { }

    /// <summary>The explorer may keep a thread from coming back for any time.</summary>
    public void NoteStall(PollLoop loop, in HandlerTrace trace, TimeSpan stall, bool isOver) { }

    /// <summary>How often a failure of the backend was reported.</summary>
    public int Reports { get; private set; }

    public void Report(string operation, Exception exception)
    {
        if (!operation.Contains("the backend failed", StringComparison.Ordinal)) throw new InvariantException($"{operation}: {exception}");
        Reports++;
    }
}
