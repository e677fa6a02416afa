using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using Poller.Abstractions;

namespace Poller.Net.Tests;

public abstract class NetpollerTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private sealed class Elsewhere : INetpollFactory
    {
        public string Name => "elsewhere";

        public bool IsSupported([NotNullWhen(false)] out string? reason)
        {
            reason = "this is not Elsewhere; on Linux epoll was expected";
            return false;
        }

        public INetpoll Create() => throw new PlatformNotSupportedException();
    }

    [Fact]
    public void A_backend_that_is_not_supported_says_why()
    {
        PlatformNotSupportedException e = Assert.Throws<PlatformNotSupportedException>(() => new Netpoller(new Elsewhere()));
        Assert.Equal("elsewhere: this is not Elsewhere; on Linux epoll was expected", e.Message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(1025)]
    public void A_number_of_loops_out_of_range_is_refused(int loops)
    {
        ArgumentOutOfRangeException e =
            Assert.Throws<ArgumentOutOfRangeException>(() => new Netpoller(TBackend.Factory, new NetpollerOptions { Loops = loops }));
        Assert.Contains("1 to 1024", e.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new Netpoller(TBackend.Factory, new NetpollerOptions { Dispatch = (NetpollDispatch)9 }));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(32_768)]
    public void A_number_of_blocked_handlers_out_of_range_is_refused(int handlers)
    {
        NetpollerOptions options = new() { MaxBlockedHandlers = handlers };
        ArgumentOutOfRangeException e = Assert.Throws<ArgumentOutOfRangeException>(() => new Netpoller(TBackend.Factory, options));
        Assert.Contains("MaxBlockedHandlers: 1 to 32767", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_clock_that_is_null_is_refused_by_the_name_of_its_option()
    {
        NetpollerOptions options = new() { TimeProvider = null! };
        ArgumentException e = Assert.Throws<ArgumentException>(() => new Netpoller(TBackend.Factory, options));
        Assert.Contains("TimeProvider:", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_defaults_are_adaptive_with_one_loop()
    {
        using Netpoller poller = new(TBackend.Factory);
        Assert.Equal(NetpollDispatch.Adaptive, poller.Dispatch);
        Assert.Equal(1, poller.LoopCount);
        Assert.Equal(1_024, poller.MaxBlockedHandlers);
        Assert.Equal(TBackend.Factory.Name, poller.Backend);
        Assert.Equal(default, poller.Statistics);
    }

    [Fact]
    public async Task Init_runs_once_whoever_comes_first()
    {
        using Netpoller poller = new(TBackend.Factory, new NetpollerOptions { Loops = 2 });
        PollLoop[][] all = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => poller.Loops)));
        Assert.All(all, loops => Assert.Same(all[0], loops));
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task A_dispose_ends_what_waits_and_turns_away_what_comes(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch, loops: 2);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task<int> reading = server.ReadAsync(new byte[1]).AsTask();
        Task<int> blocked = Task.Factory.StartNew(
            () => client.Read(new byte[1]), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        fixture.Poller.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => reading.WaitAsync(Fixture.Patience))).IsClosed);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => blocked.WaitAsync(Fixture.Patience))).IsClosed);
        Assert.True(Assert.Throws<NetOpException>(() => server.Read(new byte[1])).IsClosed);
        Assert.Throws<ObjectDisposedException>(() => fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0)));
        client.Dispose();
        server.Dispose();
    }

    [Fact]
    public async Task A_dispose_from_a_continuation_does_not_wait_for_itself()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task handler = HandleAsync(server, fixture);
        client.Write([1]);
        await handler.WaitAsync(Fixture.Patience);

        static async Task HandleAsync(TcpConn conn, Fixture fixture)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            fixture.Poller.Dispose();
        }
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task After_an_awaited_dispose_the_threads_and_the_kernel_objects_are_gone(NetpollDispatch dispatch)
    {
        FaultyNetpollFactory backend = new();
        Netpoller poller = new(backend, new NetpollerOptions { Dispatch = dispatch, Loops = 2 });
        PollLoop[] loops = poller.Loops;
        await poller.DisposeAsync().AsTask().WaitAsync(Fixture.Patience);
        Assert.All(loops, static loop => Assert.Equal(0, loop.Threads.Alive));
        Assert.All(backend.Made, static poll => Assert.True(poll.IsDisposed));
        Assert.True(poller.Sysmon?.Ended.IsCompleted ?? dispatch == NetpollDispatch.ThreadPool);
        await poller.DisposeAsync().AsTask().WaitAsync(Fixture.Patience);
    }

    [Fact]
    public async Task An_awaited_dispose_of_a_poller_that_was_never_used_completes()
    {
        Netpoller poller = new(TBackend.Factory);
        await poller.DisposeAsync().AsTask().WaitAsync(Fixture.Patience);
    }

    [Fact]
    public async Task An_awaited_dispose_waits_for_a_handler_that_runs()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim entered = new(), release = new();
        Task handler = BlockAsync();
        client.Write([1]);
        Assert.True(entered.Wait(Fixture.Patience));
        Task disposed = fixture.Poller.DisposeAsync().AsTask();
        Assert.False(disposed.IsCompleted);
        release.Set();
        await disposed.WaitAsync(Fixture.Patience);
        await handler;

        async Task BlockAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            entered.Set();
            Assert.True(release.Wait(Fixture.Patience));
        }
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task A_handler_may_await_the_dispose_of_its_own_poller(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task handler = HandleAsync();
        client.Write([1]);
        await handler.WaitAsync(Fixture.Patience);

        async Task HandleAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            await fixture.Poller.DisposeAsync().ConfigureAwait(false);
        }
    }

    [Fact]
    public async Task Statistics_count_polls_and_events()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        NetpollerStatistics before = fixture.Poller.Statistics;
        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        client.Write([1]);
        await read.WaitAsync(Fixture.Patience);
        NetpollerStatistics after = fixture.Poller.Statistics;
        Assert.True(after.Polls > before.Polls && after.Events > before.Events, $"{before} became {after}.");
    }

    [Fact]
    public async Task A_deadline_wakes_a_loop_that_sleeps_without_one()
    {
        using Fixture fixture = new();
        (TcpConn _, TcpConn server) = await fixture.PairAsync();

        // Try until the loop was asleep when the deadline came.
        for (long start = Stopwatch.GetTimestamp(); fixture.Poller.Statistics.Breaks == 0;)
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < Fixture.Patience, "no deadline ever broke a sleeping poll.");
            server.SetReadDeadline(null);
            ValueTask<int> read = server.ReadAsync(new byte[1]);

            // Another thread must do it: this one may be the loop's, which does not sleep meanwhile.
            await Operation.OnOwnThread(() => server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(20)));
            Assert.True((await Assert.ThrowsAsync<NetOpException>(() => read.AsTask().WaitAsync(Fixture.Patience))).IsTimeout);
        }
    }

    [Fact]
    public async Task A_clock_that_throws_ends_the_operation_that_reads_it_and_no_other()
    {
        BrokenClock clock = new();
        using Fixture fixture = new(clock: clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[1];
        ValueTask<int> first = server.ReadAsync(buffer);
        ValueTask<int> queued = server.ReadAsync(buffer);
        server.ReadTimeout = 60_000; // It counts from when an operation starts, so the queued one reads the clock.
        clock.IsBroken = true;
        client.Write([1]);
        Assert.Equal(1, await first.Within());
        await Assert.ThrowsAsync<InvalidDataException>(() => queued.Within());

        clock.IsBroken = false;
        client.Write([2]);
        Assert.Equal(1, await server.ReadAsync(buffer).Within());
        Assert.Equal(2, buffer[0]);
    }

    [Fact]
    public async Task An_interrupted_thread_leaves_its_side_free()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> reader = new Operation<int>(server.ReadByte).Waiting();
        reader.Interrupt();
        await Assert.ThrowsAsync<ThreadInterruptedException>(reader.Within);

        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        client.Write([1]);
        Assert.Equal(1, await read.WaitAsync(Fixture.Patience));
    }

    [Fact]
    public async Task Bytes_that_come_as_a_reader_is_interrupted_are_left_for_the_next()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        for (byte i = 0; i < 50; i++)
        {
            // A short read comes first, so that the next one waits without a try.
            client.WriteByte(i);
            Assert.Equal(1, server.Read(new byte[16]));
            Operation<int> reader = new Operation<int>(server.ReadByte).Waiting();
            client.WriteByte(i);
            reader.Interrupt();
            Exception? interruption = await Record.ExceptionAsync(reader.Within);
            if (interruption is not null) Assert.IsType<ThreadInterruptedException>(interruption);
            Assert.Equal(i, interruption is null ? await reader.Task : (await ReadAsync(server)).Single());
        }

        static async Task<byte[]> ReadAsync(TcpConn conn)
        {
            byte[] buffer = new byte[1];
            Assert.Equal(1, await conn.ReadAsync(buffer).AsTask().WaitAsync(Fixture.Patience));
            return buffer;
        }
    }

    private sealed class BrokenClock : TimeProvider
    {
        public volatile bool IsBroken;

        public override long GetTimestamp() => IsBroken ? throw new InvalidDataException("the clock is broken") : base.GetTimestamp();
    }
}
