using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Poller.Net.Tests;

/// <summary>A handler that always finds something to do comes back to the loop.</summary>
[Collection(nameof(Alone))]
public sealed class TurnBudgetTests : NetTest<EpollBackend>
{
    private const int Budget = 128;
    private const int Operations = 1000;

    // An operation that a handler finds done may have gone through the loop. With adaptive dispatch a handler that goes on for a millisecond
    // loses the lead, and the new leader may complete the operation before the handler asks. So we count what the handler's own stack does.
    [Theory]
    [InlineData(NetpollDispatch.Inline, false)]
    [InlineData(NetpollDispatch.Inline, true)]
    [InlineData(NetpollDispatch.Adaptive, false)]
    [InlineData(NetpollDispatch.Adaptive, true)]
    public async Task Reads_and_writes_that_complete_at_once_go_through_the_loop_now_and_then(NetpollDispatch dispatch, bool writes)
    {
        Turns turns = new();
        using Fixture fixture = new(dispatch, api: new FaultySocketApi { Transferring = turns.Count });
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task handler = HandleAsync();
        await client.WriteAsync(new byte[Operations]);
        await handler.Within();
        Assert.Equal(Budget, turns.Longest);

        async Task HandleAsync()
        {
            byte[] one = new byte[1];
            for (int i = 0; i < Operations; i++)
            {
                if (writes && i > 0)
                {
                    var write = server.WriteAsync(one).ConfigureAwait(false).GetAwaiter();
                    if (!write.IsCompleted) await turns.Next(write);
                    write.GetResult();
                }
                else
                {
                    var read = server.ReadAsync(one).ConfigureAwait(false).GetAwaiter();
                    if (!read.IsCompleted) await turns.Next(read);
                    Assert.Equal(1, read.GetResult());
                }
            }
        }
    }

    [Theory]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.Adaptive)]
    public async Task Accepts_that_complete_at_once_go_through_the_loop_now_and_then(NetpollDispatch dispatch)
    {
        const int Clients = 300;
        Turns turns = new();
        using Fixture fixture = new(dispatch, api: new FaultySocketApi { Accepted = turns.Count });
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        List<Socket> clients = [];
        for (int i = 0; i < Clients; i++) clients.Add(await Raw.ConnectAsync(listener.LocalEndPoint));
        Task handler = HandleAsync();
        await client.WriteAsync(new byte[1]);
        await handler.Within();
        Assert.Equal(Budget, turns.Longest);
        foreach (Socket each in clients) each.Dispose();

        async Task HandleAsync()
        {
            await turns.Next(server.ReadAsync(new byte[1]).ConfigureAwait(false).GetAwaiter());
            for (int i = 0; i < Clients; i++)
            {
                var accept = listener.AcceptTcpAsync().ConfigureAwait(false).GetAwaiter();
                if (!accept.IsCompleted) await turns.Next(accept);
                accept.GetResult().Dispose();
            }
        }
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Operations_that_cannot_begin_go_through_the_loop_now_and_then(bool accepts, bool closed)
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn _, TcpConn refused) = await fixture.PairAsync();
        CancellationToken token = new(canceled: !closed);
        if (closed)
        {
            listener.Dispose();
            refused.Dispose();
        }
        int longest = 0;
        Task handler = HandleAsync();
        await client.WriteAsync(new byte[1]);
        await handler.Within();
        Assert.InRange(longest, 1, Budget);

        async Task HandleAsync()
        {
            await server.ReadAsync(new byte[1]).ConfigureAwait(false);
            for (int i = 0, atOnce = 0; i < Operations; i++)
            {
                Task operation = accepts ? listener.AcceptTcpAsync(token).AsTask() : refused.ReadAsync(new byte[1], token).AsTask();
                atOnce = operation.IsCompleted ? atOnce + 1 : 0;
                longest = Math.Max(longest, atOnce);
                Exception? error = await Record.ExceptionAsync(() => operation).ConfigureAwait(false);
                Assert.IsAssignableFrom(closed ? typeof(ObjectDisposedException) : typeof(OperationCanceledException), error);
            }
        }
    }

    // The pool shares its threads out by itself.
    [Fact]
    public async Task On_a_thread_of_the_pool_nothing_is_counted()
    {
        using Fixture fixture = new(NetpollDispatch.ThreadPool);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await client.WriteAsync(new byte[Operations]);
        Assert.True(await server.WaitToReadAsync().Within());
        for (int i = 0; i < Operations; i++)
        {
            ValueTask<int> read = server.ReadAsync(new byte[1]);
            Assert.True(read.IsCompleted, $"read {i} waited.");
            Assert.Equal(1, await read);
        }
    }

    /// <summary>Counts the system calls that a handler makes on its own stack, in each of its turns.</summary>
    private sealed class Turns
    {
        // The thread of the turn, or 0 between two turns.
        private int _thread;
        private int _calls;

        public int Longest { get; private set; }

        public void Count()
        {
            if (Volatile.Read(ref _thread) == Environment.CurrentManagedThreadId) Longest = Math.Max(Longest, ++_calls);
        }

        /// <summary>To await an operation that the handler found not done: the handler goes on in another turn.</summary>
        public Turn Next(ICriticalNotifyCompletion operation) => new(this, operation);

        public readonly struct Turn(Turns turns, ICriticalNotifyCompletion operation) : ICriticalNotifyCompletion
        {
            public bool IsCompleted => false;

            public Turn GetAwaiter() => this;

            public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

            public void UnsafeOnCompleted(Action continuation)
            {
                Volatile.Write(ref turns._thread, 0);
                operation.UnsafeOnCompleted(continuation);
            }

            public void GetResult()
            {
                turns._calls = 0;
                Volatile.Write(ref turns._thread, Environment.CurrentManagedThreadId);
            }
        }
    }
}
