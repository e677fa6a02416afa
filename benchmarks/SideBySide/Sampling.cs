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

/// <summary>One peer in a new process, which is warm for one load. No load affects another's figures.</summary>
internal sealed class Sampling : IDisposable
{
    // Constant.
    private readonly Cores _cores;
    private readonly Timing _timing;
    private readonly Peer _peer;
    private readonly Load _load;
    private readonly double _rate;
    private readonly Server _server;
    private readonly LoadGenerator _generator;

    // Written once, by Begin.
    private TimeSpan _warmUp;
    private double? _residentPerIdle;
    private double? _managedPerIdle;

    private bool _clientsAreClosed;

    private Sampling(Cores cores, Timing timing, Peer peer, Load load, double rate)
    {
        (_cores, _timing, _peer, _load, _rate) = (cores, timing, peer, load, rate);
        using Cores.Pin pin = cores.Server(load.AllCores);
        _server = Server.Start(peer, load.Arguments);
        _generator = LoadGenerator.Create(load, _server.Port);
    }

    /// <summary>Starts the peer and warms it up.</summary>
    /// <exception cref="PeerFailedException">The peer died, answered wrongly, or did not answer.</exception>
    public static Sampling Begin(Cores cores, Timing timing, Peer peer, Load load, double rate, CancellationToken cancel)
    {
        Sampling sampling = new(cores, timing, peer, load, rate);
        try
        {
            sampling.Talk(() => sampling.WarmUpWhole(cancel));
            return sampling;
        }
        catch
        {
            sampling.Dispose();
            throw;
        }
    }

    /// <summary>Measures one window.</summary>
    /// <exception cref="PeerFailedException">The peer died, answered wrongly, or did not answer.</exception>
    public Sample Measure(int round, CancellationToken cancel) => Talk(() => MeasureWindow(round, cancel));

    /// <summary>Ends the peer.</summary>
    /// <exception cref="PeerFailedException">It did not end as a peer must.</exception>
    public void End()
    {
        CloseClients();
        _server.Stop();
    }

    public void Dispose()
    {
        CloseClients();
        _server.Dispose();
    }

    private void CloseClients()
    {
        if (_clientsAreClosed) return;
        _clientsAreClosed = true;
        _generator.Dispose();
    }

    private T Talk<T>(Func<T> talk)
    {
        using Cores.Pin pin = _cores.Generator(_load.AllCores);
        try
        {
            return talk();
        }
        catch (Exception e) when (e is InvalidDataException or TimeoutException or Win32Exception or IOException)
        {
            throw _server.Failure(e.Message, e);
        }
    }

    private TimeSpan WarmUpWhole(CancellationToken cancel)
    {
        _generator.Connect(cancel);
        _warmUp = WarmUp(cancel);
        if (_load.Idle > 0)
        {
            (_residentPerIdle, _managedPerIdle) = ConnectIdle(cancel);
            _warmUp += WarmUp(cancel); // Warms up what the connects and the collection left cold.
        }
        return _warmUp;
    }

    private Sample MeasureWindow(int round, CancellationToken cancel)
    {
        _generator.Disturb();
        PeerStatistics before = _server.Ask("stats");
        long busyCpu = Machine.BusyCpu(), serverCpu = LibC.ProcessCpu(_server.Id), ownCpu = _generator.Cpu();
        LoadResult result = _generator.Run(_timing.Window, _rate, cancel);
        ownCpu = _generator.Cpu() - ownCpu;
        serverCpu = LibC.ProcessCpu(_server.Id) - serverCpu;
        busyCpu = Machine.BusyCpu() - busyCpu;
        PeerStatistics after = _server.Ask("stats");
        (long resident, int threads) = _server.Look();

        double nanoseconds = result.Elapsed.TotalNanoseconds;
        Sample sample = new(_load.Name, _peer.Name, round)
        {
            Rate = _rate > 0 ? _rate : null,
            WarmUpSeconds = _warmUp.TotalSeconds,
            CompiledMethods = _peer.HasJit ? after.Compiled - before.Compiled : null,
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
            ResidentBytesPerIdle = _residentPerIdle,
            ManagedBytesPerIdle = _managedPerIdle,
        };
        return _load.CountSystemCalls && round == 1 ? WithSystemCalls(sample, cancel) : sample;
    }

    private TimeSpan WarmUp(CancellationToken cancel)
    {
        TimeSpan elapsed = _generator.Run(_timing.WarmUp, _rate, cancel).Elapsed;
        if (!_peer.HasJit) return elapsed;
        long? compiled = _server.Ask("stats").Compiled;
        for (int quiet = 0; quiet < Timing.QuietRuns && elapsed < _timing.LongestWarmUp;)
        {
            elapsed += _generator.Run(_timing.WarmUp, _rate, cancel).Elapsed;
            long? before = compiled;
            compiled = _server.Ask("stats").Compiled;
            quiet = compiled - before <= Timing.MaxCompiled ? quiet + 1 : 0;
        }
        return elapsed;
    }

    private (double Resident, double? Managed) ConnectIdle(CancellationToken cancel)
    {
        PeerStatistics before = _server.Ask("collect");
        long resident = _server.Look().Resident;
        _generator.ConnectIdle(cancel);
        PeerStatistics after = _server.Ask("collect");
        return ((double)(_server.Look().Resident - resident) / _load.Idle, (double?)(after.Managed - before.Managed) / _load.Idle);
    }

    private Sample WithSystemCalls(Sample sample, CancellationToken cancel)
    {
        double messages = 0;
        (Dictionary<string, long>? calls, string? missing) =
            SystemCalls.Count(_server.Id, () => messages = _generator.Run(_timing.Window / 2, _rate, cancel).Messages);
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
