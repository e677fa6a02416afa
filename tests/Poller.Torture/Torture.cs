using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Poller.Net;

namespace Poller.Torture;

/// <summary>One run: the poller under torture, what its workloads share, and the checks at the end. Safe from any thread.</summary>
internal sealed class Torture : IDisposable
{
    // How long a run of everything lasts before the first count, so that .NET and the libraries have what they keep.
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _over = new();
    private readonly TortureOptions _options;
    private readonly ReportLog _reports;
    private string? _failure;

    private Torture(TortureOptions options)
    {
        _options = options;
        _reports = new ReportLog(Figures);
        Poller = new Netpoller(TortureOptions.Backends[options.Backend], new NetpollerOptions
        {
            Dispatch = options.Dispatch,
            Loops = 2,
            LoggerFactory = _reports,

            // Some seeds come to the bound, and most do not.
            MaxBlockedHandlers = options.Seed % 3 == 0 ? 8 : 1024,
        });
        Net = new NetStack(Poller);
        Chaos = new Chaos(e => Fail($"an action beside the others threw: {e}"));
    }

    public Netpoller Poller { get; }

    public NetStack Net { get; }

    public Figures Figures { get; } = new();

    public Activities Activities { get; } = new();

    public Chaos Chaos { get; }

    public Descriptors Descriptors { get; } = new();

    /// <summary>Whether nothing new shall begin.</summary>
    public bool IsOver => _over.IsCancellationRequested;

    /// <summary>Whether a handler may block where it runs.</summary>
    public bool MayBlockInPlace => _options.Dispatch != NetpollDispatch.Inline;

    public int Seed => _options.Seed;

    /// <summary>Runs a warm-up and then the torture itself. Returns the exit code.</summary>
    public static async Task<int> RunAsync(TortureOptions options)
    {
        Console.WriteLine($"torture {options} (the plan is the seed's, the scheduling is the machine's)");
        List<Exception> unobserved = [];
        TaskScheduler.UnobservedTaskException += (_, e) =>
        {
            lock (unobserved) unobserved.Add(e.Exception);
        };
        using (Torture warmUp = new(options with { Duration = WarmUp }))
        {
            if (!await warmUp.RunAsync()) return 1;
        }
        using Torture torture = new(options);
        if (!await torture.RunAsync()) return 1;
        CollectTwice();
        lock (unobserved)
        {
            if (unobserved.Count == 0) return 0;
        }
        Console.WriteLine($"FAILED ({options}): {unobserved.Count} exceptions that nobody observed; the first: {unobserved[0]}");
        return 1;
    }

    /// <summary>A plan's random numbers: the same for the same seed and names.</summary>
    public Random RandomOf(string name, int index)
    {
        uint hash = 2166136261; // FNV-1a; string.GetHashCode differs in each process.
        foreach (char c in name) hash = (hash ^ c) * 16777619;
        return new Random(unchecked((int)(hash ^ (uint)(index * 0x9E3779B9)) ^ (Seed * 0x2545F491)));
    }

