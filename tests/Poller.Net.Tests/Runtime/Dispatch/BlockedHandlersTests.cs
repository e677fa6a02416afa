using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>Many handlers that block at once.</summary>
[Collection(nameof(Alone))]
public sealed class BlockedHandlersTests
{
    [Fact]
    public async Task More_blocked_handlers_than_loop_threads_do_not_stop_the_loop()
    {
        int count = LoopThreads.Max + 4; // What is beyond goes to the thread pool, which grows slowly.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] pairs = [.. await Task.WhenAll(Enumerable.Range(0, count).Select(_ => fixture.PairAsync()))];
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim release = new();
        Task[] handlers = [.. pairs.Select(pair => BlockAsync(pair.Server))];
        foreach ((TcpConn c, TcpConn _) in pairs) c.Write(One);

        // Releases the others from behind them all.
        Task releaser = ReleaseAsync(server);
        client.Write(One);
        await Task.WhenAll([.. handlers, releaser]).WaitAsync(Fixture.Patience);

        async Task BlockAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            release.Wait();
        }

        async Task ReleaseAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            release.Set();
        }
    }
}
