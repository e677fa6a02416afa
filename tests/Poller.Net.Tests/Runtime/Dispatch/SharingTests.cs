using System.Diagnostics;
using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>When a loop is shared with helpers, and what they do for it.</summary>
[Collection(nameof(Alone))]
public abstract class SharingTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Fact]
    public async Task A_loop_is_shared_while_handlers_keep_others_waiting_and_not_for_long_after()
    {
        using Fixture fixture = new();
        (TcpConn gateClient, TcpConn gate) = await fixture.PairAsync();
        (TcpConn Client, TcpConn Server)[] blockers = [await fixture.PairAsync(), await fixture.PairAsync()];
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn waiterClient, TcpConn waiter) = await fixture.PairAsync();
        using ManualResetEventSlim release = new();
        PollLoop loop = fixture.Poller.Loops[0];
        Task[] handlers = [GateAsync(), .. blockers.Select(pair => BlockAsync(pair.Server)), EchoAsync(server), WaitAsync()];

        // One such handler does not keep others waiting again and again.
        waiterClient.Write(One);
        await Operation.OnOwnThread(() =>
        {
            Until(() => !loop.Terms.IsShared, Echo); // The first handlers run for long, as they are being compiled.
            Until(() => loop.Terms.IsShared, () =>
            {
                gateClient.Write(One);
                foreach ((TcpConn end, TcpConn _) in blockers) Assert.Equal(1, end.Read(new byte[1]));
            });
            Until(() => !loop.Terms.IsShared, Echo);
        });
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Sysmon!.IsAsleep, Fixture.Patience), "the monitor never rested.");
        release.Set();
        foreach (TcpConn end in (TcpConn[])[gateClient, blockers[0].Client, blockers[1].Client, client]) end.Dispose();
        await Task.WhenAll(handlers).WaitAsync(Fixture.Patience);

        void Echo()
        {
            client.Write(One);
            Assert.Equal(1, client.Read(new byte[1]));
        }

        void Until(Func<bool> done, Action pass)
        {
            long start = Stopwatch.GetTimestamp();
            while (!done())
            {
                pass();
                Assert.True(Stopwatch.GetElapsedTime(start) < Fixture.Patience, $"IsShared stayed {loop.Terms.IsShared}.");
            }
        }

        async Task WaitAsync()
        {
            await waiter.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            Assert.True(release.Wait(Fixture.Patience * 3));
        }

        // This is the loop's thread, which polls next and finds both. Whichever it runs first, the other is behind it.
        async Task GateAsync()
        {
            while (await gate.ReadAsync(new byte[1]).ConfigureAwait(false) > 0)
            {
                foreach ((TcpConn end, TcpConn _) in blockers) end.Write(One);
            }
        }

        async Task BlockAsync(TcpConn conn)
        {
            while (await conn.ReadAsync(new byte[1]).ConfigureAwait(false) > 0)
            {
                using ManualResetEventSlim never = new();
                never.Wait(20);
                await conn.WriteAsync(One).ConfigureAwait(false);
            }
        }
    }

    [Fact]
    public async Task In_a_shared_loop_another_thread_polls_on_at_once_when_a_handler_blocks()
    {
        using Fixture fixture = new();
        (TcpConn blockerClient, TcpConn blocker) = await fixture.PairAsync();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task echo = EchoAsync(server);
        using ManualResetEventSlim entered = new(), release = new();
        Task blocking = BlockAsync();

        // Stop the monitor, which would do the same after a while. It no longer looks after a stop during its sleep.
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Sysmon!.IsAsleep, Fixture.Patience), "the monitor never rested.");
        fixture.Poller.Sysmon!.Stop();
        fixture.Poller.Loops[0].Terms.IsShared = true;

        await Operation.OnOwnThread(() =>
        {
            blockerClient.Write(One);
            Assert.True(entered.Wait(Fixture.Patience)); // From now on nothing gets into the blocker's batch.
            client.Write(One);
            client.SetReadDeadline(DateTimeOffset.UtcNow + Fixture.Patience);
            Assert.Equal(1, client.Read(new byte[1]));
        });
        Assert.False(blocking.IsCompleted);
        release.Set();
        await blocking.WaitAsync(Fixture.Patience);
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
    public async Task In_a_shared_loop_threads_that_wait_in_handlers_are_not_taken_for_running()
    {
        int count = Math.Min(Environment.ProcessorCount + 1, 14); // More threads than may run, but no more than stay idle.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] blockers = [.. await Task.WhenAll(Enumerable.Range(0, count).Select(_ => fixture.PairAsync()))];
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task echo = EchoAsync(server);
        using ManualResetEvent release = new(initialState: false); // ManualResetEventSlim would spin first, and sleep in between.
        using SemaphoreSlim entered = new(0);
        Thread?[] threads = new Thread?[count];
        PollLoop loop = fixture.Poller.Loops[0];

        // The monitor starts a thread for each one that is caught. Without the monitor, threads are woken and none starts.
        Task[] first = [.. blockers.Select((pair, i) => BlockAsync(pair.Server, i))];
        await Operation.OnOwnThread(() =>
        {
            foreach ((TcpConn end, TcpConn _) in blockers) end.Write(One);
            for (int i = 0; i < count; i++) Assert.True(entered.Wait(Fixture.Patience));
            Echo(); // One more thread leads.
        });
        release.Set();
        await Task.WhenAll(first).WaitAsync(Fixture.Patience);
        release.Reset();
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Sysmon!.IsAsleep, Fixture.Patience), "the monitor never rested.");
        fixture.Poller.Sysmon!.Stop();
        loop.Terms.IsShared = true;

        Task[] second = [.. blockers.Select((pair, i) => BlockAsync(pair.Server, i))];
        await Operation.OnOwnThread(() =>
        {
            for (int i = 0; i < count; i++)
            {
                blockers[i].Client.Write(One);
                Assert.True(entered.Wait(Fixture.Patience), $"handler {i} of {count} never ran.");
                Assert.True(SpinWait.SpinUntil(
                    () => threads[i]!.ThreadState.HasFlag(System.Threading.ThreadState.WaitSleepJoin), Fixture.Patience));
                Echo();
            }
        });
        release.Set();
        await Task.WhenAll(second).WaitAsync(Fixture.Patience);
        client.Dispose();
        await echo.WaitAsync(Fixture.Patience);

        void Echo()
        {
            client.SetReadDeadline(DateTimeOffset.UtcNow + Fixture.Patience);
            client.Write(One);
            Assert.Equal(1, client.Read(new byte[1]));
        }

        async Task BlockAsync(TcpConn conn, int i)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            threads[i] = Thread.CurrentThread;
            entered.Release();
            Assert.True(release.WaitOne(Fixture.Patience * 2));
        }
    }

    [Fact]
    public async Task A_shared_loop_counts_the_handlers_that_run_for_long_with_others_behind_them()
    {
        if (Environment.ProcessorCount == 1) return; // Not counted on one core.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] pairs = [.. await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => fixture.PairAsync()))];
        PollLoop loop = fixture.Poller.Loops[0];
        using SemaphoreSlim done = new(0);
        Task[] handlers = [GateAsync(), .. pairs[1..].Select(pair => ComputeAsync(pair.Server))];

        // The monitor would end the sharing.
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Sysmon!.IsAsleep, Fixture.Patience), "the monitor never rested.");
        fixture.Poller.Sysmon!.Stop();
        loop.Terms.IsShared = true;
        uint before = loop.Terms.SlowRuns;
        await Operation.OnOwnThread(() =>
        {
            // A helper may take the lead, and find the waiters one by one.
            long start = Stopwatch.GetTimestamp();
            do
            {
                pairs[0].Client.Write(One);
                for (int i = 1; i < pairs.Length; i++) Assert.True(done.Wait(Fixture.Patience));
            }
            while (loop.Terms.SlowRuns == before && Stopwatch.GetElapsedTime(start) < Fixture.Patience);
        });
        Assert.NotEqual(before, loop.Terms.SlowRuns);
        foreach ((TcpConn client, TcpConn _) in pairs) client.Dispose();
        await Task.WhenAll(handlers).WaitAsync(Fixture.Patience);

        async Task GateAsync()
        {
            while (await pairs[0].Server.ReadAsync(new byte[1]).ConfigureAwait(false) > 0)
            {
                foreach ((TcpConn client, TcpConn _) in pairs[1..]) client.Write(One);
            }
        }

        async Task ComputeAsync(TcpConn conn)
        {
            while (await conn.ReadAsync(new byte[1]).ConfigureAwait(false) > 0)
            {
                long start = Stopwatch.GetTimestamp();
                while (Stopwatch.GetElapsedTime(start).TotalMilliseconds < 2) Thread.SpinWait(100);
                done.Release();
            }
        }
    }

    [Fact]
    public async Task Handlers_that_compute_run_side_by_side()
    {
        if (Environment.ProcessorCount == 1) return; // Nothing to show on one core.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] pairs = [.. await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => fixture.PairAsync()))];
        int running = 0;
        int together = 0;
        long begin = Stopwatch.GetTimestamp();
        Task[] handlers = [.. pairs.Select(pair => ComputeAsync(pair.Server))];
        foreach ((TcpConn client, TcpConn _) in pairs) client.Write(One);
        await Task.WhenAll(handlers).WaitAsync(Fixture.Patience);
        Assert.True(together > 1, "four handlers that compute never overlapped; more than one at a time was expected.");

        async Task ComputeAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            int now = Interlocked.Increment(ref running);
            for (int seen = Volatile.Read(ref together); now > seen; seen = Volatile.Read(ref together))
            {
                Interlocked.CompareExchange(ref together, now, seen);
            }

            // The first computes until another does, and gives up in the end.
            while (Volatile.Read(ref together) < 2 && Stopwatch.GetElapsedTime(begin) < Fixture.Patience / 2) Thread.SpinWait(100);
            Interlocked.Decrement(ref running);
        }
    }

    [Fact]
    public async Task Short_handlers_of_a_long_batch_are_shared_with_a_helper()
    {
        const int Handlers = 300;
        const int Batches = 20;
        if (Environment.ProcessorCount == 1) return; // Nobody helps on one core.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] pairs = [.. await Task.WhenAll(Enumerable.Range(0, Handlers).Select(_ => fixture.PairAsync()))];
        int helped = 0;

        // No handler runs long enough to look stuck, and all together they take 60 ms. On a busy machine the helper may come only after
        // that.
        for (int batch = 0; batch < Batches && Volatile.Read(ref helped) == 0; batch++)
        {
            Task[] handlers = [.. pairs.Select(pair => ComputeAsync(pair.Server))];
            foreach ((TcpConn client, TcpConn _) in pairs) client.Write(One);
            await Task.WhenAll(handlers).WaitAsync(Fixture.Patience);
        }
        Assert.True(helped > 0, $"of {Batches} times {Handlers} handlers that compute for 0.2 ms a helper ran none.");

        async Task ComputeAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);

            // A leader runs in a term, also after it is deposed.
            if (LoopThread.Current is { Term: uint.MaxValue })
            {
                Interlocked.Increment(ref helped);
            }
            long start = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(start).TotalMilliseconds < 0.2) Thread.SpinWait(10);
        }
    }

    [Fact]
    public async Task Helpers_that_are_caught_in_handlers_do_not_keep_others_from_helping()
    {
        const int Handlers = 300;
        const int Batches = 60;
        int places = Environment.ProcessorCount - 1;
        if (places == 0) return; // Nobody helps on one core.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] pairs = [.. await Task.WhenAll(Enumerable.Range(0, Handlers).Select(_ => fixture.PairAsync()))];
        bool[] caught = new bool[Handlers];
        using ManualResetEventSlim release = new();
        int helped = 0;
        List<Task> all = [];

        for (int batch = 0; batch < Batches && Volatile.Read(ref helped) <= places; batch++)
        {
            int[] free = [.. Enumerable.Range(0, Handlers).Where(i => !Volatile.Read(ref caught[i]))];
            CountdownEvent left = new(free.Length);
            all.AddRange(free.Select(i => ComputeAsync(i, left)));
            await Operation.OnOwnThread(() =>
            {
                foreach (int i in free) pairs[i].Client.Write(One);
                Assert.True(left.Wait(Fixture.Patience));
            });
        }
        Assert.True(helped > places, $"{helped} handlers ran on helpers, in {Batches} batches; {places} of them were to be caught there.");
        release.Set();
        await Task.WhenAll(all).WaitAsync(Fixture.Patience);

        async Task ComputeAsync(int i, CountdownEvent left)
        {
            await pairs[i].Server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            bool helps = LoopThread.Current is { Term: uint.MaxValue };
            bool isCaught = helps && Interlocked.Increment(ref helped) <= places;
            Volatile.Write(ref caught[i], isCaught);
            if (!isCaught)
            {
                long start = Stopwatch.GetTimestamp();
                while (Stopwatch.GetElapsedTime(start).TotalMilliseconds < 0.2) Thread.SpinWait(10);
            }
            left.Signal();
            if (isCaught) release.Wait();
        }
    }
}
