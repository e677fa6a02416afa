using System.Globalization;
using System.Runtime.InteropServices;

namespace SideBySide;

/// <summary>The machine and the versions that the figures belong to. A toolchain that is not installed is null.</summary>
internal sealed record Machine
{
    public required string Processor { get; init; }
    public required int Cores { get; init; }
    public required bool ServerAndGeneratorApart { get; init; }
    public required string System { get; init; }
    public required string DotNet { get; init; }
    public required string? Gcc { get; init; }
    public required string? Go { get; init; }
    public required string? Libuv { get; init; }
    public required string? Liburing { get; init; }
    public required string? Strace { get; init; }
    public required string Date { get; init; }
    public required string? Commit { get; init; }

    public static Machine Look(Cores cores) => new()
    {
        Processor = Field("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString(),
        Cores = Environment.ProcessorCount,
        ServerAndGeneratorApart = cores.Apart,
        System = $"Linux {File.ReadAllText("/proc/sys/kernel/osrelease").Trim()}",
        DotNet = RuntimeInformation.FrameworkDescription,
        Gcc = Tool.FirstLine("gcc", "--version"),
        Go = Tool.FirstLine("go", "version"),
        Libuv = Tool.FirstLine("pkg-config", "--modversion", "libuv"),
        Liburing = Tool.FirstLine("pkg-config", "--modversion", "liburing"),
        Strace = Tool.FirstLine("strace", "--version"),
        Date = DateTimeOffset.UtcNow.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture),
        Commit = Tool.FirstLine("git", "-C", AppContext.BaseDirectory, "describe", "--always", "--dirty", "--abbrev=12"),
    };

    /// <summary>How many descriptors a process may have. .NET raises the soft limit to the hard one, and the peers inherit it.</summary>
    public static long Descriptors()
    {
        string[] words = Field("/proc/self/limits", "Max open files")?.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) ?? [];
        bool limited = long.TryParse(words.FirstOrDefault(), CultureInfo.InvariantCulture, out long limit);
        return limited ? limit : long.MaxValue; // "unlimited"
    }

    /// <summary>CPU time of everything that has run on the machine, in ns; the kernel counts it in hundredths of a second.</summary>
    public static long BusyCpu()
    {
        const int Idle = 3, Waiting = 4, Guest = 8; // User time already includes guests.
        const long Hundredth = 10_000_000;
        string[] counters = Field("/proc/stat", "cpu ")!.Split(' ');
        return Hundredth * counters.Where(static (_, i) => i is not (Idle or Waiting or >= Guest))
            .Sum(static counter => long.Parse(counter, CultureInfo.InvariantCulture));
    }

    private static string? Field(string file, string name) =>
        File.ReadLines(file).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?[name.Length..].Trim(' ', '\t', ':');
}