    /// <summary>Waits, unless the run is over first.</summary>
    public async Task DelayAsync(TimeSpan time)
    {
        try
        {
            await Task.Delay(time, _over.Token);
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>Ends the run as failed. The first failure counts.</summary>
    public void Fail(string what)
    {
        if (Interlocked.CompareExchange(ref _failure, what, null) is null) _failed.TrySetResult();
    }

    public void Dispose() => _over.Dispose();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void CollectTwice()
    {
        for (int i = 0; i < 2; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    private async Task<bool> RunAsync()
    {
        Counts before = Counts.Take();
        long maxBlocked = 0;
        bool done = false;
        Activities.Watch(IsDone, stuck => Fail($"no progress: {stuck}"));
        _over.CancelAfter(_options.Duration);
        Workload[] workloads = Workload.All(this);
        Task working = Task.WhenAll(workloads.Select(static workload => workload.RunAsync()));
        if (await Task.WhenAny(working, _failed.Task) == _failed.Task) return Report();
        await working;
        Volatile.Write(ref done, true);
        Chaos.Dispose();

        // A close that lingers, and a thread in a handler that is just over, take a moment.
        int DescsInUse() => Poller.Loops.Sum(static loop => loop.Cache.Snapshot().Count(static desc => desc.Fd >= 0));
        if (!await UntilAsync(() => DescsInUse() == 0)) Fail($"{DescsInUse()} PollDescs are still in use");
        if (!await UntilAsync(() => Poller.Statistics.BlockedHandlers == 0))
        {
            Fail($"{Poller.Statistics.BlockedHandlers} threads are still in handlers");
        }
        int descs = DescsInUse();
        NetpollerStatistics statistics = Poller.Statistics;
        Task disposing = Poller.DisposeAsync().AsTask();
        if (await Task.WhenAny(disposing, Task.Delay(Activities.Patience)) != disposing) Fail("the threads of the poller did not end");
        Counts after = default;
        if (!await UntilAsync(() => (after = Counts.Take()) == before)) Fail($"before: {before}; after: {after}");
        if (statistics.DroppedReports > 0) Fail($"{statistics.DroppedReports} reports were lost");
        if (_reports.Unexpected.TryPeek(out string? report)) Fail($"{_reports.Unexpected.Count} reports, the first: {report}");
        if (Figures[Figure.Pauses] > 0 && Figures[Figure.Shortages] == 0) Fail("a listener paused without a shortage");
        foreach (Workload workload in workloads) workload.CheckFigures();
        if (_failure is not null) return Report();
        if (_options.Duration > WarmUp) Print(statistics, before, after, descs, maxBlocked);
        return true;

        bool IsDone()
        {
            maxBlocked = Math.Max(maxBlocked, Poller.Statistics.BlockedHandlers);
            return Volatile.Read(ref done);
        }
    }

    private bool Report()
    {
        Console.WriteLine($"FAILED ({_options}): {_failure}");
        foreach (string line in Activities.Dump().Take(400)) Console.WriteLine($"  {line}");
        foreach (string report in _reports.Unexpected) Console.WriteLine($"  the poller reported: {report}");
        Console.WriteLine($"  {Poller.Statistics}");
        Console.WriteLine($"  the thread pool: {ThreadPool.ThreadCount} threads, {ThreadPool.PendingWorkItemCount:N0} work items that wait");
        foreach (string line in Figures.Lines()) Console.WriteLine($"  {line}");
        return false;
    }

    private void Print(NetpollerStatistics statistics, Counts before, Counts after, int descs, long maxBlocked)
    {
        foreach (string line in Figures.Lines()) Console.WriteLine(line);
        Console.WriteLine(Figures.Line("polls", statistics.Polls));
        Console.WriteLine(Figures.Line("events", statistics.Events));
        Console.WriteLine(Figures.Line("breaks", statistics.Breaks));
        Console.WriteLine(Figures.Line("promotions", statistics.Promotions));
        Console.WriteLine(Figures.Line("overflows", statistics.Overflows));
        Console.WriteLine(Figures.Line("most handlers that blocked at once", maxBlocked));
        Console.WriteLine(Figures.Line("descriptors before and after", before.Descriptors, after.Descriptors));
        Console.WriteLine(Figures.Line("threads of loops before and after", before.Threads, after.Threads));
        Console.WriteLine(Figures.Line("PollDescs in use after", descs));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"ok: {_options}, {Process.GetCurrentProcess().TotalProcessorTime.TotalSeconds:F1} s of CPU"));
    }

    private static async Task<bool> UntilAsync(Func<bool> condition)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > Activities.Patience) return false;
            await Task.Delay(10);
        }
        return true;
    }
}

/// <summary>What a run must leave as it was.</summary>
/// <param name="Descriptors">The open sockets, pipes, terminals and nameless files. .NET opens the others: its assemblies.</param>
/// <param name="Threads">The threads of loops, by their names.</param>
internal readonly record struct Counts(int Descriptors, int Threads)
{
    private static readonly string[] Kinds = ["socket:", "pipe:", "anon_inode:", "/dev/ptmx", "/dev/pts", "/dev/null"];

    public static Counts Take() => new(
        new DirectoryInfo("/proc/self/fd").EnumerateFiles().Count(static file => IsOurs(file)),
        Directory.GetDirectories("/proc/self/task").Count(static task => NameOf(task).StartsWith("poller ", StringComparison.Ordinal)));

    private static bool IsOurs(FileInfo file)
    {
        try
        {
            return file.LinkTarget is { } target && Kinds.Any(kind => target.StartsWith(kind, StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return false; // It was closed since it was listed.
        }
    }

    private static string NameOf(string task)
    {
        try
        {
            return File.ReadAllText(task + "/comm");
        }
        catch (IOException)
        {
            return ""; // The thread has ended since it was listed.
        }
    }
}
