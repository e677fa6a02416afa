using Poller.Net;

namespace Poller.DependencyInjection;

/// <summary>Serves the connections of a listener that <c>AddNetListener</c> adds.</summary>
public interface IConnHandler
{
    /// <summary>
    /// Serves one connection. It begins on the thread pool, and goes on where the poller's dispatch says. The listener closes the
    /// connection when the task has ended, and logs the error of one that fails. Different connections are served at the same time.
    /// </summary>
    /// <param name="conn">The connection. The listener owns it; you may dispose it earlier.</param>
    /// <param name="stopping">
    /// Is cancelled when the host stops. End soon after that: when the host's time for its shutdown is over, the listener closes the
    /// connections that are left.
    /// </param>
    Task HandleAsync(Conn conn, CancellationToken stopping);
}
