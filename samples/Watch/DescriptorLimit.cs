using System.Runtime.InteropServices;
using System.Text;
using Watch.Sources;

namespace Watch;

/// <summary>
/// How many descriptors the process may have (RLIMIT_NOFILE of getrlimit(2)). .NET takes some for each assembly that it loads, and fails in
/// many ways if it gets none.
/// </summary>
internal static unsafe partial class DescriptorLimit
{
    private const string Library = "libc";
    private const int NumberOfFiles = 7; // RLIMIT_NOFILE, Linux's.
    private const int StandardError = 2;

    // With every kind of source open it has 86.
    private const int Least = 128;

    // What .NET may still need when a source is open: an assembly that it loads late, the pipes of a child process.
    private const int Reserve = 32;

    private struct Limit
    {
        public ulong Current;
        public ulong Maximum;
    }

    /// <summary>Says so, by as little code as possible, if there may be too few. Elsewhere than on Linux it does nothing.</summary>
    public static bool ComplainIfLow()
    {
        if (!OperatingSystem.IsLinux() || Get() is var limit && limit >= Least) return false;
        byte[] line = Encoding.UTF8.GetBytes($"{limit} descriptors are allowed (ulimit -n); at least {Least} were expected.\n");
        fixed (byte* bytes = line) _ = write(StandardError, bytes, line.Length);
        return true;
    }

    /// <summary>Throws if there are too few left for one more source.</summary>
    /// <param name="lowest">The lowest number that is free.</param>
    public static void ThrowIfLow(int lowest)
    {
        int free = (int)Math.Min(Get(), int.MaxValue) - lowest;
        if (free < Reserve) throw new SourceException($"{free} descriptors are free (ulimit -n); at least {Reserve} were expected");
    }

    private static ulong Get()
    {
        Limit limit;
        return getrlimit(NumberOfFiles, &limit) == 0 ? limit.Current : ulong.MaxValue;
    }

    [LibraryImport(Library)]
    private static partial int getrlimit(int resource, Limit* limit);

    [LibraryImport(Library)]
    private static partial nint write(int fd, byte* buffer, nint count);
}
