using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Poller.Tests.Shared;

/// <summary>
/// Lowers the process's limit of descriptors (RLIMIT_NOFILE) until it is disposed. The limit is the process's, so nothing runs beside it.
/// </summary>
internal sealed unsafe partial class DescriptorLimit : IDisposable
{
    private const int NumberOfFiles = 7; // RLIMIT_NOFILE, Linux's.

    private readonly Limit _before;
    private readonly List<SafeFileHandle> _fillers;

    private DescriptorLimit(ulong count, List<SafeFileHandle> fillers)
    {
        Limit before;
        Check(getrlimit(NumberOfFiles, &before));
        (_before, _fillers) = (before, fillers);
        Set(before with { Current = Math.Min(count, before.Maximum) });
    }

    /// <summary>No descriptor is given out from this number on.</summary>
    public static DescriptorLimit To(ulong count)
    {
        CloseWhatWasDropped();
        return new DescriptorLimit(count, []);
    }

    /// <summary>So many can be opened, the highest that there are; the others are taken.</summary>
    public static DescriptorLimit Leaving(int free)
    {
        CloseWhatWasDropped();
        int highest = new DirectoryInfo("/proc/self/fd").EnumerateFiles()
            .Max(static file => int.Parse(file.Name, CultureInfo.InvariantCulture));
        List<SafeFileHandle> fillers = [];
        do fillers.Add(File.OpenHandle("/dev/null"));
        while (fillers[^1].DangerousGetHandle() <= highest);
        return new DescriptorLimit((ulong)(fillers[^1].DangerousGetHandle() + 1 + free), fillers);
    }

    /// <summary>How many can be opened.</summary>
    public static int CountFree()
    {
        List<SafeFileHandle> opened = [];
        try
        {
            while (true) opened.Add(File.OpenHandle("/dev/null"));
        }
        catch (IOException)
        {
            opened.ForEach(static handle => handle.Dispose());
            return opened.Count;
        }
    }

    public void Dispose()
    {
        Set(_before);
        _fillers.ForEach(static filler => filler.Dispose());
    }

    // The finalizers would give back the descriptors of earlier tests while the limit holds.
    private static void CloseWhatWasDropped()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    private static void Set(Limit limit) => Check(setrlimit(NumberOfFiles, &limit));

    private static void Check(int result)
    {
        if (result != 0) throw new InvalidOperationException("rlimit: " + Marshal.GetLastPInvokeErrorMessage());
    }

    private record struct Limit(ulong Current, ulong Maximum);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getrlimit(int resource, Limit* limit);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setrlimit(int resource, Limit* limit);
}
