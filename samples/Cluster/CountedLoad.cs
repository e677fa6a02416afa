using System.Diagnostics;

namespace Cluster;

/// <summary>
/// Clients that call accounts, each one call after the other. A call that fails is made again, with the same number, until it is
/// acknowledged.
/// </summary>
internal sealed class CountedLoad
{
    // After this time a client gives a call up. It then counts as lost.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    // What a client waits before it makes a failed call again, so that calls that fail at once do not fill the processors.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly IGrainFactory _grains;
    private readonly Task<List<Account>>[] _clients;
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // A client reads the phase before each call. It is null for the end. Written before it: what the clients signal when they have read it.
    private volatile Phase? _phase;
    private Arrivals? _arrivals;

    public CountedLoad(IGrainFactory grains, int clients, Phase first)
    {
        _grains = grains;
        _phase = first;
        _clients = [.. Enumerable.Range(0, clients).Select(client => Task.Run(() => RunAsync(client, first)))];
    }

    /// <summary>Begins a phase. Completes once each client's next call is of that phase, so no call of the phase before runs.</summary>
    public async Task BeginAsync(Phase next, CancellationToken stop)
    {
        Phase before = _phase!;
        await ChangeAsync(next, stop);
        before.End();
    }

    /// <summary>Ends the calls. Returns the accounts that were called.</summary>
    public async Task<IReadOnlyList<Account>> EndAsync(CancellationToken stop)
    {
        Phase before = _phase!;
        await ChangeAsync(null, stop);
        before.End();
        return [.. (await Task.WhenAll(_clients)).SelectMany(static accounts => accounts)];
    }

    private async Task ChangeAsync(Phase? next, CancellationToken stop)
    {
        Arrivals arrivals = new(_clients.Length);
        _arrivals = arrivals;
        _phase = next;
        await (await Task.WhenAny(arrivals.All, _failed.Task).WaitAsync(stop));
    }

    private async Task<List<Account>> RunAsync(int client, Phase first)
    {
        try
        {
            return await CallAccountsAsync(client, first);
        }
        catch (Exception error)
        {
            _failed.TrySetException(error);
            throw;
        }
    }

    private async Task<List<Account>> CallAccountsAsync(int client, Phase? phase)
    {
        List<Account> accounts = [];
        while (true)
        {
            Account account = new($"{client}-{accounts.Count}");
            accounts.Add(account);
            IAccountGrain grain = _grains.GetGrain<IAccountGrain>(account.Name);
            bool isAcknowledged = true;
            while (isAcknowledged && account.Calls.Count < Account.Length)
            {
                if (_phase is var now && now != phase)
                {
                    phase = now;
                    _arrivals!.Signal();
                    if (phase is null) return accounts;
                }
                phase!.NoteCall();
                isAcknowledged = await CallAsync(grain, new Answer(account.Name, account.Calls.Count + 1, 0), phase);
                account.Calls.Add((phase, isAcknowledged));
            }
        }
    }

    // Whether it was acknowledged.
    private static async Task<bool> CallAsync(IAccountGrain grain, Answer expected, Phase phase)
    {
        long begun = Stopwatch.GetTimestamp();
        do
        {
            try
            {
                Answer answer = await grain.CallAsync(expected.Number);
                if (answer with { SiloPort = 0 } == expected)
                {
                    phase.NoteAcknowledgment(answer.SiloPort, Stopwatch.GetElapsedTime(begun));
                    return true;
                }
                phase.NoteCrossed();
            }
#pragma warning disable CA1031 // Whatever it is, the call is made again, and the table counts it.
            catch (Exception error)
#pragma warning restore CA1031
            {
                phase.NoteFailure(error);
                await Task.Delay(Pause);
            }
        }
        while (Stopwatch.GetElapsedTime(begun) < Patience);
        return false;
    }

    private sealed class Arrivals(int expected)
    {
        private readonly TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task All => _all.Task;

        public void Signal()
        {
            if (Interlocked.Decrement(ref expected) == 0) _all.SetResult();
        }
    }
}
