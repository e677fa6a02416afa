using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace SideBySide;

/// <summary>
/// Counts a process's system calls with strace. strace slows the process down, so this is a separate run, without figures of time.
/// </summary>
internal static class SystemCalls
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static readonly HashSet<string> Data =
    [
        "read", "readv", "recv", "recvfrom", "recvmsg", "recvmmsg", "write", "writev", "send", "sendto", "sendmsg", "sendmmsg",
    ];

    /// <summary>Whether the call moves bytes of a descriptor, which may also be a wake-up's.</summary>
    public static bool MovesData(string name) => Data.Contains(name);

    /// <summary>How often each call was made while <paramref name="run"/> ran, or why that is not known.</summary>
    public static (Dictionary<string, long>? Calls, string? Missing) Count(int pid, Action run)
    {
        string output = Path.GetTempFileName();
        try
        {
            string target = pid.ToString(CultureInfo.InvariantCulture);
            ProcessStartInfo start = new("strace", ["-f", "-c", "-U", "name,calls", "-o", output, "-p", target])
            {
                RedirectStandardError = true,
            };
            using Process strace = Process.Start(start)!;
            try
            {
                Task<string?> reading = strace.StandardError.ReadLineAsync();
                if (!reading.Wait(Patience)) throw Late(pid, "attach");
                string said = reading.Result ?? "";
                if (!said.Contains("attached", StringComparison.Ordinal)) return (null, $"not permitted: {said}");
                Task<string> rest = strace.StandardError.ReadToEndAsync(); // It reports each thread that comes and goes.
                run();
                LibC.Signal(strace.Id, LibC.SIGINT);
                if (!strace.WaitForExit(Patience)) throw Late(pid, "end");
                rest.Wait();
            }
            finally
            {
                if (!strace.HasExited) strace.Kill();
            }
            return (Parse(File.ReadLines(output)), null);
        }
        catch (Win32Exception)
        {
            return (null, "not installed: apt-get install strace");
        }
        finally
        {
            File.Delete(output);
        }
    }

    private static TimeoutException Late(int pid, string what) =>
        new($"strace -p {pid}: it was expected to {what} within {Patience.TotalSeconds} s.");

    private static Dictionary<string, long> Parse(IEnumerable<string> lines)
    {
        Dictionary<string, long> calls = [];
        foreach (string line in lines)
        {
            string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length != 2 || words[0] == "total") continue;
            if (long.TryParse(words[1], CultureInfo.InvariantCulture, out long count)) calls[words[0]] = count;
        }
        return calls;
    }
}
