namespace Poller.Net;

/// <summary>
/// What a <see cref="Netpoller"/> has done since it was made, over all its loops. Read without a lock: the figures may be a moment apart.
/// </summary>
public readonly record struct NetpollerStatistics
{
    /// <summary>Calls to <see cref="Abstractions.INetpoll.Poll"/>.</summary>
    public long Polls { get; init; }

    /// <summary>Events those calls returned.</summary>
    public long Events { get; init; }

    /// <summary>
    /// Times a sleeping poll was asked to return: for a close, a cancellation, an earlier deadline. Several may end one poll.
    /// </summary>
    public long Breaks { get; init; }

    /// <summary>Times another thread took over from a leader that still ran a continuation.</summary>
    public long Promotions { get; init; }

    /// <summary>
    /// Threads of the loops that run handlers beside the leaders now: each is caught in one that blocks or computes, or helps to run a
    /// batch. <see cref="NetpollerOptions.MaxBlockedHandlers"/> bounds it for each loop.
    /// </summary>
    public long BlockedHandlers { get; init; }

    /// <summary>
    /// Handlers that found <see cref="NetpollerOptions.MaxBlockedHandlers"/> reached. They waited for one of those threads, or for a thread
    /// of the pool.
    /// </summary>
    public long Overflows { get; init; }

    /// <summary>
    /// Reports that were lost: the logger or the standard error stream did not take them, or did so too slowly. The next one that gets
    /// through tells how many.
    /// </summary>
    public long DroppedReports { get; init; }

    internal static NetpollerStatistics Sum(NetpollerStatistics one, NetpollerStatistics other) => new()
    {
        Polls = one.Polls + other.Polls,
        Events = one.Events + other.Events,
        Breaks = one.Breaks + other.Breaks,
        Promotions = one.Promotions + other.Promotions,
        BlockedHandlers = one.BlockedHandlers + other.BlockedHandlers,
        Overflows = one.Overflows + other.Overflows,
    };
}
