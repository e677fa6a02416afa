namespace Poller.Net;

/// <summary>Turns have no budget here, because the rest of a thread's budget would outlive the run.</summary>
internal static class TurnBudget
{
    public static bool IsSpent => false;

    public static void BeginTurn() { }

    public static void Spend() { }
}
