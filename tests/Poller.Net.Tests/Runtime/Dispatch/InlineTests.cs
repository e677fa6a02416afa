using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>A handler that blocks in inline dispatch, where nobody takes over.</summary>
[Collection(nameof(Alone))]
public sealed class InlineTests
{
    [Fact]
    public async Task A_loop_that_stands_still_says_so_once_and_names_the_dispatch_to_use()
    {
        CapturingLogger log = new();
        using Fixture fixture = new(EpollBackend.Factory, NetpollDispatch.Inline, log: log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task blocked = BlockAsync();
        client.Write(One);
        await blocked.WaitAsync(Fixture.Patience);
        Assert.Contains("has stood still for 1 s", Assert.Single(log.Entries).Text, StringComparison.Ordinal);
        Assert.Contains("NetpollDispatch.Adaptive", log.Entries.First().Text, StringComparison.Ordinal);

        // As with .Wait(), which the library cannot see.
        async Task BlockAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            Assert.True(log.Logged.Wait(Fixture.Patience));
        }
    }
}
