using System.Globalization;

namespace SideBySide;

internal enum LoadKind
{
    /// <summary>Each connection sends one message at a time and reads it back.</summary>
    Echo,

    /// <summary>The clients send as fast as they can; nothing comes back.</summary>
    Stream,

    /// <summary>Connect, send one message, read it back, close.</summary>
    Churn,

    /// <summary>Each connection asks a web server for the same thing again and again.</summary>
    Http,
}

/// <summary>What the generator asks of a server.</summary>
internal sealed record Load(string Name, string Title, LoadKind Kind, int Connections, int Size)
{
    /// <summary>One in this many messages asks for work; 0 means none.</summary>
    public int Every { get; init; }

    /// <summary>The work it asks for: the first byte of that message.</summary>
    public byte Work { get; init; }

    /// <summary>The number of further connections, which are used once and then stay silent.</summary>
    public int Idle { get; init; }

    /// <summary>What is asked for, under HTTP.</summary>
    public string Path { get; init; } = "";

    /// <summary>Whether each connection has HTTP/2, with ten requests at a time.</summary>
    public bool Http2 { get; init; }

    /// <summary>The number of further connections whose requests, under HTTP, each block a handler for 20 ms. They do not count.</summary>
    public int Sleepers { get; init; }

    /// <summary>How long a client waits before it sends again.</summary>
    public TimeSpan Pause { get; init; }

    /// <summary>The load whose peak this one's fixed rate is a share of; null means a closed loop.</summary>
    public string? PeakOf { get; init; }

    /// <summary>The rate as a share of the slowest peer's median peak.</summary>
    public double Share { get; init; }

    /// <summary>What the server's code must do in addition: <c>deadline</c>, <c>bufferless</c> or, under HTTP, <c>https</c>.</summary>
    public string[] Arguments { get; init; } = [];

    /// <summary>Whether the server has every core, and shares them with the generator.</summary>
    public bool AllCores { get; init; }

    /// <summary>Whether system calls are counted, in a separate run.</summary>
    public bool CountSystemCalls { get; init; }

    /// <summary>Whether it is a main load. The quick run measures only main loads, and the full run gives them more rounds.</summary>
    public bool Quick { get; init; }

    /// <summary>Whether a full run also measures the peers that are not main under this load.</summary>
    public bool Variants { get; init; }

    /// <summary>
    /// How many windows a round has. If there is more than one, the round's peers live at the same time, and are measured in turn.
    /// </summary>
    public int Turns { get; init; } = 1;

    /// <summary>Whether the peer is measured under this load.</summary>
    public bool Has(Peer peer) => (peer.Main || Variants) && peer.Http == (Kind == LoadKind.Http);

    /// <summary>The number of sockets that each side opens.</summary>
    public int Descriptors => Connections + Idle;

    private const byte Compute = 0xFE;
    private const byte Block = 0xFD;
    private const int Kibi = 1024;

    // A peer that is warm costs little to measure twice. With more windows in a round, a run has time for fewer rounds, and so for fewer
    // processes of each peer.
    private const int HttpTurns = 2;

    public static IReadOnlyList<Load> All { get; } = Make();

    /// <summary>A little of each kind, for a run of some seconds that asserts no speed.</summary>
    public static IReadOnlyList<Load> Smoke { get; } =
    [
        Echo(4, 64) with { Name = "echo", CountSystemCalls = true },
        FixedRate(Echo(4, 64) with { Name = "echo" }, 0.5),
        Named("deadline", "4 connections of 16 KiB, a deadline for every read", Echo(4, 16 * Kibi)) with { Arguments = ["deadline"] },
        Named("idle", "4 active connections that pause 1 ms beside 50 idle ones", Echo(4, 64)) with
        {
            Idle = 50,
            Arguments = ["bufferless"],
            Pause = TimeSpan.FromMilliseconds(1),
        },
        Named("compute", "4 connections, 1 ms of CPU in every 20th request, all cores", Echo(4, 64)) with
        {
            Every = 20,
            Work = Compute,
            AllCores = true,
        },
        Named("blocking", "4 connections, a handler that sleeps 20 ms in every 20th request", Echo(4, 64)) with
        {
            Every = 20,
            Work = Block,
        },
        new("stream", "One way, 4 connections", LoadKind.Stream, 4, 64 * Kibi),
        new("churn", "Connect, request, close; 4 at a time", LoadKind.Churn, 4, 64),
        Http("plaintext", 4) with { Turns = 2 },
    ];

