using System.Runtime.InteropServices;

namespace Poller.Interleaving.Tests;

/// <summary>
/// Keeps the threads of an exploration on one CPU. Only one runs at a time, and a wake-up across CPUs takes four times as long. It is only
/// for speed, and only for Linux: if a call fails, a thread stays where it was.
/// </summary>
internal static partial class OneCpu
{
    private const int MaskWords = 16;

    /// <summary>
    /// Pins the calling thread and the <paramref name="others"/> (kernel thread ids) to the CPU on which it runs now. Returns the CPUs on
    /// which it was allowed before.
    /// </summary>
    public static ulong[]? Enter(IEnumerable<int> others)
    {
        ulong[] before = new ulong[MaskWords];
        if (!OperatingSystem.IsLinux() || GetAffinity(0, MaskWords * sizeof(ulong), before) < 0) return null;
        int cpu = GetCpu();
        if (cpu is < 0 or >= MaskWords * 64) return null;
        ulong[] one = new ulong[MaskWords];
        one[cpu / 64] = 1UL << (cpu % 64);
        foreach (int thread in (int[])[0, .. others]) _ = SetAffinity(thread, MaskWords * sizeof(ulong), one);
        return before;
    }

    /// <summary>Lets the calling thread run on the CPUs on which it was allowed before.</summary>
    public static void Leave(ulong[]? before)
    {
        if (before is not null) _ = SetAffinity(0, MaskWords * sizeof(ulong), before);
    }

    /// <summary>The kernel's id of the calling thread; 0 on other systems.</summary>
    public static int ThreadId() => OperatingSystem.IsLinux() ? GetThreadId() : 0;

    [LibraryImport("libc", EntryPoint = "sched_getcpu")]
    private static partial int GetCpu();

    [LibraryImport("libc", EntryPoint = "gettid")]
    private static partial int GetThreadId();

    [LibraryImport("libc", EntryPoint = "sched_getaffinity")]
    private static partial int GetAffinity(int thread, nuint size, [Out] ulong[] mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nuint size, ulong[] mask);
}
