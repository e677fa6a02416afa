namespace Poller.Net;

/// <summary>How a dial waits.</summary>
internal readonly record struct DialMode(bool Blocking, DateTimeOffset? Deadline, CancellationToken Token);
