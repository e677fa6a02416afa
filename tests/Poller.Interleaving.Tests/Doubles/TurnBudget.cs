namespace Poller.Net;

/// <summary>No turn has a budget here: what a thread has left of one would outlive the run.</summary>
internal static class TurnBudget
{
    public static bool IsSpent => false;

    public static void BeginTurn() { }

    public static void Spend() { }
}
