namespace Poller.Net.Tests;

/// <summary>The sockets that this process has open.</summary>
internal static class OpenSockets
{
    public static int Count() =>
        new DirectoryInfo("/proc/self/fd").EnumerateFiles()
            .Count(static file => file.LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true);
}
