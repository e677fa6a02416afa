using System.Globalization;

namespace SideBySide;

/// <summary>
/// A target of the project: the upper limit of a figure. With <paramref name="Against"/> the limit is a multiple of the better of these
/// peers' figures.
/// </summary>
internal sealed record Target(string LoadName, string ColumnName, double Limit, params string[] Against)
{
    private const string Ratio = "0.000";

    /// <summary>Whether it is a lower limit.</summary>
    public bool AtLeast { get; init; }

    /// <summary>Another load: the figure is a multiple of the same peer's figure under that load.</summary>
    public string? Beside { get; init; }

    /// <summary>All targets, except those for PollerKit's single pieces, which microbenchmarks measure.</summary>
    public static IReadOnlyList<Target> All { get; } =
    [
        new("echo-64x64", "cpuMicroseconds", 1.00, "c-epoll"),
        new("echo-64x64", "cpuMicroseconds", 0.50, "sockets"),
        new("echo-64x64", "cpuMicroseconds", 0.80, "go"),
        new("echo-1000x64", "cpuMicroseconds", 1.10, "c-epoll"),
        new("echo-1000x64", "cpuMicroseconds", 0.60, "sockets"),
        new("pause", "dataSystemCalls", 2.1),
        new("echo-64x64@50", "p99Microseconds", 1.00, "go", "sockets"),
        new("idle", "managedBytesPerIdle", 0.35, "sockets"),
        new("idle", "cpuMicroseconds", 1.15) { Beside = "active" },
        new("compute", "messagesPerSecond", 0.95, "pollerkit-threadpool-epoll") { AtLeast = true },
        new("blocking", "p99Microseconds", 5_000),
        new("echo-64x64", "allocatedBytes", 0),
        new("stream-1", "gigabytesPerSecond", 0.95, "c-epoll") { AtLeast = true },
        new("stream-64", "gigabytesPerSecond", 0.95, "c-epoll") { AtLeast = true },
        .. new[] { "plaintext-64", "json-64", "plaintext-512", "json-512" }.SelectMany(static name => new[] { name, $"{name}-all" })
            .SelectMany(static name => OfSmallAnswers($"http-{name}")),
        new("http-large", "cpuMicroseconds", 0.55, "kestrel-sockets"),
        new("https", "cpuMicroseconds", 0.80, "kestrel-sockets"),
        new("https-2", "cpuMicroseconds", 0.80, "kestrel-sockets"),
        new("http-blocking", "messagesPerSecond", 50, "kestrel-sockets") { AtLeast = true },
        new("http-idle", "residentBytesPerIdle", 1.00, "kestrel-sockets"),
    ];

    public string Title => $"`{LoadName}`{(Beside is null ? "" : $", × `{Beside}`")}: {Column.Header}";

    public string Goal
    {
        get
        {
            string limit = Limit.ToString(MeasuredFormat == Ratio ? "0.00" : "#,0.##", CultureInfo.InvariantCulture);
            string sign = Limit == 0 ? "" : AtLeast ? "≥ " : "≤ ";
            string better = Against.Length > 1 ? "the better of " : "";
            return $"{sign}{limit}{(Against.Length > 0 ? $" × {better}{string.Join(" and ", Against)}" : "")}";
        }
    }

    /// <summary>How a peer's own figure is shown, and how the value that is compared with the limit.</summary>
    public string Format => Beside is null ? Column.Format : Ratio;

    /// <inheritdoc cref="Format"/>
    public string MeasuredFormat => Against.Length > 0 ? Ratio : Format;

    private string Ours =>
        Load.All.Single(load => load.Name == LoadName).Kind == LoadKind.Http ? "kestrel-pollerkit" : "pollerkit-adaptive-epoll";

    private Column Column { get; } = Column.All.Single(column => column.Name == ColumnName);

    /// <summary>A peer's own figure; null if it was not measured.</summary>
    public Figure? Of(Results results, string peer) => Figure.Of(Rounds(results, peer).Values);

    /// <summary>The value that is compared with the limit; null if it, or a peer it is compared with, was not measured.</summary>
    public Figure? Measured(Results results)
    {
        if (Against.Length == 0) return Of(results, Ours);
        (string Peer, double? Median)[] others = [.. Against.Select(peer => (peer, Of(results, peer)?.Median))];
        if (others.Any(static other => other.Median is null)) return null;
        string better = others.MinBy(other => AtLeast ? -other.Median : other.Median).Peer;
        return Figure.Of(Results.Ratios(Rounds(results, Ours), Rounds(results, better)).Values);
    }

    /// <summary>Whether the median meets the target, and whether every round does the same.</summary>
    public string Verdict(Figure? measured)
    {
        if (measured is not { } figure) return "not measured";
        bool met = IsMet(figure.Median);
        if (IsMet(figure.Least) == IsMet(figure.Most)) return met ? "met" : "missed";
        return met ? "met by the median; some rounds missed it" : "missed by the median; some rounds met it";
    }

    private static Target[] OfSmallAnswers(string load) =>
    [
        new(load, "cpuMicroseconds", 0.62, "kestrel-sockets"),
        new(load, "cpuMicroseconds", 1.00, "kestrel-sockets-inline"),
        new(load, "messagesPerSecond", 1.45, "kestrel-sockets") { AtLeast = true },
        new(load, "p99Microseconds", 1.00, "kestrel-sockets"),
    ];

    // For things that are counted, less than a half means none.
    private bool IsMet(double median) => Limit == 0 ? median < 0.5 : AtLeast ? median >= Limit : median <= Limit;

    private Dictionary<int, double?> Rounds(Results results, string peer)
    {
        Dictionary<int, double?> rounds = Rounds(results, peer, LoadName);
        return Beside is null ? rounds : Results.Ratios(rounds, Rounds(results, peer, Beside));
    }

    // None if this run has another load under that name, as the smoke run has.
    private Dictionary<int, double?> Rounds(Results results, string peer, string load)
    {
        Load wanted = Load.All.Single(other => other.Name == load);
        Peer? there = results.Peers.FirstOrDefault(other => other.Name == peer);
        return there is not null && results.Loads.Contains(wanted) ? results.Rounds(Column, wanted, there) : [];
    }
}
