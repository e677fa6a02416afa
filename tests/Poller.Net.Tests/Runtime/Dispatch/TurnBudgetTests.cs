using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>A handler that always finds something to do comes back to the loop.</summary>
[Collection(nameof(Alone))]
public sealed class TurnBudgetTests : NetTest<EpollBackend>
{
    private const int Budget = 128;
    private const int Operations = 1000;

    // With inline dispatch. With adaptive dispatch a turn counts as well, but a handler that goes on for a millisecond loses the lead: then the
    // new leader may complete an operation that went through the loop, before the handler asks whether it completed at once.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Reads_and_writes_that_complete_at_once_go_through_the_loop_now_and_then(bool writes)
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task<int> longest = LongestAsync();
        await client.WriteAsync(new byte[Operations]);
        Assert.InRange(await longest.Within(), 1, Budget);

        async Task<int> LongestAsync()
        {
            Assert.Equal(1, await server.ReadAsync(new byte[1]).ConfigureAwait(false));
            byte[] one = new byte[1];
            Run run = new();
            for (int i = 1; i < Operations; i++)
            {
                if (writes)
                {
                    ValueTask write = server.WriteAsync(one);
                    run.Add(write.IsCompleted);
                    await write.ConfigureAwait(false);
                }
                else
                {
                    ValueTask<int> read = server.ReadAsync(one);
                    run.Add(read.IsCompleted);
                    await read.ConfigureAwait(false);
                }
            }
            return run.Longest;
        }
    }

    [Fact]
    public async Task Accepts_that_complete_at_once_go_through_the_loop_now_and_then()
    {
        const int Clients = 300;
        using Fixture fixture = new(NetpollDispatch.Inline);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        List<Socket> clients = [];
        for (int i = 0; i < Clients; i++) clients.Add(await Raw.ConnectAsync(listener.LocalEndPoint));
        Task<int> longest = LongestAsync();
        await client.WriteAsync(new byte[1]);
        Assert.InRange(await longest.Within(), 1, Budget);
        foreach (Socket each in clients) each.Dispose();

        async Task<int> LongestAsync()
        {
            Assert.Equal(1, await server.ReadAsync(new byte[1]).ConfigureAwait(false));
            Run run = new();
            for (int i = 0; i < Clients; i++)
            {
                ValueTask<TcpConn> accept = listener.AcceptTcpAsync();
                run.Add(accept.IsCompleted);
                (await accept.ConfigureAwait(false)).Dispose();
            }
            return run.Longest;
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

    /// <summary>How many operations in a row completed at once.</summary>
    private struct Run
    {
        private int _length;

        public int Longest { get; private set; }

        public void Add(bool completedAtOnce)
        {
            _length = completedAtOnce ? _length + 1 : 0;
            Longest = Math.Max(Longest, _length);
        }
    }
}
