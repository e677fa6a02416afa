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

    internal static NetpollerStatistics Sum(NetpollerStatistics one, NetpollerStatistics other) => new()
    {
        Polls = one.Polls + other.Polls,
        Events = one.Events + other.Events,
        Breaks = one.Breaks + other.Breaks,
        Promotions = one.Promotions + other.Promotions,
    };
}
