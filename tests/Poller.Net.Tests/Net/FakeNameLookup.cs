using System.Net;

namespace Poller.Net.Tests;

/// <summary>Knows one answer for every name, which may be long in coming.</summary>
internal sealed class FakeNameLookup(Task<IPAddress[]> answer) : INameLookup
{
    public FakeNameLookup(params IPAddress[] addresses) : this(Task.FromResult(addresses)) { }

    public IPAddress[] Lookup(string host) => answer.GetAwaiter().GetResult();

    public Task<IPAddress[]> LookupAsync(string host, CancellationToken token) => answer;
}
