using System.Diagnostics;
using System.Net;

namespace Poller.Net.Tests;

/// <summary>Where continuations run, and what a handler can do to the others.</summary>
[Collection(nameof(Alone))]
public sealed class DispatchTests
{
    private static readonly byte[] One = [1];

    [Fact]
    public async Task A_handler_that_blocks_delays_the_others_by_less_than_20_ms()
    {
        const int Rounds = 5;
        using Fixture fixture = new();
        (TcpConn blockerClient, TcpConn blocker) = await fixture.PairAsync();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task echo = EchoAsync(server);
        using ManualResetEventSlim entered = new();
        List<double> worst = [];
        for (int round = 0; round < Rounds; round++)
        {
            entered.Reset();
            Task blocking = BlockAsync(blocker, entered);
            await blockerClient.WriteAsync(One);
            Assert.True(entered.Wait(Fixture.Patience));

            // From a thread of the test's own: what is measured is the loop, not where the test goes on.
            double slowest = 0;
            long promotions = fixture.Poller.Statistics.Promotions;
            for (int i = 0; i < 20; i++)
            {
                long start = Stopwatch.GetTimestamp();
                client.Write(One);
                Assert.Equal(1, client.Read(new byte[1]));
                slowest = Math.Max(slowest, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
            Assert.False(blocking.IsCompleted, $"twenty echoes took longer than the handler blocked; the slowest {slowest} ms.");
            worst.Add(slowest);
            await blocking.WaitAsync(Fixture.Patience);
        }
        worst.Sort();
        Assert.True(worst[Rounds / 2] < 20, $"the slowest echo of each round took {string.Join(", ", worst)} ms; less than 20 was expected of the median.");
        client.Dispose();
        await echo.WaitAsync(Fixture.Patience);

        static async Task BlockAsync(TcpConn conn, ManualResetEventSlim entered)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            entered.Set();
            using ManualResetEventSlim never = new();
            never.Wait(200);
        }
    }

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

        // It is not one that keeps others waiting again and again.
        waiterClient.Write(One);
        await Operation.OnOwnThread(() =>
        {
            Until(() => !loop.IsShared, Echo); // The first handlers run for long, as they are being compiled.
            Until(() => loop.IsShared, () =>
            {
                gateClient.Write(One);
                foreach ((TcpConn end, TcpConn _) in blockers) Assert.Equal(1, end.Read(new byte[1]));
            });
            Until(() => !loop.IsShared, Echo);
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
                Assert.True(Stopwatch.GetElapsedTime(start) < Fixture.Patience, $"IsShared stayed {loop.IsShared}.");
            }
        }

        async Task WaitAsync()
        {
            await waiter.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            Assert.True(release.Wait(Fixture.Patience * 3));
        }

        // On the loop's thread, that polls next and finds both: whichever it runs first, the other is behind it.
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

        // Without a monitor, which would come to the same after a while. It looks no more once it has been stopped in its sleep.
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Sysmon!.IsAsleep, Fixture.Patience), "the monitor never rested.");
        fixture.Poller.Sysmon!.Stop();
        fixture.Poller.Loops[0].IsShared = true;

        await Operation.OnOwnThread(() =>
        {
            blockerClient.Write(One);
            Assert.True(entered.Wait(Fixture.Patience)); // What comes now is not in the blocker's batch.
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
        int count = Math.Min(Environment.ProcessorCount + 1, 14); // More than may run, and no more than stay idle.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] blockers = [.. await Task.WhenAll(Enumerable.Range(0, count).Select(_ => fixture.PairAsync()))];
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task echo = EchoAsync(server);
        using ManualResetEvent release = new(initialState: false); // The slim one spins first, and sleeps in between.
        using SemaphoreSlim entered = new(0);
        Thread?[] threads = new Thread?[count];
        PollLoop loop = fixture.Poller.Loops[0];

        // The monitor starts a thread for each that is caught. Without it they are woken, and none is started.
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
        loop.IsShared = true;

        Task[] second = [.. blockers.Select((pair, i) => BlockAsync(pair.Server, i))];
        await Operation.OnOwnThread(() =>
        {
            for (int i = 0; i < count; i++)
            {
                blockers[i].Client.Write(One);
                Assert.True(entered.Wait(Fixture.Patience), $"handler {i} of {count} never ran.");
                Assert.True(SpinWait.SpinUntil(() => threads[i]!.ThreadState.HasFlag(System.Threading.ThreadState.WaitSleepJoin), Fixture.Patience));
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
    public async Task What_a_deposed_leader_runs_to_its_end_is_no_progress_of_its_successor()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim entered = new(), release = new();
        PollLoop loop = fixture.Poller.Loops[0];
        Thread? deposed = null;
        Task blocked = BlockAsync();

        // It counts what it ran before it polls.
        Assert.True(SpinWait.SpinUntil(() => PollLoop.IsPolling(loop.Lead), Fixture.Patience));
        uint progress = loop.Progress;
        long promotions = fixture.Poller.Statistics.Promotions;
        client.Write(One);
        Assert.True(entered.Wait(Fixture.Patience));
        Assert.True(SpinWait.SpinUntil(() => fixture.Poller.Statistics.Promotions > promotions, Fixture.Patience));
        release.Set();
        await blocked.WaitAsync(Fixture.Patience);
        fixture.Poller.Dispose();
        await Operation.OnOwnThread(() => Assert.True(deposed!.Join(Fixture.Patience))); // This may go on on the deposed thread.
        Assert.Equal(progress, loop.Progress);

        async Task BlockAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            deposed = Thread.CurrentThread;
            entered.Set();
            Assert.True(release.Wait(Fixture.Patience * 2));
        }
    }

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

        // It rests, and serves again after it. Not from here, which may be the deposed thread.
        await Operation.OnOwnThread(() =>
        {
            Assert.True(SpinWait.SpinUntil(() => deposed.ThreadState.HasFlag(System.Threading.ThreadState.WaitSleepJoin), Fixture.Patience));
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
            Assert.Equal(1, other.Read(new byte[1])); // Hands the loop over.
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

        // The monitor would count its own looks.
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
        loop.IsShared = true;
        uint before = loop.SlowRuns;
        await Operation.OnOwnThread(() =>
        {
            // A helper may take the lead and find them one by one.
            long start = Stopwatch.GetTimestamp();
            do
            {
                pairs[0].Client.Write(One);
                for (int i = 1; i < pairs.Length; i++) Assert.True(done.Wait(Fixture.Patience));
            }
            while (loop.SlowRuns == before && Stopwatch.GetElapsedTime(start) < Fixture.Patience);
        });
        Assert.NotEqual(before, loop.SlowRuns);
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
    public void A_successor_has_its_place_from_when_it_is_reserved()
    {
        using Fixture fixture = new();
        LoopThreads threads = fixture.Poller.Loops[0].Threads;
        List<LoopThreads.Follower> reserved = [];
        while (reserved.Count < LoopThreads.Max && threads.TryReserve() is { } follower) reserved.Add(follower);
        Assert.Equal(LoopThreads.Max - 1, reserved.Count); // The leader has the other.
        Assert.False(threads.HasPlace);
        foreach (LoopThreads.Follower follower in reserved) threads.Release(follower);
        Assert.True(threads.HasPlace);
    }

    [Fact]
    public async Task Handlers_that_compute_run_side_by_side()
    {
        if (Environment.ProcessorCount == 1) return; // Nothing to show on one core.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] pairs = [.. await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => fixture.PairAsync()))];
        int running = 0;
        int together = 0;
        Task[] handlers = [.. pairs.Select(pair => ComputeAsync(pair.Server))];
        foreach ((TcpConn client, TcpConn _) in pairs) client.Write(One);
        await Task.WhenAll(handlers).WaitAsync(Fixture.Patience);
        Assert.True(together > 1, "four handlers that compute for 50 ms never overlapped; more than one at a time was expected.");

        async Task ComputeAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            int now = Interlocked.Increment(ref running);
            for (int seen = Volatile.Read(ref together); now > seen; seen = Volatile.Read(ref together))
            {
                Interlocked.CompareExchange(ref together, now, seen);
            }
            long start = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(start).TotalMilliseconds < 50) Thread.SpinWait(100);
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

        // None runs long enough to be taken for stuck, and all together they take 60 ms. A busy machine may not let a helper in before that
        // is over.
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

            // A leader runs in a term, a deposed one too.
            if (LoopThreads.LoopOfThisThread is not null && LoopThreads.TermOfThisThread == uint.MaxValue) Interlocked.Increment(ref helped);
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
            bool helps = LoopThreads.LoopOfThisThread is not null && LoopThreads.TermOfThisThread == uint.MaxValue;
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

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task A_continuation_that_throws_does_not_end_the_loop(NetpollDispatch dispatch)
    {
        CapturingLogger log = new();
        using Netpoller poller = new(TestBackend.Factory, new NetpollerOptions { Dispatch = dispatch, LoggerFactory = log });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        using TcpConn client = net.DialTcp((IPEndPoint)listener.LocalEndPoint);
        using TcpConn server = listener.Accept();
        byte[] buffer = new byte[1];

        // The raw continuation of a ValueTask: an async method would catch.
        Then(server.ReadAsync(buffer), () => throw new InvalidDataException("thrown by a continuation"));
        client.Write(One);
        await log.Logged.WaitAsync(Fixture.Patience);
        Assert.IsType<InvalidDataException>(log.Exception);
        await Assert.ThrowsAsync<InvalidDataException>(() => ThrowingHandlerAsync(server, client)).WaitAsync(Fixture.Patience);

        ValueTask<int> read = server.ReadAsync(buffer);
        client.Write(One);
        Assert.Equal(1, await read.AsTask().WaitAsync(Fixture.Patience));

        static async Task ThrowingHandlerAsync(TcpConn server, TcpConn client)
        {
            ValueTask<int> read = server.ReadAsync(new byte[1]);
            client.Write(One);
            await read.ConfigureAwait(false);
            throw new InvalidDataException();
        }
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive, true)]
    [InlineData(NetpollDispatch.Inline, true)]
    [InlineData(NetpollDispatch.ThreadPool, false)]
    public async Task A_continuation_runs_where_the_dispatch_says(NetpollDispatch dispatch, bool onLoop)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task<(bool Loop, bool Pool)> where = WhereAsync(server);
        client.Write(One);
        (bool loop, bool pool) = await where.WaitAsync(Fixture.Patience);
        Assert.Equal(onLoop, loop);
        Assert.Equal(!onLoop, pool);

        static async Task<(bool, bool)> WhereAsync(TcpConn conn)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            return (LoopThreads.LoopOfThisThread is not null, Thread.CurrentThread.IsThreadPoolThread);
        }
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task A_close_a_deadline_and_a_cancellation_never_run_the_continuation_on_their_own_stack(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (Action<TcpConn, CancellationTokenSource> Act, string What)[] ways =
        [
            ((conn, _) => conn.Dispose(), "close"),
            ((conn, _) => conn.SetReadDeadline(DateTimeOffset.UnixEpoch), "deadline"),
            ((_, cancel) => cancel.Cancel(), "cancellation"),
        ];
        foreach ((Action<TcpConn, CancellationTokenSource> act, string what) in ways)
        {
            (TcpConn _, TcpConn server) = await fixture.PairAsync();
            using CancellationTokenSource cancel = new();
            using ThreadLocal<bool> acting = new();
            Task<bool> inside = ReadAsync(server, cancel.Token, acting);
            TaskCompletionSource done = new();
            new Thread(() =>
            {
                acting.Value = true;
                act(server, cancel);
                acting.Value = false;
                done.SetResult();
            }).Start();
            await done.Task.WaitAsync(Fixture.Patience);
            Assert.False(await inside.WaitAsync(Fixture.Patience), $"the reader went on inside of the call that ended it: {what}.");
        }

        static async Task<bool> ReadAsync(TcpConn conn, CancellationToken token, ThreadLocal<bool> acting)
        {
            try
            {
                await conn.ReadAsync(new byte[1], token).ConfigureAwait(false);
                throw new InvalidOperationException("the read was expected to fail.");
            }
            catch (Exception e) when (e is NetOpException or OperationCanceledException)
            {
                return acting.Value;
            }
        }
    }

    [Fact]
    public async Task A_thousand_reads_that_end_at_once_do_not_recurse()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn _, TcpConn first) = await fixture.PairAsync();
        TcpConn previous = first;
        List<Task<int>> depths = [DepthAsync(first, null)];
        for (int i = 0; i < 1000; i++)
        {
            (TcpConn _, TcpConn next) = await fixture.PairAsync();
            depths.Add(DepthAsync(next, previous)); // As it ends it closes the one before, and so on.
            previous = next;
        }
        previous.Dispose();
        int[] all = await Task.WhenAll(depths).WaitAsync(Fixture.Patience);
        Assert.All(all, depth => Assert.True(depth < 100, $"a continuation ran {depth} frames deep."));

        static async Task<int> DepthAsync(TcpConn conn, TcpConn? toClose)
        {
            await Assert.ThrowsAsync<NetOpException>(async () => await conn.ReadAsync(new byte[1]).ConfigureAwait(false)).ConfigureAwait(false);
            toClose?.Dispose();
            return new StackTrace().FrameCount;
        }
    }

    [Fact]
    public async Task The_execution_context_flows_and_does_not_leak()
    {
        using Fixture fixture = new();
        AsyncLocal<string> local = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn client2, TcpConn server2) = await fixture.PairAsync();
        local.Value = "first";
        Task<string?> first = ReadAsync(server);
        local.Value = "second";
        Task<string?> second = ReadAsync(server2);

        // A raw continuation that flows nothing, and changes the context of the thread it runs on.
        client.Write(One);
        Assert.Equal("first", await first.WaitAsync(Fixture.Patience));
        TaskCompletionSource<string?> raw = new();
        Then(server.ReadAsync(new byte[1]), () => local.Value = "leaked");
        client.Write(One);
        client2.Write(One);
        Assert.Equal("second", await second.WaitAsync(Fixture.Patience));
        Then(server2.ReadAsync(new byte[1]), () => raw.SetResult(local.Value));
        client2.Write(One);
        Assert.Null(await raw.Task.WaitAsync(Fixture.Patience));

        async Task<string?> ReadAsync(TcpConn conn)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            return local.Value;
        }
    }

    [Fact]
    public async Task A_captured_synchronization_context_gets_its_post()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        PostingContext context = new();
        SynchronizationContext? before = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(context);
        Task reading;
        try
        {
            reading = ReadAsync(server);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
        client.Write(One);
        await reading.WaitAsync(Fixture.Patience);
        Assert.Equal(1, context.Posts);

        static async Task ReadAsync(TcpConn conn) => await conn.ReadAsync(new byte[1]);
    }

    [Fact]
    public async Task A_blocking_call_on_a_loop_thread_hands_the_loop_over()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn client2, TcpConn server2) = await fixture.PairAsync();
        Task<int> handler = HandleAsync(server, server2);
        client.Write(One);

        // What the handler waits for comes only after it waits; the loop that has to deliver it is the one it stands on.
        Task<int> echo = client.ReadAsync(new byte[1]).AsTask();
        Assert.Equal(1, await echo.WaitAsync(Fixture.Patience));
        client2.Write([42]);
        Assert.Equal(42, await handler.WaitAsync(Fixture.Patience));
        Assert.NotEqual(0, fixture.Poller.Statistics.Promotions);

        static async Task<int> HandleAsync(TcpConn conn, TcpConn other)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            conn.Write(One);
            return other.ReadByte();
        }
    }

    [Fact]
    public async Task A_blocking_call_on_the_only_thread_there_is_throws()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task handler = HandleAsync(server);
        client.Write(One);
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(() => handler.WaitAsync(Fixture.Patience));
        Assert.Contains("inline dispatch", e.Message, StringComparison.Ordinal);

        // The side it would have waited in is free again.
        ValueTask<int> read = server.ReadAsync(new byte[1]);
        client.Write(One);
        Assert.Equal(1, await read.AsTask().WaitAsync(Fixture.Patience));

        static async Task HandleAsync(TcpConn conn)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            conn.ReadByte();
        }
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    public async Task A_blocking_call_that_queues_on_a_loop_thread_does_not_stop_the_loop(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn client2, TcpConn server2) = await fixture.PairAsync();
        ValueTask<int> first = server2.ReadAsync(new byte[1]);
        Task<int> handler = HandleAsync(server, server2); // Queues behind the first, which waits for the loop.
        client.Write(One);
        if (dispatch == NetpollDispatch.Inline)
        {
            await Assert.ThrowsAsync<InvalidOperationException>(() => handler.WaitAsync(Fixture.Patience));
            client2.Write(One);
            Assert.Equal(1, await first.AsTask().WaitAsync(Fixture.Patience));
            first = server2.ReadAsync(new byte[1]); // The place in the queue was given up.
            client2.Write(One);
            Assert.Equal(1, await first.AsTask().WaitAsync(Fixture.Patience));
        }
        else
        {
            client2.Write([1, 2]);
            Assert.Equal(1, await first.AsTask().WaitAsync(Fixture.Patience));
            Assert.Equal(2, await handler.WaitAsync(Fixture.Patience));
        }

        static async Task<int> HandleAsync(TcpConn conn, TcpConn other)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            return other.ReadByte();
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
            // The gate was held so long that another thread led on, and disposed already: that frees what would have stood behind.
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
                // As above: the dispose came before the byte, and freed it.
            }
            finally
            {
                release.Set();
            }
        }
    }

    [Fact]
    public async Task A_logger_that_throws_does_not_end_the_loop()
    {
        using Netpoller poller = new(TestBackend.Factory, new NetpollerOptions { LoggerFactory = new CapturingLogger { Fails = true } });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        using TcpConn client = net.DialTcp(listener.LocalEndPoint);
        using TcpConn server = listener.Accept();
        Then(server.ReadAsync(new byte[1]), () => throw new InvalidDataException("thrown by a continuation"));
        client.Write(One);
        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        client.Write(One);
        Assert.Equal(1, await read.WaitAsync(Fixture.Patience));
    }

    [Fact]
    public async Task A_buffer_that_is_gone_when_the_bytes_come_fails_its_read_and_no_other()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using GoneBuffer buffer = new();
        Task<int> read = server.ReadAsync(buffer.Memory).AsTask();
        buffer.IsGone = true;
        client.Write(One);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read.WaitAsync(Fixture.Patience));
        Assert.Equal(1, await server.ReadAsync(new byte[1]).AsTask().WaitAsync(Fixture.Patience));
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
            Assert.Equal(1, client2.ReadByte()); // Not before a follower leads.
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
    public async Task Descriptors_are_dealt_out_to_every_loop()
    {
        using Fixture fixture = new(loops: 3);
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        HashSet<PollLoop> seen = [];
        for (int i = 0; i < 3; i++)
        {
            using TcpConn client = fixture.Net.DialTcp((IPEndPoint)listener.LocalEndPoint);
            using TcpConn server = listener.Accept();
            Task<PollLoop?> where = WhereAsync(server);
            client.Write(One);
            seen.Add((await where.WaitAsync(Fixture.Patience))!);
        }
        Assert.Equal(fixture.Poller.Loops.ToHashSet(), seen);

        static async Task<PollLoop?> WhereAsync(TcpConn conn)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            return LoopThreads.LoopOfThisThread;
        }
    }

    // A raw continuation, on the thread that completes the read.
    private static void Then(ValueTask<int> read, Action continuation) => read.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(continuation);

    private static async Task EchoAsync(TcpConn conn)
    {
        byte[] buffer = new byte[16];
        while (true)
        {
            int n = await conn.ReadAsync(buffer).ConfigureAwait(false);
            if (n == 0) return;
            await conn.WriteAsync(buffer.AsMemory(0, n)).ConfigureAwait(false);
        }
    }

    private sealed class GoneBuffer : System.Buffers.MemoryManager<byte>
    {
        private readonly byte[] _bytes = new byte[8];

        public bool IsGone { get; set; }

        public override Span<byte> GetSpan()
        {
            ObjectDisposedException.ThrowIf(IsGone, this);
            return _bytes;
        }

        public override System.Buffers.MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin() { }

        protected override void Dispose(bool disposing) { }
    }

    private sealed class PostingContext : SynchronizationContext
    {
        private int _posts;

        public int Posts => Volatile.Read(ref _posts);

        public override void Post(SendOrPostCallback d, object? state)
        {
            Interlocked.Increment(ref _posts);
            base.Post(d, state);
        }
    }
}
