using System.Diagnostics;

namespace Cluster;

/// <summary>
/// Compares two transports: calls a second, and the processor time of the silos for each call. Both clusters run all the time, and get the
/// load in turn.
/// </summary>
internal static class Comparison
{
    // Each client calls its grains one after the other. Many grains spread over the silos evenly.
    private const int GrainsPerClient = 16;

    // No silo is killed, so a time-out is a fault, which ends the comparison.
    private static readonly TimeSpan ResponseTimeout = TimeSpan.FromSeconds(30);

    public static async Task<int> RunAsync(Transport poller, int clients, TimeSpan time, int rounds, CancellationToken stop)
    {
        string nowhere = Path.GetTempPath(); // Echoes write no ledger.
        await using LocalCluster sockets = await LocalCluster.StartAsync(Transport.Sockets, nowhere, ResponseTimeout, stop);
        await using LocalCluster pollers = await LocalCluster.StartAsync(poller, nowhere, ResponseTimeout, stop);
        Console.WriteLine(
            $"{poller} beside {Transport.Sockets}: {LocalCluster.FirstSilos} silos and {clients} clients, " +
            $"{rounds} rounds of {time.TotalSeconds} s");

        // The JIT compiles the hot methods twice, the second time after some seconds.
        for (int i = 0; i < 2; i++)
        {
            await MeasureAsync(sockets, clients, time, stop);
            await MeasureAsync(pollers, clients, time, stop);
        }
        Table table = new("round", "sockets calls/s", "poller calls/s", "ratio", "sockets CPU us/call", "poller CPU us/call", "ratio");
        List<(Rates Sockets, Rates Poller)> results = [];
        for (int round = 1; round <= rounds; round++)
        {
            Rates first = await MeasureAsync(sockets, clients, time, stop);
            Rates second = await MeasureAsync(pollers, clients, time, stop);
            results.Add((first, second));
            Add($"{round}", first.CallsPerSecond, second.CallsPerSecond, first.Microseconds, second.Microseconds);
        }
        Add(
            "median",
            Median(static result => result.Sockets.CallsPerSecond),
            Median(static result => result.Poller.CallsPerSecond),
            Median(static result => result.Sockets.Microseconds),
            Median(static result => result.Poller.Microseconds));
        table.Print();
        return 0;

        void Add(string name, double firstRate, double secondRate, double firstTime, double secondTime) => table.Add(
            name,
            Table.Count((long)firstRate),
            Table.Count((long)secondRate),
            Table.Ratio(secondRate / firstRate),
            Table.Decimal(firstTime),
            Table.Decimal(secondTime),
            Table.Ratio(secondTime / firstTime));

        double Median(Func<(Rates Sockets, Rates Poller), double> value)
        {
            double[] values = [.. results.Select(value).Order()];
            return (values[(values.Length - 1) / 2] + values[values.Length / 2]) / 2;
        }
    }

    private static async Task<Rates> MeasureAsync(LocalCluster cluster, int clients, TimeSpan time, CancellationToken stop)
    {
        TimeSpan spentBefore = Spent();
        long begun = Stopwatch.GetTimestamp();
        long[] calls = await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(() => CallAsync(client))));
        double seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        return new Rates(calls.Sum() / seconds, (Spent() - spentBefore).TotalMicroseconds / calls.Sum());

        TimeSpan Spent() => cluster.Silos.Aggregate(TimeSpan.Zero, static (sum, silo) => sum + silo.ProcessorTime);

        async Task<long> CallAsync(int client)
        {
            IEchoGrain[] grains =
            [
                .. Enumerable.Range(client * GrainsPerClient, GrainsPerClient).Select(key => cluster.Grains.GetGrain<IEchoGrain>(key)),
            ];
            long count = 0;
            while (Stopwatch.GetElapsedTime(begun) < time && !stop.IsCancellationRequested)
            {
                long answer = await grains[count % GrainsPerClient].EchoAsync(count);
                if (answer != count) throw new InvalidOperationException($"The answer to {count} was {answer}.");
                count++;
            }
            stop.ThrowIfCancellationRequested();
            return count;
        }
    }

    /// <param name="CallsPerSecond">Of all clients.</param>
    /// <param name="Microseconds">The processor time of all silos, for each call.</param>
    private sealed record Rates(double CallsPerSecond, double Microseconds);
}
