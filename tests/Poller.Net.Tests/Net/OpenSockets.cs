namespace Poller.Net.Tests;

/// <summary>
/// The sockets that this process has open. Each has a name of its own, so a test sees the new ones though others close theirs beside it.
/// </summary>
internal static class OpenSockets
{
    public static HashSet<string> Names() =>
    [
        .. new DirectoryInfo("/proc/self/fd").EnumerateFiles()
            .Select(static file => file.LinkTarget ?? "")
            .Where(static target => target.StartsWith("socket:", StringComparison.Ordinal)),
    ];

    /// <summary>Those which were not open when <paramref name="before"/> was taken.</summary>
    public static IEnumerable<string> Since(HashSet<string> before) => Names().Except(before);
}
