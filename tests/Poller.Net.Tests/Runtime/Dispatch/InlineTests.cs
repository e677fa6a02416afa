using System.Diagnostics;
using Microsoft.Extensions.Logging;
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
        _ = server.LocalEndPoint; // A report names an address that is known.
        Task blocked = BlockAsync();
        long start = Stopwatch.GetTimestamp();
        client.Write(One);
        await blocked.WaitAsync(Fixture.Patience);

        // The next report comes after two seconds, for which a busy machine may hold the handler up.
        (LogLevel Level, string Text, Exception? Exception)[] warnings = [.. log.Entries.Where(static entry => entry.Level == LogLevel.Warning)];
        if (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(2)) Assert.Single(warnings);
        string text = warnings[0].Text;
        Assert.Contains("has stood still for 1 s in handler Poller.Net.Tests.InlineTests.", text, StringComparison.Ordinal);
        Assert.Contains($".BlockAsync on tcp {server.LocalEndPoint}->{server.RemoteEndPoint},", text, StringComparison.Ordinal);
        Assert.Contains("NetpollDispatch.Adaptive", text, StringComparison.Ordinal);

        // It blocks as .Wait() does, which the library cannot see.
        async Task BlockAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            Assert.True(log.Logged.Wait(Fixture.Patience));
        }
    }
}
