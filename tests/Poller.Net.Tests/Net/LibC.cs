using System.Globalization;
using System.Runtime.InteropServices;

namespace Poller.Net.Tests;

/// <summary>What the tests ask of the system that the BCL does not offer.</summary>
internal static class LibC
{
    private const int RLIMIT_NOFILE = 7;

    /// <summary>The soft limit of the process's descriptors: the number that none of them reaches.</summary>
    public static ulong DescriptorLimit
    {
        get
        {
            Check(getrlimit(RLIMIT_NOFILE, out Limit limit));
            return limit.Soft;
        }

        set
        {
            Check(getrlimit(RLIMIT_NOFILE, out Limit limit));
            limit.Soft = value;
            Check(setrlimit(RLIMIT_NOFILE, in limit));
        }
    }

    /// <summary>The numbers of the process's descriptors.</summary>
    public static IEnumerable<int> Descriptors() =>
        new DirectoryInfo("/proc/self/fd").EnumerateFiles().Select(static file => int.Parse(file.Name, CultureInfo.InvariantCulture));

    /// <summary>How many sockets the process has open.</summary>
    public static int CountSockets() =>
        new DirectoryInfo("/proc/self/fd").EnumerateFiles()
            .Count(static file => file.LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true);

    private static void Check(int result)
    {
        if (result != 0) throw new InvalidOperationException(Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError()));
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int getrlimit(int resource, out Limit limit);

    [DllImport("libc", SetLastError = true)]
    private static extern int setrlimit(int resource, in Limit limit);

    private struct Limit
    {
        public ulong Soft;
        public ulong Hard;
    }
}
