namespace Poller.Net;

/// <summary>What an idle time-out knows of a descriptor. Each transition is a compare-and-swap.</summary>
/// <remarks>
/// <code>
/// Untracked -> Active   the time-out begins to look at it, before anybody else uses it
/// Quiet -> Active       an operation has completed, or readiness has come to one that waits
/// Active -> Quiet       the time-out looks
/// Quiet -> Ended        the time-out has found it quiet for too long; for ever
/// </code>
/// </remarks>
internal enum IdleState : byte
{
    Untracked,
    Active,
    Quiet,
    Ended,
}
