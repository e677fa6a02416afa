using System.Net;

namespace Poller.Net;

/// <summary>
/// Finds the addresses of a name. A test or a simulation may replace it. The twin of Resolver in Go's net/lookup.go. Safe from any thread.
/// </summary>
internal interface INameLookup
{
    /// <exception cref="System.Net.Sockets.SocketException">The name has no address, or the look-up failed.</exception>
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
