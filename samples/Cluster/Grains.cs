namespace Cluster;

/// <summary>The answer to a call, which names the call.</summary>
/// <param name="Account">The account that answered.</param>
/// <param name="Number">The call's number.</param>
/// <param name="SiloPort">The silo on which the account was.</param>
[GenerateSerializer, Immutable]
internal sealed record Answer([property: Id(0)] string Account, [property: Id(1)] int Number, [property: Id(2)] int SiloPort);

/// <summary>A grain whose calls are counted. Its key is the account's name.</summary>
internal interface IAccountGrain : IGrainWithStringKey
{
    /// <summary>
    /// Executes a call once, and answers it as often as it comes. The caller numbers its calls from 1, and makes one only when it has the
    /// answer to the call before.
    /// </summary>
    Task<Answer> CallAsync(int number);
}

/// <summary>A grain that does nothing but answer.</summary>
internal interface IEchoGrain : IGrainWithIntegerKey
{
    Task<long> EchoAsync(long value);
}

/// <summary>A silo's port and the folder of the ledgers.</summary>
internal sealed record SiloSettings(int Port, string Ledgers);

// Executing a call means writing it to the account's ledger, which outlives the silo.
internal sealed class AccountGrain(SiloSettings silo) : Grain, IAccountGrain
{
    private Ledger? _ledger;

    // Fails while another silo has the ledger open. The caller then tries again.
    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _ledger = Ledger.Open(silo.Ledgers, this.GetPrimaryKeyString());
        return Task.CompletedTask;
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        _ledger?.Dispose();
        return Task.CompletedTask;
    }

    public Task<Answer> CallAsync(int number)
    {
        _ledger!.Execute(number);
        if (number == Account.Length) DeactivateOnIdle(); // It was the account's last call, so the file need not stay open.
        return Task.FromResult(new Answer(this.GetPrimaryKeyString(), number, silo.Port));
    }
}

internal sealed class EchoGrain : Grain, IEchoGrain
{
    public Task<long> EchoAsync(long value) => Task.FromResult(value);
}
