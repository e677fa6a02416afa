namespace Poller.Net;

// The twin of the cooperative budget of tokio (tokio/src/task/coop). If every operation of a handler completed at once, the handler would
// never return to the loop, and the other connections would wait.

/// <summary>
/// How many operations may complete at once in one turn. A turn is one continuation that a loop's thread runs. The operation after them
/// goes through the loop, and so does its handler. Only a loop's threads have a budget: the pool and the system share out all other
/// threads.
/// </summary>
internal static class TurnBudget
{
    // As in tokio. With 64, 128 and 256, an echo beside two flooded reads took 0.3, 0.7 and 1.2 ms at the median, and the loop polled once
    // in 128, 215 and 471 reads (inline dispatch, two cores with a load of 30, medians of five rounds). The CPU for a read did not differ.
    // So with half the value the others wait half as long, and with double the value twice as long.
    private const int Operations = 128;

    // What is left of the turn's budget, plus one; 0 outside of a turn.
    [ThreadStatic]
    private static int _left;

    /// <summary>Whether the next operation of this thread must go through the loop.</summary>
    public static bool IsSpent => _left == 1;

    /// <summary>Begins a turn. A loop's thread calls it before each waiter that it runs.</summary>
    public static void BeginTurn() => _left = Operations + 1;

    /// <summary>Notes that an operation of this thread has completed at once.</summary>
    public static void Spend()
    {
        if (_left > 1) _left--;
    }
}
