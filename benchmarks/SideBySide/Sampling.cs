using System.ComponentModel;

namespace SideBySide;

/// <summary>
/// How long and how often to measure. The main loads, which the quick run measures, may have more rounds. The warm-up of a peer with a JIT
/// lasts until its JIT is quiet, at most <paramref name="LongestWarmUp"/>.
/// </summary>
internal sealed record Timing(int MainRounds, int Rounds, TimeSpan LongestWarmUp, TimeSpan WarmUp, TimeSpan Window)
{
    /// <summary>For how many runs of <see cref="WarmUp"/> in a row the JIT must be quiet.</summary>
    public const int QuietRuns = 3;

    /// <summary>How many methods a quiet JIT compiles in each of these runs at most; now and then there is always one.</summary>
    public const int MaxCompiled = 8;

    public static Timing Smoke { get; } = Of(1, 1, 0.02, 0.02, 0.05);
    public static Timing Quick { get; } = Of(2, 2, 2, 0.3, 0.8);
    public static Timing Full { get; } = Of(5, 3, 40, 0.5, 1.5);

    public int RoundsOf(Load load) => load.Quick ? MainRounds : Rounds;

    private static Timing Of(int mainRounds, int rounds, double longestWarmUp, double warmUp, double window) =>
        new(mainRounds, rounds, TimeSpan.FromSeconds(longestWarmUp), TimeSpan.FromSeconds(warmUp), TimeSpan.FromSeconds(window));
}

/// <summary>One measurement of one peer under one load. A value that was not measured is null.</summary>
internal sealed record Sample(string Load, string Peer, int Round)
{
    public double? Rate { get; init; } // Messages each second that were asked for; null in a closed loop.
    public double WarmUpSeconds { get; init; }
    public double? CompiledMethods { get; init; } // Meanwhile: few, where the warm-up was long enough.
    public double Seconds { get; init; }
    public double Messages { get; init; }
    public double MessagesPerSecond { get; init; }
    public double GigabytesPerSecond { get; init; }
    public double CpuMicroseconds { get; init; } // The server's, user and system, for each message.
    public double ServerUtilisation { get; init; } // 1 is one core.
    public double GeneratorUtilisation { get; init; }
    public double OthersUtilisation { get; init; } // Everything else on the machine: the figures are worth little when it is much.
    public double? P50Microseconds { get; init; }
    public double? P99Microseconds { get; init; }
    public double? P999Microseconds { get; init; }
    public double? MaxMicroseconds { get; init; }
    public double? AllocatedBytes { get; init; } // For each message.
    public double ResidentBytes { get; init; }
    public double Threads { get; init; }
    public double? ResidentBytesPerIdle { get; init; }
    public double? ManagedBytesPerIdle { get; init; }
    public double? SystemCalls { get; init; } // For each message.
    public double? DataSystemCalls { get; init; } // Those that read or write a descriptor.
    public Dictionary<string, double>? SystemCallsByName { get; init; }
    public string? SystemCallsMissing { get; init; }
}

/// <summary>Measures one peer under one load, in a new process, so that no load affects another's figures.</summary>
internal sealed class Sampling(Cores cores, Timing timing)
{
    /// <exception cref="PeerFailedException">The peer died, answered wrongly, or did not answer.</exception>
    public Sample Measure(Peer peer, Load load, int round, double rate, CancellationToken cancel)
    {
        using Server server = Start(peer, load);
        Sample sample;
        try
        {
            sample = Measure(server, peer, load, round, rate, cancel);
        }
        catch (Exception e) when (e is InvalidDataException or TimeoutException or Win32Exception or IOException)
        {
            throw server.Failure(e.Message, e);
        }
        server.Stop();
        return sample;
    }

    private Server Start(Peer peer, Load load)
    {
        using Cores.Pin pin = cores.Server(load.AllCores);
        return Server.Start(peer, load.Arguments);
    }

