using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>The members of Netpoller that a PollLoop uses.</summary>
internal sealed class Netpoller(TimeProvider clock, NetpollDispatch dispatch, int maxBlockedHandlers)
{
    public TimeProvider TimeProvider => clock;

    public NetpollDispatch Dispatch => dispatch;

    public int MaxBlockedHandlers => maxBlockedHandlers;

    public Sysmon? Sysmon { get; set; }

    /// <summary>How often all places were taken. A scenario in which that may not be checks the number.</summary>
    public int Warnings { get; private set; }

    public void Warn(string message) => Warnings++;

    /// <summary>How often a failure of the backend was reported.</summary>
    public int Reports { get; private set; }

    public void Report(string operation, Exception exception)
    {
        if (!operation.Contains("the backend failed", StringComparison.Ordinal)) throw new InvariantException($"{operation}: {exception}");
        Reports++;
    }
}
