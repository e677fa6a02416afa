namespace Poller.Net;

/// <summary>The process at the other end of a Unix connection, as the system noted it when the connection was made.</summary>
/// <param name="ProcessId">
/// The process's number, or null where the system does not tell: macOS and the BSDs. It is 0 if this process cannot see the other, which is
/// in another PID namespace. The process may have ended since, and its number may belong to another one.
/// </param>
/// <param name="UserId">Its effective user.</param>
/// <param name="GroupId">Its effective group.</param>
public readonly record struct PeerCredentials(int? ProcessId, uint UserId, uint GroupId);
