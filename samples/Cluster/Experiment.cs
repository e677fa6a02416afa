using System.Globalization;

namespace Cluster;

/// <summary>Counts the calls of a cluster of which one silo is killed, and to which one is added.</summary>
internal static class Experiment
{
    // Orleans's default is 30 s, which callers of a killed silo would wait.
    private static readonly TimeSpan ResponseTimeout = TimeSpan.FromSeconds(3);

    /// <summary>Runs it and prints its tables. Returns the exit code: 0 if no call was lost, doubled or crossed; 1 otherwise.</summary>
    public static async Task<int> RunAsync(Transport transport, int clients, TimeSpan time, CancellationToken stop)
    {
        DirectoryInfo ledgers;
        try
        {
            ledgers = Directory.CreateTempSubdirectory("cluster-");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{Path.GetTempPath()}: {e.Message.TrimEnd('.')}; a folder that takes the ledgers was expected.", e);
        }
        try
        {
            return await RunAsync(transport, clients, time, ledgers.FullName, stop);
        }
        finally
        {
            ledgers.Delete(recursive: true);
        }
    }

    private static async Task<int> RunAsync(Transport transport, int clients, TimeSpan time, string ledgers, CancellationToken stop)
    {
        List<Phase> phases = [];
        IReadOnlyList<Account> accounts;
        IReadOnlyList<SiloProcess> silos;
        await using (LocalCluster cluster = await LocalCluster.StartAsync(transport, ledgers, ResponseTimeout, stop))
        {
            Console.WriteLine($"{LocalCluster.FirstSilos} silos and {clients} clients over {transport}");
            silos = cluster.Silos;
            foreach (SiloProcess silo in silos) Console.WriteLine($"silo {silo.Number}, process {silo.ProcessId}, has joined");

            CountedLoad load = new(cluster.Grains, clients, Begin("before the kill"));
            await Task.Delay(time, stop);

            // The primary silo keeps the table of the members, so it is not the one.
            SiloProcess victim = silos[^1];
            await load.BeginAsync(Begin("from the kill until it is noticed"), stop);
            Console.WriteLine($"killing silo {victim.Number}, process {victim.ProcessId}");
            victim.Kill();
            await silos[0].AwaitLineAsync(Silo.Dead(victim.Port), stop);

            await load.BeginAsync(Begin("after the kill"), stop);
            Console.WriteLine($"the cluster has noticed that silo {victim.Number} is dead");
            await Task.Delay(time, stop);

            await load.BeginAsync(Begin("while a silo joins"), stop);
            SiloProcess added = await cluster.AddSiloAsync(stop);
            Console.WriteLine($"silo {added.Number}, process {added.ProcessId}, has joined");

            await load.BeginAsync(Begin("with the new silo"), stop);
            await Task.Delay(time, stop);
            accounts = await load.EndAsync(stop);
        }

        // No silo runs any more, so the ledgers are complete.
        foreach (Account account in accounts) account.Audit(Ledger.Read(ledgers, account.Name));
        Print(phases, silos);
        long faults = phases.Sum(static phase => phase.Lost + phase.Doubled + phase.Crossed);
        return faults == 0 ? 0 : 1;

        Phase Begin(string name)
        {
            Phase phase = new(name);
            phases.Add(phase);
            return phase;
        }
    }

    private static void Print(IReadOnlyList<Phase> phases, IReadOnlyList<SiloProcess> silos)
    {
        Table calls = new(
            "calls that began", "seconds", "made", "acknowledged", "failed tries", "repeated", "crossed", "doubled", "lost", "longest");
        foreach (Phase phase in phases)
        {
            calls.Add(
                phase.Name,
                Table.Decimal(phase.Duration.TotalSeconds),
                Table.Count(phase.Made),
                Table.Count(phase.Acknowledged),
                Table.Count(phase.Failures.Values.Sum()),
                Table.Count(phase.Repeated),
                Table.Count(phase.Crossed),
                Table.Count(phase.Doubled),
                Table.Count(phase.Lost),
                string.Create(CultureInfo.InvariantCulture, $"{phase.Longest.TotalMilliseconds:N0} ms"));
        }
        calls.Add(
            "all",
            Table.Decimal(phases.Sum(static phase => phase.Duration.TotalSeconds)),
            Sum(static phase => phase.Made),
            Sum(static phase => phase.Acknowledged),
            Sum(static phase => phase.Failures.Values.Sum()),
            Sum(static phase => phase.Repeated),
            Sum(static phase => phase.Crossed),
            Sum(static phase => phase.Doubled),
            Sum(static phase => phase.Lost),
            "");
        calls.Print();

        Table answers = new(["acknowledged by silo", .. silos.Select(static silo => $"{silo.Number}")]);
        foreach (Phase phase in phases)
        {
            answers.Add([phase.Name, .. silos.Select(silo => Table.Count(phase.BySilo.GetValueOrDefault(silo.Port)))]);
        }
        answers.Print();

        var failures = phases.SelectMany(static phase => phase.Failures)
            .GroupBy(static failure => failure.Key, static failure => failure.Value);
        foreach (IGrouping<string, long> failure in failures)
        {
            Console.WriteLine($"failed tries: {Table.Count(failure.Sum())} by {failure.Key}");
        }

        string Sum(Func<Phase, long> count) => Table.Count(phases.Sum(count));
    }
}
