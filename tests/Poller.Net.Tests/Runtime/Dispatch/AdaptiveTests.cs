using System.Diagnostics;
using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>A handler that blocks or computes in adaptive dispatch, and what the others see of it.</summary>
[Collection(nameof(Alone))]
public abstract class AdaptiveTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Fact]
    public async Task A_handler_that_blocks_delays_the_others_by_less_than_20_ms()
    {
        const int Rounds = 5;
        using Fixture fixture = new();
        (TcpConn blockerClient, TcpConn blocker) = await fixture.PairAsync();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task echo = EchoAsync(server);
        using ManualResetEventSlim entered = new(), release = new();
        List<double> worst = [];
        for (int round = 0; round < Rounds; round++)
        {
            entered.Reset();
            release.Reset();
            Task blocking = BlockAsync();
            await blockerClient.WriteAsync(One);
            Assert.True(entered.Wait(Fixture.Patience));

            // Use a thread of the test's own, so that we measure the loop and not the place where the test continues.
            double slowest = 0;
            for (int i = 0; i < 20; i++)
            {
                long start = Stopwatch.GetTimestamp();
                client.Write(One);
                Assert.Equal(1, client.Read(new byte[1]));
                slowest = Math.Max(slowest, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
            release.Set();
            worst.Add(slowest);
            await blocking.Within();
        }
        worst.Sort();
        Assert.True(
            worst[Rounds / 2] < 20,
            $"the slowest echo of each round took {string.Join(", ", worst)} ms; less than 20 was expected of the median.");
        client.Dispose();
        await echo.WaitAsync(Fixture.Patience);

        async Task BlockAsync()
        {
            await blocker.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            entered.Set();
            Assert.True(release.Wait(Fixture.Patience * 2));
        }
    }

    [Fact]
    public async Task After_a_long_rest_a_blocked_leader_is_still_noticed()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn client2, TcpConn server2) = await fixture.PairAsync();
        Task echo = EchoAsync(server2);
        for (int round = 0; round < 3; round++)
        {
            Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Sysmon!.IsAsleep, Fixture.Patience), "the monitor never rested.");
            using ManualResetEventSlim entered = new();
            using ManualResetEventSlim release = new();
            Task blocked = BlockAsync(server, entered, release);
            client.Write(One);
            Assert.True(entered.Wait(Fixture.Patience));
            client2.Write(One);
            Assert.Equal(1, client2.ReadByte()); // The echo comes only when a follower leads.
            release.Set();
            await blocked.WaitAsync(Fixture.Patience);
        }
        client2.Dispose();
        await echo.WaitAsync(Fixture.Patience);

        static async Task BlockAsync(TcpConn conn, ManualResetEventSlim entered, ManualResetEventSlim release)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            entered.Set();
            release.Wait();
        }
    }

    [Fact]
    public async Task What_a_deposed_leader_runs_to_its_end_is_no_progress_of_its_successor()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim entered = new(), release = new();
        PollLoop loop = fixture.Poller.Loops[0];
        Thread? deposed = null;
        Task blocked = BlockAsync();

        // It counts the waiter before it polls.
        Assert.True(SpinWait.SpinUntil(() => LoopTerms.IsPolling(loop.Terms.Lead), Fixture.Patience));
        uint progress = loop.Terms.Progress;
        long promotions = fixture.Poller.Statistics.Promotions;
        client.Write(One);
        Assert.True(entered.Wait(Fixture.Patience));
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Statistics.Promotions > promotions, Fixture.Patience));
        release.Set();
        await blocked.WaitAsync(Fixture.Patience);
        fixture.Poller.Dispose();
        await Operation.OnOwnThread(() => Assert.True(deposed!.Join(Fixture.Patience))); // The test may continue on the deposed thread.
        Assert.Equal(progress, loop.Terms.Progress);

        async Task BlockAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            deposed = Thread.CurrentThread;
            entered.Set();
            Assert.True(release.Wait(Fixture.Patience * 2));
        }
    }

    [Fact]
    public async Task A_dispose_frees_what_stands_behind_a_blocked_handler()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn client2, TcpConn server2) = await fixture.PairAsync();
        (TcpConn gate, TcpConn gated) = await fixture.PairAsync();
        using ManualResetEventSlim release = new();
        Task behind = ReleaseAsync(server2);
        Task blocked = DisposeAndBlockAsync(server);

        // The gate holds the loop while the other two become ready, so that one poll finds both.
        using ManualResetEventSlim entered = new();
        using ManualResetEventSlim open = new();
        Task holding = HoldAsync(gated);
        gate.Write(One);
        Assert.True(entered.Wait(Fixture.Patience));
        client.Write(One);
        try
        {
            client2.Write(One);
        }
        catch (NetOpException e) when (e.IsClosed)
        {
            // The gate was held so long that another thread took the lead and has disposed already. That frees the other two.
        }
        open.Set();
        await Task.WhenAll(behind, blocked, holding).WaitAsync(Fixture.Patience);

        async Task HoldAsync(TcpConn conn)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            entered.Set();
            open.Wait();
        }

        async Task DisposeAndBlockAsync(TcpConn conn)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            fixture.Poller.Dispose();
            release.Wait();
        }

        async Task ReleaseAsync(TcpConn conn)
        {
            try
            {
                await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            }
            catch (NetOpException e) when (e.IsClosed)
            {
                // As above, the dispose came before the byte, and freed the handler.
            }
            finally
            {
                release.Set();
            }
        }
    }

    [Fact]
    public async Task A_loop_that_nobody_can_take_over_says_that_it_stands_still()
    {
        CapturingLogger log = new();
        using Fixture fixture = new(log: log);
        LoopThreads threads = fixture.Poller.Loops[0].Threads;
        List<(TcpConn Client, TcpConn Server)> pairs = [];
        for (int i = 0; i < 16; i++) pairs.Add(await fixture.PairAsync());
        threads.StartThread = static _ => throw new InsufficientMemoryException();
        Assert.InRange(threads.Alive, 2, pairs.Count); // There are as many handlers as threads, so the last one has no successor.
        Task[] blocked = [.. pairs.Select(pair => BlockAsync(pair.Server))];
        await Operation.OnOwnThread(() =>
        {
            foreach ((TcpConn client, TcpConn _) in pairs) client.Write(One);
            Assert.True(log.Logged.Wait(Fixture.Patience));
        });
        await Task.WhenAll(blocked).WaitAsync(Fixture.Patience);
        Assert.Contains("No thread could be started", log.Entries.First().Text, StringComparison.Ordinal);

        async Task BlockAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            Assert.True(log.Logged.Wait(Fixture.Patience));
        }
    }
}
