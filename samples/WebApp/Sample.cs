using Poller.Net;

namespace WebApp;

/// <summary>What the page says of the server.</summary>
/// <param name="Backend">The poller's backend; null if there is no poller.</param>
/// <param name="Dispatch">Where handlers run; null if there is no poller.</param>
/// <param name="Loops">The number of the poller's loops.</param>
internal sealed record ServerInfo(string? Backend, string? Dispatch, int Loops)
{
    public static ServerInfo Of(Netpoller? poller) => poller is null
        ? new ServerInfo(null, null, 0)
        : new ServerInfo(poller.Backend, $"{poller.Dispatch}".ToLowerInvariant(), poller.LoopCount);
}

/// <summary>What the server did in a short time.</summary>
/// <param name="Server">The server.</param>
/// <param name="Requests">Requests a second.</param>
/// <param name="Loops">Each loop of the poller.</param>
/// <param name="Stalls">The handlers that came back in this time and had held their threads.</param>
internal sealed record Sample(ServerInfo Server, double Requests, LoopSample[] Loops, Stall[] Stalls);

/// <summary>What one loop did in a short time.</summary>
/// <param name="Connections">The connections that are open.</param>
/// <param name="Polls">Polls a second.</param>
/// <param name="Events">Events that a poll found, on average.</param>
/// <param name="HandOvers">How often another thread has taken the loop over, since the app began.</param>
/// <param name="Blocked">The handlers that hold a thread beside the leader.</param>
/// <param name="MeanDelay">From the poll that found a handler ready to its run, on average, in ms.</param>
/// <param name="LongestDelay">The same of the handler that waited longest.</param>
internal sealed record LoopSample(
    long Connections, double Polls, double Events, long HandOvers, long Blocked, double MeanDelay, double LongestDelay);

/// <summary>A handler that held its thread.</summary>
/// <param name="Loop">The number of the loop.</param>
/// <param name="Handler">The method.</param>
/// <param name="Seconds">For how long.</param>
internal sealed record Stall(int Loop, string Handler, double Seconds);
