using System.Net;

namespace Poller.Net;

/// <summary>
/// Finds the addresses of a name: the seam where a test or a simulation puts a look-up of its own. The twin of Resolver in Go's
/// net/lookup.go. Safe from any thread.
/// </summary>
internal interface INameLookup
{
    /// <exception cref="System.Net.Sockets.SocketException">The name has no address, or nobody could be asked.</exception>
    IPAddress[] Lookup(string host);

    /// <inheritdoc cref="Lookup"/>
    Task<IPAddress[]> LookupAsync(string host, CancellationToken token);
}

/// <summary>The system's look-up, getaddrinfo(3). The async form runs on the thread pool.</summary>
internal sealed class SystemNameLookup : INameLookup
{
    public static readonly SystemNameLookup Instance = new();

    public IPAddress[] Lookup(string host) => Dns.GetHostAddresses(host);

    public Task<IPAddress[]> LookupAsync(string host, CancellationToken token) => Dns.GetHostAddressesAsync(host, token);
}
