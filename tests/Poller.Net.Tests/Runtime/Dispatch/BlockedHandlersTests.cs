using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;
using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>Many handlers that block at once.</summary>
[Collection(nameof(Alone))]
public abstract class BlockedHandlersTests<TBackend>(ITestOutputHelper output) : NetTest<TBackend> where TBackend : ITestBackend
{
    /// <summary>How many handlers block; 300 and 1,000 take POLLER_TESTS=long.</summary>
    public static TheoryData<int> Counts =>
        TestLength.IsLong ? [30, 64, 100, 300, 1_000] : [100];

    // In each burst all handlers become ready at once and sleep for half a second. Meanwhile an echo is sent every millisecond.
    [Theory]
    [MemberData(nameof(Counts))]
    [Trait("Tests", "long")]
    public async Task An_echo_beside_handlers_that_block_takes_less_than_20_ms(int count)
    {
        int bursts = TestLength.IsLong ? 5 : 3;
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] pairs = new (TcpConn, TcpConn)[count];
        for (int i = 0; i < count; i++) pairs[i] = await fixture.PairAsync();
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        using Socket client = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.Connect(listener.LocalEndPoint);
        using TcpConn server = listener.AcceptTcp();
        Task echo = EchoAsync(server);
        List<double> echoes = [], fromSchedule = [];
        List<double> worst = []; // One for each burst. The first burst must start the threads.
        long worstThreads = 0;
        int seen = 0;
        await Operation.OnOwnThread(() =>
        {
            for (int burst = 0; burst < bursts; burst++)
            {
                CountdownEvent left = new(count);
                Task[] handlers = [.. pairs.Select(pair => SleepAsync(pair.Server, left))];
                Worker writer = Worker.Start(() =>
                {
                    foreach ((TcpConn end, TcpConn _) in pairs) end.Write(One);
                });
                long start = Stopwatch.GetTimestamp();
                for (int i = 0; !left.Wait((int)Math.Ceiling(Math.Max(0, i - ElapsedSince(start)))); i++)
                {
                    long sent = Stopwatch.GetTimestamp();
                    client.Send(One);
                    Assert.Equal(1, client.Receive(new byte[1]));
                    echoes.Add(ElapsedSince(sent));

                    // If an echo was due while another one was under way, its wait counts too.
                    fromSchedule.Add(ElapsedSince(start) - i);
                    worstThreads = Math.Max(worstThreads, fixture.Poller.Statistics.BlockedHandlers);
                }
                writer.Join();
                worst.Add(echoes.Skip(seen).Max());
                seen = echoes.Count;
                Task.WaitAll(handlers);
            }
        });
        output.WriteLine(
            $"{count} handlers: an echo took {Percentile(echoes, 50):F2} ms at the median, " +
            $"{Percentile(echoes, 99):F2} at p99, of {echoes.Count}; " +
            $"from when it was due {Percentile(fromSchedule, 50):F2} and {Percentile(fromSchedule, 99):F2}. " +
            $"The slowest of each burst: {string.Join(", ", worst.Select(static ms => $"{ms:F1}"))}. {worstThreads} threads were blocked.");
        Assert.True(Percentile(echoes, 50) < 20, $"an echo took {Percentile(echoes, 50)} ms at the median; less than 20 was expected.");
        Assert.True(Percentile(echoes, 99) < 100, $"an echo took {Percentile(echoes, 99)} ms at p99; less than 100 was expected.");
        client.Close();
        await echo.WaitAsync(Fixture.Patience);

        static double ElapsedSince(long timestamp) => Stopwatch.GetElapsedTime(timestamp).TotalMilliseconds;

