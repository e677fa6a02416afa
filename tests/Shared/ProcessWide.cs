namespace Poller.Tests.Shared;

/// <summary>
/// The collection of tests that count the process's descriptors, want nearly all of them or certain numbers, or lower the process's limit:
/// nothing runs beside them. Each test project defines it, as the runner looks for it there.
/// </summary>
internal static class ProcessWide
{
    public const string Name = "process-wide";
}
