namespace Poller.Net;

/// <summary>What a <see cref="Netpoller"/> has done since it was made, over all its loops. Read without a lock: the figures may be a moment apart.</summary>
/// <param name="Polls">Calls to <see cref="Abstractions.INetpoll.Poll"/>.</param>
/// <param name="Events">Events those calls returned.</param>
/// <param name="Breaks">Times a sleeping poll was asked to return: for a close, a cancellation, an earlier deadline. Several may end one poll.</param>
/// <param name="Promotions">Times a follower took over from a leader that was caught in a continuation.</param>
public readonly record struct NetpollerStatistics(long Polls, long Events, long Breaks, long Promotions);
