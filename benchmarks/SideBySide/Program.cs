using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Runtime.InteropServices;
using SideBySide;
using Spectre.Console;

Option<bool> quick = new("--quick") { Description = "The main loads, in about five minutes. The default." };
Option<bool> full = new("--full") { Description = "Every load, long enough to publish: more than an hour. Writes to docs/benchmarks." };
Option<bool> smoke = new("--smoke")
{
    Description = "A little of every kind of load, in seconds. Asserts that the peers work, and no speed.",
};
Option<string?> peerNames = new("--peers")
{
    Description = "The peers, with commas between them, or all. By default the main ones; a full run has the others too, under three "
        + $"loads. One of: {string.Join(", ", Peer.All.Select(static peer => peer.Name))}.",
    HelpName = "a,b",
};
Option<string?> loadNames = new("--loads")
{
    Description = "The loads, with commas between them, or all; by default those of the run. --smoke has its own. "
        + $"One of: {string.Join(", ", Load.All.Select(static load => load.Name))}.",
    HelpName = "x,y",
};
Option<int?> rounds = new("--rounds") { Description = "How often each peer is measured under each load, 1 to 100.", HelpName = "N" };
Option<DirectoryInfo?> output = new("--out")
{
    Description = "Where results and plots go. By default a folder of the build's output, or docs/benchmarks for --full.",
    HelpName = "DIR",
};
Option<FileInfo?> baseline = new("--baseline")
{
    Description = "PollerKitPeer.dll of another build, an earlier commit's for example: measured in turn with the other peers, and what "
        + "ratios divide by.",
    HelpName = "FILE",
};
RootCommand root = new("Measures servers on PollerKit side by side with their peers: whole echo servers, and Kestrel on its transports.")
{
    quick, full, smoke, peerNames, loadNames, rounds, output, baseline,
};
root.Validators.Add(result =>
{
    if (new[] { quick, full, smoke }.Count(result.GetValue) > 1) result.AddError("--quick, --full, --smoke: one of them was expected.");
});

ParseResult parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (ParseError error in parsed.Errors) Console.Error.WriteLine(error.Message);
    return 2;
}

// Runs on its own thread. That thread plays the load, and the main thread must stay free to notice an interruption.
root.SetAction((result, cancel) => Task.Run(() => Main(result, cancel), CancellationToken.None));
return await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(30) });

int Main(ParseResult result, CancellationToken cancel)
{
    try
    {
        if (!OperatingSystem.IsLinux()) throw new FormatException($"{RuntimeInformation.OSDescription}: Linux was expected.");
        bool isSmoke = result.GetValue(smoke), isFull = result.GetValue(full);
        Timing timing = isSmoke ? Timing.Smoke : isFull ? Timing.Full : Timing.Quick;
        if (result.GetValue(rounds) is { } n) timing = timing with { MainRounds = n, Rounds = n };
        if (timing.Rounds is < 1 or > 100) throw new FormatException($"--rounds {timing.Rounds}: a number from 1 to 100 was expected.");
        IReadOnlyList<Load> known = isSmoke ? Load.Smoke : Load.All;
        IReadOnlyList<Load> loads = Choose(loadNames, result, known, static load => load.Name, load => isSmoke || isFull || load.Quick);
        bool variants = isFull && loads.Any(static load => load.Variants);
        IReadOnlyList<Peer> peers = Choose(peerNames, result, Peer.All, static peer => peer.Name, peer => variants || peer.Main);
        foreach (Load load in loads.Where(load => load.PeakOf is not null && loads.All(other => other.Name != load.PeakOf)))
        {
            throw new FormatException($"--loads \"{load.Name}\": it needs {load.PeakOf} in the same run.");
        }

        string folder = result.GetValue(output)?.FullName
            ?? (isFull ? Path.Combine(Repository.Folder ?? throw Nowhere(), "docs", "benchmarks")
                : Path.Combine(AppContext.BaseDirectory, "results"));

        // Fail now, and not after a run of an hour.
        CheckWritable(folder);

        // Peers that the user names are measured under every load.
        if (result.GetValue(peerNames) is not null) peers = [.. peers.Select(static peer => peer with { Main = true })];
        if (result.GetValue(baseline) is { } other)
        {
            if (!other.Exists) throw new FormatException($"--baseline \"{other}\": a PollerKitPeer.dll that is there was expected.");
            peers = [Peer.Baseline(other), .. peers];
        }
        peers = [.. peers.Where(peer => loads.Any(load => load.Has(peer)))];
        Results results = WithProgress(new Run(peers, loads, timing), cancel);
        Report.Write(results, timing, folder);
        Plots.Write(results, folder);
        Print(results, folder);
        return results.Failures.Count == 0 ? 0 : 1;
    }
    catch (FormatException e)
    {
        Console.Error.WriteLine(e.Message);
        return 2;
    }
    catch (OperationCanceledException)
    {
        Console.Error.WriteLine("interrupted; every server has been ended, and no results were written");
        return 130;
    }
}

