using System.Globalization;

namespace SideBySide;

/// <summary>The median, the minimum and the maximum over the rounds.</summary>
internal readonly record struct Figure(double Median, double Least, double Most)
{
    public static Figure? Of(IEnumerable<double?> values)
    {
        double[] sorted = [.. values.OfType<double>().Order()];
        if (sorted.Length == 0) return null;
        return new Figure((sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2, sorted[0], sorted[^1]);
    }

    /// <summary>The median, and the spread if it is visible.</summary>
    public string Show(string format)
    {
        string median = Text(Median, format), least = Text(Least, format), most = Text(Most, format);
        return least == most ? median : $"{median} ({least}–{most})";
    }

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}

/// <summary>A column of the tables: what it shows, how, and for which loads.</summary>
internal sealed record Column(string Name, string Header, string Format, Func<Sample, double?> Value)
{
    /// <summary>Whether it is divided by the reference's figure of the same round.</summary>
    public bool IsRatio { get; init; }

    public Func<Load, bool> Fits { get; init; } = static _ => true;

    public string Show(double? value) => value?.ToString(Format, CultureInfo.InvariantCulture) ?? "–";

    public static IReadOnlyList<Column> All { get; } =
    [
        new("messagesPerSecond", "messages/s", "N0", static s => s.MessagesPerSecond)
        {
            Fits = static load => load.Kind != LoadKind.Stream,
        },
        new("messagesPerSecondRatio", "messages/s, × {0}", "0.00", static s => s.MessagesPerSecond)
        {
            IsRatio = true,
            Fits = static load => load.Kind != LoadKind.Stream && load.PeakOf is null && load.Pause == TimeSpan.Zero,
        },
        new("gigabytesPerSecond", "GB/s", "0.00", static s => s.GigabytesPerSecond) { Fits = static load => load.Kind == LoadKind.Stream },
        new("gigabytesPerSecondRatio", "GB/s, × {0}", "0.00", static s => s.GigabytesPerSecond)
        {
            IsRatio = true,
            Fits = static load => load.Kind == LoadKind.Stream,
        },
        new("cpuMicroseconds", "CPU, µs/message", "0.00", static s => s.CpuMicroseconds),
        new("cpuMicrosecondsRatio", "CPU, × {0}", "0.00", static s => s.CpuMicroseconds) { IsRatio = true },
        new("p50Microseconds", "p50, µs", "N0", static s => s.P50Microseconds),
        new("p99Microseconds", "p99, µs", "N0", static s => s.P99Microseconds),
        new("p999Microseconds", "p99.9, µs", "N0", static s => s.P999Microseconds),
        new("systemCalls", "system calls/message", "0.00", static s => s.SystemCalls),
        new("dataSystemCalls", "data system calls/message", "0.00", static s => s.DataSystemCalls)
        {
            Fits = static load => load.CountSystemCalls && load.Pause > TimeSpan.Zero, // Others are distorted by strace.
        },
        new("allocatedBytes", "allocated, B/message", "N0", static s => s.AllocatedBytes),
        new("residentBytesPerIdle", "resident, B/idle connection", "N0", static s => s.ResidentBytesPerIdle),
        new("managedBytesPerIdle", "managed, B/idle connection", "N0", static s => s.ManagedBytesPerIdle),
        new("residentBytes", "resident, MB", "N0", static s => s.ResidentBytes / 1e6),
        new("threads", "threads", "N0", static s => s.Threads),
        new("serverUtilisation", "server's CPU", "0 %", static s => s.ServerUtilisation),
        new("generatorUtilisation", "generator's CPU", "0 %", static s => s.GeneratorUtilisation),
        new("othersUtilisation", "others' CPU", "0 %", static s => s.OthersUtilisation),
    ];
}

/// <summary>All results of a run.</summary>
internal sealed class Results(Machine machine, IReadOnlyList<Load> loads, IReadOnlyList<Peer> peers)
{
    public Machine Machine { get; } = machine;
    public IReadOnlyList<Load> Loads { get; } = loads;
    public IReadOnlyList<Peer> Peers { get; } = peers;
    public List<Sample> Samples { get; } = [];

    /// <summary>Why a peer is missing, by peer.</summary>
    public Dictionary<string, string> Missing { get; } = [];

    public List<string> Failures { get; } = [];

    /// <summary>The peers that are measured under the load.</summary>
    public IReadOnlyList<Peer> PeersUnder(Load load) => [.. Peers.Where(load.Has)];

    /// <summary>
    /// The reference that ratios divide by: the baseline if there is one, else System.Net.Sockets or Kestrel on it, else the first peer
    /// that is not missing.
    /// </summary>
    public Peer? Reference(Load load) => PeersUnder(load).Where(peer => !Missing.ContainsKey(peer.Name))
        .OrderByDescending(static peer => peer.Name switch { Peer.BaselineName => 2, "sockets" or "kestrel-sockets" => 1, _ => 0 })
        .FirstOrDefault();

    public IEnumerable<Sample> Of(Load load, Peer peer) => Samples.Where(sample => sample.Load == load.Name && sample.Peer == peer.Name);

    /// <summary>The columns that have something to show, even if that is why a value is missing.</summary>
    public IEnumerable<Column> Columns(Load load) => Column.All.Where(column =>
        (column.Name == "systemCalls" && load.CountSystemCalls) || Peers.Any(peer => Figure(column, load, peer) is not null));

    /// <summary>Null if there is nothing to show.</summary>
    public Figure? Figure(Column column, Load load, Peer peer)
    {
        if (!column.Fits(load)) return null;
        Dictionary<int, double?> rounds = Rounds(column, load, peer);
        if (column.IsRatio) rounds = Ratios(rounds, Reference(load) is { } reference ? Rounds(column, load, reference) : []);
        return SideBySide.Figure.Of(rounds.Values);
    }

    /// <summary>The column's value in each round, before it is divided by the reference's.</summary>
    public Dictionary<int, double?> Rounds(Column column, Load load, Peer peer) =>
        Of(load, peer).ToDictionary(static sample => sample.Round, column.Value);

    /// <summary>Divides within each round.</summary>
    public static Dictionary<int, double?> Ratios(Dictionary<int, double?> rounds, Dictionary<int, double?> by) =>
        rounds.ToDictionary(static round => round.Key, round => round.Value / by.GetValueOrDefault(round.Key));
}
