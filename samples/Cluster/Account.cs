namespace Cluster;

/// <summary>The calls that a client has made of one account, as the client knows them. One client's alone while it calls.</summary>
internal sealed class Account(string name)
{
    /// <summary>How many calls a client makes of an account before it takes a new one, which Orleans places anew.</summary>
    public const int Length = 250;

    public string Name => name;

    /// <summary>Call 1 and those that follow it: the phase in which each began, and whether it was acknowledged.</summary>
    public List<(Phase Phase, bool IsAcknowledged)> Calls { get; } = new(Length);

    /// <summary>Compares the calls with the account's ledger, and notes in their phases what was repeated, doubled or lost.</summary>
    public void Audit(IReadOnlyList<(bool IsExecution, int Number)> ledger)
    {
        ILookup<int, bool> lines = ledger.ToLookup(static line => line.Number, static line => line.IsExecution);
        for (int i = 0; i < Calls.Count; i++)
        {
            (Phase phase, bool isAcknowledged) = Calls[i];
            int executions = lines[i + 1].Count(static isExecution => isExecution);
            phase.Repeated += lines[i + 1].Count() - executions;
            if (executions > 1) phase.Doubled++;
            if (executions == 0 || !isAcknowledged) phase.Lost++;
        }
    }
}
