using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SideBySide;

/// <summary>Writes results: <c>results.json</c> with every sample, <c>results.md</c> with the tables.</summary>
internal static class Report
{
    private static readonly CultureInfo Invariant = CultureInfo.InvariantCulture;
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void Write(Results results, Timing timing, string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "results.json"), ToJson(results, timing) + "\n");
        File.WriteAllText(Path.Combine(folder, "results.md"), ToMarkdown(results, timing));
    }

    private static string ToJson(Results results, Timing timing) => JsonSerializer.Serialize(new
    {
        results.Machine,
        Timing = new
        {
            timing.MainRounds,
            timing.Rounds,
            LongestWarmUpSeconds = timing.LongestWarmUp.TotalSeconds,
            WarmUpSeconds = timing.WarmUp.TotalSeconds,
            WindowSeconds = timing.Window.TotalSeconds,
        },
        results.Missing,
        results.Failures,
        Targets = Target.All.Select(target => new
        {
            target.Title,
            Target = target.Goal,
            Measured = target.Measured(results),
            Verdict = target.Verdict(target.Measured(results)),
            Peers = results.Peers.Select(peer => (peer.Name, Figure: target.Of(results, peer.Name)))
                .Where(static pair => pair.Figure is not null)
                .ToDictionary(static pair => pair.Name, static pair => pair.Figure?.Median),
        }),
        Loads = results.Loads.Select(load => new
        {
            load.Name,
            load.Title,
            Reference = results.Reference(load)?.Name,
            Peers = results.Peers.Where(peer => results.Of(load, peer).Any()).ToDictionary(static peer => peer.Name, peer => Column.All
                .Select(column => (column.Name, Figure: results.Figure(column, load, peer)))
                .Where(static pair => pair.Figure is not null)
                .ToDictionary(static pair => pair.Name, static pair => pair.Figure)),
        }),
        results.Samples,
    }, Json);

    private static string ToMarkdown(Results results, Timing timing)
    {
        Machine machine = results.Machine;
        StringBuilder text = new();
        text.AppendLine("# Side by side\n");
        string toolchains = $"gcc: {machine.Gcc ?? "none"}. Go: {machine.Go ?? "none"}. "
            + $"libuv: {machine.Libuv ?? "none"}. liburing: {machine.Liburing ?? "none"}.";
        string more = timing.MainRounds == timing.Rounds ? "" : $" ({timing.MainRounds} of the main loads)";
        string rounds = timing.Rounds == 1
            ? "One round"
            : $"Medians of {timing.Rounds} rounds{more}, with the least and the most; ratios are taken within a round";
        double warmUp = timing.WarmUp.TotalSeconds, rest = warmUp * Timing.QuietRuns, longest = timing.LongestWarmUp.TotalSeconds;
        text.AppendLine(Invariant, $"{machine.Processor}, {machine.Cores} cores, {machine.System}, {machine.DotNet}.");
        text.AppendLine(Invariant, $"{toolchains} {machine.Date}, commit {machine.Commit ?? "unknown"}.\n");
        text.AppendLine(machine.ServerAndGeneratorApart
            ? "Server and load generator have a core each, unless a load says otherwise."
            : "Server and load generator share the one core there is: figures of throughput and latency are of both.");
        text.AppendLine(Invariant, $"{rounds}.");
        text.AppendLine(Invariant, $"Every peer in turn, each in a new process, warmed up for {warmUp} s (one with a JIT: until that");
        text.AppendLine(Invariant, $"has rested for {rest} s, or for {longest} s), measured for {timing.Window.TotalSeconds} s.");
        text.AppendLine("100 % of CPU is one core. Latencies are of requests that ask for no work. At a fixed rate they count from when a");
        text.AppendLine("message was due, and the generator's CPU is that of its watching the clock.");
        text.AppendLine("Under HTTP a message is a request with its answer, and one core is the server's unless the load says otherwise.");
        text.AppendLine("Most HTTP loads measure two windows of each peer in a round, in turn; each turn counts as a round.");
        text.AppendLine("System calls are counted under strace, which slows the server, so that it finds more to do at each wake-up.");

        foreach (string failure in results.Failures) text.AppendLine(Invariant, $"\nFAILED: {failure}");
        AppendTargets(text, results);
        foreach (Load load in results.Loads)
        {
            text.AppendLine(Invariant, $"\n## {load.Title} (`{load.Name}`)\n");
            if (results.Samples.FirstOrDefault(sample => sample.Load == load.Name)?.Rate is { } rate)
            {
                text.AppendLine(Invariant, $"{rate:N0} messages/s.\n");
            }
            AppendTable(text, results, load);
        }
        return text.ToString().ReplaceLineEndings("\n");
    }

    private static void AppendTargets(StringBuilder text, Results results)
    {
        text.AppendLine("\n## Targets\n");
        text.AppendLine("Of PollerKit, adaptive, epoll; under HTTP of Kestrel on it. Where the target is a multiple of another peer, the");
        text.AppendLine("ratio to it was measured.");
        text.AppendLine("Each peer's own figures stand in the tables of the loads. "
            + "Managed bytes include the handler that waits and its task.\n");
        text.AppendLine("| figure | target | measured | verdict |\n|---|---|--:|---|");
        foreach (Target target in Target.All)
        {
            Figure? measured = target.Measured(results);
            text.Append(Invariant, $"| {target.Title} | {target.Goal} | {measured?.Show(target.MeasuredFormat) ?? "–"} | ");
            text.AppendLine(Invariant, $"{target.Verdict(measured)} |");
        }
    }

    private static void AppendTable(StringBuilder text, Results results, Load load)
    {
        Column[] columns = [.. results.Columns(load)];
        if (columns.Length == 0)
        {
            text.AppendLine("Nothing was measured.");
            return;
        }
        string reference = results.Reference(load)?.Name ?? "none";
        text.Append("| peer |");
        foreach (Column column in columns) text.Append(Invariant, $" {string.Format(Invariant, column.Header, reference)} |");
        text.Append("\n|---|");
        foreach (Column _ in columns) text.Append("--:|");
        text.AppendLine();

        foreach (Peer peer in results.PeersUnder(load))
        {
            text.Append(Invariant, $"| {peer.Title} |");
            bool any = results.Of(load, peer).Any();
            if (!any) text.Append(' ').Append(results.Missing.GetValueOrDefault(peer.Name, "no sample")).Append(" |");
            foreach (Column column in columns.Skip(any ? 0 : 1)) text.Append(' ').Append(Cell(results, column, load, peer)).Append(" |");
            text.AppendLine();
        }
    }

    private static string Cell(Results results, Column column, Load load, Peer peer)
    {
        if (results.Figure(column, load, peer) is { } figure) return figure.Show(column.Format);
        Sample? uncounted = results.Of(load, peer).FirstOrDefault(static sample => sample.SystemCallsMissing is not null);
        return (column.Name == "systemCalls" ? uncounted?.SystemCallsMissing : null) ?? column.Show(null);
    }
}
