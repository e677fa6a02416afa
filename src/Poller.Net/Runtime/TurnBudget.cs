namespace Poller.Net;

// The twin of the cooperative budget of tokio (tokio/src/task/coop). A handler whose every operation finds its result at once would never
// come back to the loop, and keep the other connections waiting.

/// <summary>
/// How many operations may complete at once in one turn, which is one continuation that a loop's thread runs. The next one goes through
/// the loop, and with it the handler. A thread that is no loop's has no budget: the pool and the system share it out.
/// </summary>
internal static class TurnBudget
{
    // As tokio. A read of what is there takes about 0.5 µs, so a flooded connection keeps the others waiting for 0.1 ms a turn. At half of
    // it a poll for each 64 reads costs a bulk transfer 1 % more; at double a turn takes as long as the scheduler's slice on a busy core.
    private const int Operations = 128;

    // What is left of the turn, plus one; 0 outside of a turn.
    [ThreadStatic]
    private static int _left;

    /// <summary>Whether the next operation of this thread is to go through the loop.</summary>
    public static bool IsSpent => _left == 1;

    /// <summary>For a loop's thread, before each waiter that it runs.</summary>
    public static void BeginTurn() => _left = Operations + 1;

    /// <summary>An operation of this thread has completed at once.</summary>
    public static void Spend()
    {
        if (_left > 1) _left--;
    }
}