    private static List<Load> Make()
    {
        List<Load> loads = [];
        foreach (int size in new[] { 64, Kibi, 16 * Kibi })
        {
            foreach (int connections in new[] { 1, 64, 1_000, 10_000 })
            {
                bool quick = size == 64 && connections is 64 or 1_000, counted = quick && connections == 64;
                loads.Add(Echo(connections, size) with { Quick = quick, Variants = quick, CountSystemCalls = counted });
            }
        }
        loads.Add(FixedRate(Echo(64, 64), 0.5) with { Quick = true });
        loads.Add(FixedRate(Echo(64, 64), 0.8));
        loads.Add(new Load("stream-1", "One way, 1 connection", LoadKind.Stream, 1, 64 * Kibi) { Quick = true });
        loads.Add(new Load("stream-64", "One way, 64 connections", LoadKind.Stream, 64, 64 * Kibi));
        loads.Add(new Load("churn", "Connect, request, close; 64 at a time", LoadKind.Churn, 64, 64));
        Load active = Named("active", "100 active connections of 64 B, bufferless, alone", Echo(100, 64)) with
        {
            Arguments = ["bufferless"],
            Quick = true,
        };
        loads.Add(active);
        loads.Add(Named("idle", "100 active connections of 64 B, bufferless, beside 10,000 idle ones", active) with
        {
            Idle = 10_000,
            Variants = true,
        });
        loads.Add(Named("compute", "64 connections of 64 B, 1 ms of CPU in every 20th request, all cores", Echo(64, 64)) with
        {
            Every = 20,
            Work = Compute,
            AllCores = true,
        });
        loads.Add(Named("blocking", "64 connections of 64 B, a handler that sleeps 20 ms in every 100th request", Echo(64, 64)) with
        {
            Every = 100,
            Work = Block,
        });
        loads.Add(Named("deadline", "64 connections of 64 B, a deadline for every read", Echo(64, 64)) with { Arguments = ["deadline"] });
        loads.Add(Named("pause", "1 connection of 64 B that pauses 1 ms between messages", Echo(1, 64)) with
        {
            Pause = TimeSpan.FromMilliseconds(1),
            CountSystemCalls = true,
        });
        foreach (bool allCores in new[] { false, true })
        {
            foreach (int connections in new[] { 64, 512 })
            {
                bool quick = connections == 64 && !allCores;
                loads.Add(Http("plaintext", connections, allCores) with { Quick = quick });
                loads.Add(Http("json", connections, allCores));
            }
        }
        loads.Add(Named("http-large", "HTTP, 100 KB, 64 connections", Http("large", 64)));
        loads.Add(Named("https", "HTTPS, plaintext, 64 connections", Http("plaintext", 64)) with { Arguments = ["https"] });
        loads.Add(Named("https-2", "HTTP/2 over TLS, plaintext, 64 connections with 10 requests each", Http("plaintext", 64)) with
        {
            Arguments = ["https"],
            Http2 = true,
        });
        loads.Add(Named("http-blocking", "HTTP, plaintext, 64 connections beside 8 whose handlers sleep 20 ms", Http("plaintext", 64)) with
        {
            Sleepers = 8,
            Turns = 1, // The second window would find the pool that the first one has grown.
        });
        loads.Add(Named("http-idle", "HTTP, plaintext, 64 connections beside 5,000 idle ones", Http("plaintext", 64)) with
        {
            Idle = 5_000,
            Turns = 1,
        });
        return loads;
    }

    private static Load Named(string name, string title, Load load) => load with { Name = name, Title = title };

    private static Load Echo(int connections, int size)
    {
        string bytes = size < Kibi ? $"{size} B" : $"{size / Kibi} KiB";
        string plural = connections == 1 ? "connection" : "connections";
        string title = string.Create(CultureInfo.InvariantCulture, $"Echo, {connections:N0} {plural} of {bytes}");
        return new($"echo-{connections}x{size}", title, LoadKind.Echo, connections, size);
    }

    private static Load Http(string path, int connections, bool allCores = false) =>
        new($"http-{path}-{connections}{(allCores ? "-all" : "")}",
            $"HTTP, {path}, {connections} connections{(allCores ? ", all cores" : "")}", LoadKind.Http, connections, 0)
        {
            Path = $"/{path}",
            AllCores = allCores,
            Turns = HttpTurns,
        };

    private static Load FixedRate(Load peak, double share) => peak with
    {
        Name = $"{peak.Name}@{Percent(share)}",
        Title = $"{peak.Title}, at a fixed rate of {Percent(share)} % of the slowest peer's peak",
        PeakOf = peak.Name,
        Share = share,
        CountSystemCalls = false,
    };

    private static string Percent(double share) => (share * 100).ToString("N0", CultureInfo.InvariantCulture);
}
