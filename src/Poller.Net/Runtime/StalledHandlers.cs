namespace Poller.Net;

/// <summary>A handler that held its thread for long, as the log shows it.</summary>
/// <param name="Handler">The handler's method.</param>
/// <param name="Connection">The network and the addresses of its connection, as far as they are known.</param>
/// <param name="Milliseconds">How long it has held its thread.</param>
/// <param name="IsOver">Whether it has come back.</param>
/// <param name="Hidden">How many stalls of this method the log has not shown since it showed one.</param>
internal sealed record StalledHandler(string Handler, string Connection, long Milliseconds, bool IsOver, int Hidden)
{
    /// <summary>What a line about it says of those that the log has not shown.</summary>
    public string More => Hidden == 0 ? ""
        : $"; it did so {(Hidden == 1 ? "once more" : $"{Hidden} more times")} since the last line about it";
}

/// <summary>
/// Which stalls the log shows: of each method the first, and then at most one a second. If it has shown one that was not over, it shows its
/// end too. Safe from any thread.
/// </summary>
internal sealed class StalledHandlers
{
    // In ms. With half the value a method that always blocks writes two lines a second. With double the value, a method that blocks on one
    // connection and then on another within two seconds is shown with the first one alone.
    private const long Interval = 1_000;

    private sealed class Shown
    {
        public long At;
        public int Hidden;

        // The connection of the stall that was shown last, if that was not over.
        public string? Open;
    }

    private readonly Lock _lock = new();

    // Guarded by the lock. The key is a method; a program has only so many.
    private readonly Dictionary<string, Shown> _shown = [];

    /// <summary>Notes a stall at <paramref name="now"/>, a time in ms. Returns what to show; null for nothing.</summary>
    public StalledHandler? Note(string handler, string connection, TimeSpan stall, bool isOver, long now)
    {
        int hidden;
        using (_lock.Hold())
        {
            if (!_shown.TryGetValue(handler, out Shown? shown)) _shown.Add(handler, shown = new Shown { At = now - Interval });
            bool ends = isOver && shown.Open == connection;
            if (now - shown.At < Interval && !ends)
            {
                shown.Hidden++;
                return null;
            }
            hidden = shown.Hidden;
            (shown.At, shown.Hidden, shown.Open) = (now, 0, isOver ? null : connection);
        }
        return new StalledHandler(handler, connection, (long)stall.TotalMilliseconds, isOver, hidden);
    }
}
