using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>The threads of a loop.</summary>
[Collection(nameof(Alone))]
public abstract class LoopThreadsTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Fact]
    public async Task An_interrupt_that_comes_too_late_for_its_handler_does_no_harm()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn client2, TcpConn server2) = await fixture.PairAsync();
        Task<Thread> first = CallAsync(server, server2);
        client.Write(One);
        Assert.Equal(1, await client2.ReadAsync(new byte[1]).AsTask().WaitAsync(Fixture.Patience)); // It is about to wait.
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Statistics.Promotions > 0, Fixture.Patience));
        client2.Write(One);
        Thread deposed = await first.WaitAsync(Fixture.Patience);

        // The thread becomes idle, and then serves again. Wait elsewhere, because this may be the deposed thread.
        await Operation.OnOwnThread(() =>
        {
            Assert.True(
                SpinWait.SpinUntil(() => deposed.ThreadState.HasFlag(System.Threading.ThreadState.WaitSleepJoin), Fixture.Patience));
            deposed.Interrupt();
            Task<Thread> second = CallAsync(server, server2);
            client.Write(One);
            Assert.Equal(1, client2.Read(new byte[1]));
            client2.Write(One);
            Assert.True(second.Wait(Fixture.Patience));
            fixture.Poller.Dispose();
            Assert.True(deposed.Join(Fixture.Patience));
        });

        static async Task<Thread> CallAsync(TcpConn conn, TcpConn other)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            Thread thread = Thread.CurrentThread;
            other.Write(One);
            Assert.Equal(1, other.Read(new byte[1])); // This call hands the loop over.
            return thread;
        }
    }

    [Fact]
    public async Task A_thread_that_waits_for_long_counts_no_longer_as_one_that_waits()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        LoopThreads threads = fixture.Poller.Loops[0].Threads;
        using ManualResetEventSlim entered = new();
        using ManualResetEvent release = new(initialState: false);

        // Stop the monitor, which would count its own looks.
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Sysmon!.IsAsleep, Fixture.Patience), "the monitor never rested.");
        fixture.Poller.Sysmon!.Stop();
        Task blocked = BlockAsync();
        await Operation.OnOwnThread(() =>
        {
            client.Write(One);
            Assert.True(entered.Wait(Fixture.Patience));
            Assert.True(SpinWait.SpinUntil(() => threads.AnyWaits(looks: 2), Fixture.Patience));
            Assert.True(threads.AnyWaits(looks: 2));
            Assert.False(threads.AnyWaits(looks: 2));
        });
        release.Set();
        await blocked.WaitAsync(Fixture.Patience);

        async Task BlockAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            entered.Set();
            Assert.True(release.WaitOne(Fixture.Patience * 2));
        }
    }

    [Fact]
    public void A_successor_has_its_place_from_when_it_is_reserved()
    {
        using Fixture fixture = new(maxBlockedHandlers: 5);
        LoopThreads threads = fixture.Poller.Loops[0].Threads;
        List<LoopThread> reserved = [];
        while (reserved.Count < 10 && threads.TryReserve() is { } follower) reserved.Add(follower);
        Assert.Equal(5, reserved.Count); // The leader has one more.
        Assert.Equal(5, fixture.Poller.Statistics.BlockedHandlers);
        Assert.False(threads.HasPlace);
        foreach (LoopThread follower in reserved) threads.Release(follower);
        Assert.True(threads.HasPlace);
    }

    [Fact]
    public async Task Threads_that_were_not_needed_for_long_end_but_for_the_last()
    {
        const int Count = 8;
        using Fixture fixture = new();
        LoopThreads threads = fixture.Poller.Loops[0].Threads;
        threads.IdleTime = TimeSpan.FromMilliseconds(50);
        (TcpConn Client, TcpConn Server)[] pairs = [.. await Task.WhenAll(Enumerable.Range(0, Count).Select(_ => fixture.PairAsync()))];
        using CountdownEvent entered = new(Count);
        using ManualResetEventSlim release = new();
        Task[] handlers = [.. pairs.Select(pair => BlockAsync(pair.Server))];
        await Operation.OnOwnThread(() =>
        {
            foreach ((TcpConn client, TcpConn _) in pairs) client.Write(One);
            Assert.True(entered.Wait(Fixture.Patience));
            Assert.True(threads.Alive >= Count, $"{Count} handlers are blocked, on {threads.Alive} threads.");
            release.Set();

            // A thread that was idle before the time was set keeps its old time.
            Assert.True(SpinWait.SpinUntil(() => threads.Alive <= 3, Fixture.Patience), $"{threads.Alive} threads stayed.");
            Assert.True(threads.Alive >= 2, "nobody is at hand to succeed the leader.");
        });
        await Task.WhenAll(handlers).WaitAsync(Fixture.Patience);

        async Task BlockAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            entered.Signal();
            Assert.True(release.Wait(Fixture.Patience * 2));
        }
    }
}
