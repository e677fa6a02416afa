namespace Poller.Net;

/// <summary>
/// What a <see cref="Netpoller"/> has done since it was created, over all its loops. The figures are read without a lock, so they may come
/// from slightly different moments.
/// </summary>
public readonly record struct NetpollerStatistics
{
    /// <summary>The number of calls to <see cref="Abstractions.INetpoll.Poll"/>.</summary>
    public long Polls { get; init; }

    /// <summary>The number of events that those calls returned.</summary>
    public long Events { get; init; }

    /// <summary>
    /// How often a sleeping poll was asked to return, for example by a close, a cancellation or an earlier deadline. Several requests may
    /// end one poll.
    /// </summary>
    public long Breaks { get; init; }

    /// <summary>How often another thread took over from a leader that still ran a continuation.</summary>
    public long Promotions { get; init; }

    /// <summary>
    /// The number of threads that run handlers beside the leaders right now. Each is in a handler that blocks or computes, or helps to run
    /// a batch. <see cref="NetpollerOptions.MaxBlockedHandlers"/> bounds it for each loop.
    /// </summary>
    public long BlockedHandlers { get; init; }

    /// <summary>
    /// The number of handlers that came when <see cref="NetpollerOptions.MaxBlockedHandlers"/> was reached. They had to wait for one of
    /// those threads, or for a thread of the pool.
    /// </summary>
    public long Overflows { get; init; }

    /// <summary>
    /// The number of lost reports: the logger or the standard error stream did not take them, or took them too slowly. The next report that
    /// is written says how many were lost.
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
