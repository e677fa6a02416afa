using System.Diagnostics;
using System.Net;
using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>Where a continuation runs, in which context, and on whose stack never.</summary>
[Collection(nameof(Alone))]
public abstract class ContinuationTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
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
            Worker actor = Worker.Start(() =>
            {
                acting.Value = true;
                act(server, cancel);
                acting.Value = false;
            });
            actor.Join();
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
            depths.Add(DepthAsync(next, previous)); // At its end it closes the connection before it, and so on.
            previous = next;
        }
        previous.Dispose();
        int[] all = await Task.WhenAll(depths).WaitAsync(Fixture.Patience);
        Assert.All(all, depth => Assert.True(depth < 100, $"a continuation ran {depth} frames deep."));

        static async Task<int> DepthAsync(TcpConn conn, TcpConn? toClose)
        {
            await Assert.ThrowsAsync<NetOpException>(
                async () => await conn.ReadAsync(new byte[1]).ConfigureAwait(false)).ConfigureAwait(false);
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

        // This continuation flows no context, and changes the context of its thread.
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
    public async Task Descriptors_are_dealt_out_to_every_loop()
    {
        using Fixture fixture = new(loops: 3);
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        HashSet<PollLoop> seen = [];
        for (int i = 0; i < 3; i++)
        {
            using TcpConn client = fixture.Net.DialTcp((IPEndPoint)listener.LocalEndPoint);
            using TcpConn server = listener.AcceptTcp();
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
