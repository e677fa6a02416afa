using System.ComponentModel;

namespace SideBySide;

/// <summary>
/// One run of the harness. It builds the peers, and then runs each load in rounds; each round measures every peer in turn.
/// </summary>
internal sealed class Run(IReadOnlyList<Peer> peers, IReadOnlyList<Load> loads, Timing timing)
{
    private readonly Cores _cores = new();

    /// <summary>The maximum number of steps that <see cref="Go"/> reports.</summary>
    public int Steps => peers.Count + loads.Sum(load => timing.RoundsOf(load) * peers.Count(load.Has));

    /// <summary>Runs, and tells <paramref name="step"/> what comes next whenever nothing is measured.</summary>
    /// <exception cref="OperationCanceledException">The run was interrupted. Every process that it started has ended.</exception>
    public Results Go(Action<string> step, CancellationToken cancel)
    {
        Results results = new(Machine.Look(_cores), loads, peers);
        foreach (Peer peer in peers)
        {
            cancel.ThrowIfCancellationRequested();
            step($"{peer.Title}: build and start");
            Prepare(peer, results);
        }

        foreach (Load load in loads)
        {
            const int Others = 100; // The process's descriptors besides those of the load.
            long expected = load.Descriptors + Others, limit = Machine.Descriptors();
            if (expected > limit)
            {
                results.Failures.Add($"{load.Name}: {expected} descriptors were expected; the hard limit is {limit} (ulimit -Hn).");
                continue;
            }
            if (Rate(results, load) is not { } rate)
            {
                results.Failures.Add($"{load.Name}: no peer has a peak under {load.PeakOf}; one at least was expected.");
                continue;
            }
            for (int round = 1; round <= timing.RoundsOf(load); round++)
            {
                Peer[] order = [.. peers.Where(load.Has)];
                if (round % 2 == 0) Array.Reverse(order); // A drift during a round then affects all peers alike.
                Peer[][] groups = load.Turns > 1 ? [order] : [.. order.Select(static peer => new[] { peer })];
                foreach (Peer[] group in groups) Measure(group, load, round, rate, results, step, cancel);
            }
        }
        return results;
    }

    // The rate that every peer gets, a share of the slowest peer's peak; 0 means a closed loop.
    private double? Rate(Results results, Load load)
    {
        if (load.PeakOf is null) return 0;
        Load peak = loads.Single(other => other.Name == load.PeakOf);
        Column throughput = Column.All.Single(static column => column.Name == "messagesPerSecond");
        return load.Share * peers.Where(load.Has).Min(peer => results.Figure(throughput, peak, peer)?.Median);
    }

    private static void Prepare(Peer peer, Results results)
    {
        try
        {
            if ((peer.Http ? HttpGenerator.Missing : peer.Build?.Run()) is { } missing)
            {
                results.Missing[peer.Name] = missing;
                return;
            }
            using Server server = Server.Start(peer, []);
            server.Stop();
        }
        catch (PeerMissingException e)
        {
            results.Missing[peer.Name] = e.Message;
        }
        catch (Exception e) when (e is PeerFailedException or InvalidOperationException or TimeoutException or Win32Exception)
        {
            results.Failures.Add(e.Message);
            results.Missing[peer.Name] = "failed to build or start";
        }
    }

    // Warms up all peers of the group. Each window then measures one of them, in turn.
    private void Measure(Peer[] group, Load load, int round, double rate, Results results, Action<string> step, CancellationToken cancel)
    {
        List<Sampling> samplings = [];
        try
        {
            foreach (Peer peer in group)
            {
                step($"{load.Title}, round {round}: {peer.Title}");
                if (results.Missing.ContainsKey(peer.Name)) continue;
                Try(() => samplings.Add(Sampling.Begin(_cores, timing, peer, load, rate, cancel)));
            }
            for (int turn = 0; turn < load.Turns; turn++)
            {
                int number = (round - 1) * load.Turns + turn + 1;
                foreach (Sampling sampling in samplings.ToArray())
                {
                    if (Try(() => results.Samples.Add(sampling.Measure(number, cancel)))) continue;
                    samplings.Remove(sampling);
                    sampling.Dispose();
                }
                samplings.Reverse();
            }
            foreach (Sampling sampling in samplings) Try(sampling.End);
        }
        finally
        {
            foreach (Sampling sampling in samplings) sampling.Dispose();
        }

        bool Try(Action action)
        {
            try
            {
                action();
                return true;
            }
            catch (PeerFailedException e)
            {
                results.Failures.Add($"{load.Name}, round {round}: {e.Message}");
                return false;
            }
        }
    }
}