static void CheckWritable(string folder)
{
    try
    {
        Directory.CreateDirectory(folder);
        using FileStream probe = new(
            Path.Combine(folder, Path.GetRandomFileName()),
            FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
    }
    catch (Exception e) when (e is IOException or UnauthorizedAccessException)
    {
        throw new FormatException($"--out \"{folder}\": {e.Message} A folder to write to was expected.");
    }
}

static FormatException Nowhere() => new("--full: no folder above the program holds PollerKit.sln; --out DIR was expected.");

static IReadOnlyList<T> Choose<T>(
    Option<string?> option, ParseResult result, IReadOnlyList<T> all, Func<T, string> nameOf, Func<T, bool> byDefault)
{
    if (result.GetValue(option) is not { } names) return [.. all.Where(byDefault)];
    if (names == "all") return all;
    string[] chosen = names.Split(',', StringSplitOptions.TrimEntries);
    foreach (string name in chosen.Where(name => all.All(item => nameOf(item) != name)))
    {
        throw new FormatException($"{option.Name} \"{name}\": one of {string.Join(", ", all.Select(nameOf))} was expected.");
    }
    return [.. all.Where(item => chosen.Contains(nameOf(item)))];
}

// The progress is drawn between two measurements, never during one.
static Results WithProgress(Run run, CancellationToken cancel)
{
    if (Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Interactive) return run.Go(static _ => { }, cancel);
    return AnsiConsole.Progress().AutoRefresh(false).HideCompleted(false).Start(context =>
    {
        ProgressTask task = context.AddTask("starting", maxValue: run.Steps);
        Results results = run.Go(next =>
        {
            task.Description = Markup.Escape(next);
            context.Refresh();
            task.Increment(1);
        }, cancel);
        task.Value = task.MaxValue;
        return results;
    });
}

static void Print(Results results, string folder)
{
    if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 140;
    foreach (Load load in results.Loads)
    {
        Column[] columns = [.. results.Columns(load).Take(5)];
        if (columns.Length == 0) continue;
        Table table = new Table().Title(Markup.Escape(load.Title)).AddColumn("peer");
        foreach (Column column in columns)
        {
            string header = string.Format(CultureInfo.InvariantCulture, column.Header, results.Reference(load)?.Name);
            table.AddColumn(new TableColumn(Markup.Escape(header)).RightAligned());
        }
        foreach (Peer peer in results.PeersUnder(load))
        {
            string[] cells = results.Of(load, peer).Any()
                ? [.. columns.Select(column => column.Show(results.Figure(column, load, peer)?.Median))]
                : [results.Missing.GetValueOrDefault(peer.Name, "no sample")];
            table.AddRow([Markup.Escape(peer.Name), .. cells.Select(Markup.Escape)]);
        }
        AnsiConsole.Write(table);
    }
    foreach (string failure in results.Failures) Console.Error.WriteLine($"FAILED: {failure}");
    Console.WriteLine($"written to {folder}");
}