        static async Task SleepAsync(TcpConn conn, CountdownEvent left)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            Thread.Sleep(500); // The test is about a handler that blocks.
            left.Signal();
        }
    }

    [Fact]
    public async Task At_the_bound_the_loop_goes_on_and_says_so_once()
    {
        const int Bound = 4;
        const int Count = Bound + 4; // The handlers beyond it go to the thread pool, which grows slowly.
        CapturingLogger log = new();
        using Fixture fixture = new(log: log, maxBlockedHandlers: Bound);
        (TcpConn Client, TcpConn Server)[] pairs = [.. await Task.WhenAll(Enumerable.Range(0, Count).Select(_ => fixture.PairAsync()))];
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim release = new();
        Task[] handlers = [.. pairs.Select(pair => BlockAsync(pair.Server))];
        foreach ((TcpConn c, TcpConn _) in pairs) c.Write(One);

        // It comes last, and releases the others.
        Task releaser = ReleaseAsync(server);
        client.Write(One);
        await Task.WhenAll([.. handlers, releaser]).WaitAsync(Fixture.Patience);
        NetpollerStatistics statistics = fixture.Poller.Statistics;
        Assert.True(statistics.Overflows >= Count - Bound, $"{statistics}: at least {Count - Bound} overflows were expected.");
        while (!log.Entries.Any(IsOurs)) await log.NextAsync();
        (LogLevel level, string _, Exception? _) = Assert.Single(log.Entries, IsOurs);
        Assert.Equal(LogLevel.Warning, level);

        // The machine may hold the handlers up for so long that they are named too.
        static bool IsOurs((LogLevel, string Text, Exception?) entry) =>
            entry.Text.Contains($"all {Bound} threads that MaxBlockedHandlers allows", StringComparison.Ordinal);

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

    // The pool is starved. A thread that comes back from a handler takes the waiters that overflowed.
    [Fact]
    public async Task At_the_bound_a_thread_that_comes_back_runs_what_waits()
    {
        using Fixture fixture = new(maxBlockedHandlers: 1);
        (TcpConn blockerClient, TcpConn blocker) = await fixture.PairAsync();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim entered = new(), release = new();
        TaskCompletionSource releasePool = new();
        Task blocked = BlockAsync();
        Task<bool> ran = RanOnLoopAsync();
        await Operation.OnOwnThread(() =>
        {
            blockerClient.Write(One);
            Assert.True(entered.Wait(Fixture.Patience));
            Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Statistics.Promotions > 0, Fixture.Patience));
            Starve(ThreadPool.ThreadCount + Environment.ProcessorCount + 128, releasePool.Task);
            client.Write(One);
            Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Statistics.Overflows > 0, Fixture.Patience));
            release.Set();
            Assert.True(ran.Wait(Fixture.Patience));
            releasePool.SetResult();
        });
        Assert.True(await ran);
        await blocked.WaitAsync(Fixture.Patience);

        async Task BlockAsync()
        {
            await blocker.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            entered.Set();
            Assert.True(release.Wait(Fixture.Patience * 2));
        }

        async Task<bool> RanOnLoopAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            return LoopThreads.LoopOfThisThread is not null;
        }
    }

    // The pool is starved. A promotion takes the last place, the leader puts a waiter into the overflow, and then the promotion is not
    // needed. So no thread comes back from a handler.
    [Fact]
    public async Task At_the_bound_a_place_that_is_given_back_lets_the_loop_run_what_waits()
    {
        using Fixture fixture = new(maxBlockedHandlers: 1);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        LoopThreads threads = fixture.Poller.Loops[0].Threads;
        TaskCompletionSource releasePool = new();
        Task<bool> ran = RanOnLoopAsync();
        await Operation.OnOwnThread(() =>
        {
            LoopThread? follower = threads.TryReserve();
            Assert.NotNull(follower);
            Assert.False(threads.HasPlace);
            Starve(ThreadPool.ThreadCount + Environment.ProcessorCount + 128, releasePool.Task);
            try
            {
                client.Write(One);
                Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Statistics.Overflows > 0, Fixture.Patience));
                threads.Release(follower);
                Assert.True(ran.Wait(Fixture.Patience));
            }
            finally
            {
                releasePool.SetResult();
            }
        });
        Assert.True(await ran);

        async Task<bool> RanOnLoopAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            return LoopThreads.LoopOfThisThread is not null;
        }
    }

    // The pool may run the last of its items after the end of the test.
    private static void Starve(int count, Task until)
    {
        for (int i = 0; i < count; i++) ThreadPool.UnsafeQueueUserWorkItem(static until => until.Wait(), until, preferLocal: false);
    }

    private static double Percentile(List<double> values, int percent)
    {
        double[] sorted = [.. values.Order()];
        return sorted[(sorted.Length - 1) * percent / 100];
    }
}