    private Sample Measure(Server server, Peer peer, Load load, int round, double rate, CancellationToken cancel)
    {
        using Cores.Pin pin = cores.Generator(load.AllCores);
        using LoadGenerator generator = LoadGenerator.Create(load, server.Port);
        generator.Connect(cancel);
        TimeSpan warmUp = WarmUp(peer, server, generator, rate, cancel);
        (double? residentPerIdle, double? managedPerIdle) = (null, null);
        if (load.Idle > 0)
        {
            (residentPerIdle, managedPerIdle) = ConnectIdle(server, generator, load, cancel);
            warmUp += WarmUp(peer, server, generator, rate, cancel); // Warms up what the connects and the collection left cold.
        }

        generator.Disturb();
        PeerStatistics before = server.Ask("stats");
        long busyCpu = Machine.BusyCpu(), serverCpu = LibC.ProcessCpu(server.Id), ownCpu = generator.Cpu();
        LoadResult result = generator.Run(timing.Window, rate, cancel);
        ownCpu = generator.Cpu() - ownCpu;
        serverCpu = LibC.ProcessCpu(server.Id) - serverCpu;
        busyCpu = Machine.BusyCpu() - busyCpu;
        PeerStatistics after = server.Ask("stats");
        (long resident, int threads) = server.Look();

        double nanoseconds = result.Elapsed.TotalNanoseconds;
        Sample sample = new(load.Name, peer.Name, round)
        {
            Rate = rate > 0 ? rate : null,
            WarmUpSeconds = warmUp.TotalSeconds,
            CompiledMethods = peer.HasJit ? after.Compiled - before.Compiled : null,
            Seconds = result.Elapsed.TotalSeconds,
            Messages = result.Messages,
            MessagesPerSecond = result.Messages / result.Elapsed.TotalSeconds,
            GigabytesPerSecond = result.Bytes / nanoseconds,
            CpuMicroseconds = serverCpu / result.Messages / 1000,
            ServerUtilisation = serverCpu / nanoseconds,
            GeneratorUtilisation = ownCpu / nanoseconds,
            OthersUtilisation = Math.Max(0, busyCpu - serverCpu - ownCpu) / nanoseconds,
            P50Microseconds = Percentile(result, 50),
            P99Microseconds = Percentile(result, 99),
            P999Microseconds = Percentile(result, 99.9),
            MaxMicroseconds = Percentile(result, 100),
            AllocatedBytes = (after.Allocated - before.Allocated) / result.Messages,
            ResidentBytes = resident,
            Threads = threads,
            ResidentBytesPerIdle = residentPerIdle,
            ManagedBytesPerIdle = managedPerIdle,
        };
        return load.CountSystemCalls && round == 1 ? WithSystemCalls(sample, server, generator, rate, cancel) : sample;
    }

    private TimeSpan WarmUp(Peer peer, Server server, LoadGenerator generator, double rate, CancellationToken cancel)
    {
        TimeSpan elapsed = generator.Run(timing.WarmUp, rate, cancel).Elapsed;
        if (!peer.HasJit) return elapsed;
        long? compiled = server.Ask("stats").Compiled;
        for (int quiet = 0; quiet < Timing.QuietRuns && elapsed < timing.LongestWarmUp;)
        {
            elapsed += generator.Run(timing.WarmUp, rate, cancel).Elapsed;
            long? before = compiled;
            compiled = server.Ask("stats").Compiled;
            quiet = compiled - before <= Timing.MaxCompiled ? quiet + 1 : 0;
        }
        return elapsed;
    }

    private static (double Resident, double? Managed) ConnectIdle(
        Server server, LoadGenerator generator, Load load, CancellationToken cancel)
    {
        PeerStatistics before = server.Ask("collect");
        long resident = server.Look().Resident;
        generator.ConnectIdle(cancel);
        PeerStatistics after = server.Ask("collect");
        return ((double)(server.Look().Resident - resident) / load.Idle, (double?)(after.Managed - before.Managed) / load.Idle);
    }

    private Sample WithSystemCalls(Sample sample, Server server, LoadGenerator generator, double rate, CancellationToken cancel)
    {
        double messages = 0;
        (Dictionary<string, long>? calls, string? missing) =
            SystemCalls.Count(server.Id, () => messages = generator.Run(timing.Window / 2, rate, cancel).Messages);
        return sample with
        {
            SystemCalls = calls?.Values.Sum() / messages,
            DataSystemCalls = calls?.Where(static call => SystemCalls.MovesData(call.Key)).Sum(static call => call.Value) / messages,
            SystemCallsByName = calls?.ToDictionary(static call => call.Key, call => call.Value / messages),
            SystemCallsMissing = missing,
        };
    }

    private static double? Percentile(LoadResult result, double percentile) =>
        result.Latencies.TotalCount > 0 ? result.Latencies.GetValueAtPercentile(percentile) / 1000.0 : null;
}
