using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>Blocking calls of the library inside of a continuation.</summary>
[Collection(nameof(Alone))]
public abstract class BlockingCallTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Fact]
    public async Task A_blocking_call_on_a_loop_thread_hands_the_loop_over()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn client2, TcpConn server2) = await fixture.PairAsync();
        Task<int> handler = HandleAsync(client, server, () =>
        {
            server.Write(One);
            return server2.ReadByte();
        });

        // What the handler waits for comes only after it waits; the loop that has to deliver it is the one it stands on.
        Assert.Equal(1, await client.ReadAsync(new byte[1]).Within());
        client2.Write([42]);
        Assert.Equal(42, await handler.Within());
        Assert.NotEqual(0, fixture.Poller.Statistics.Promotions);
    }

    [Fact]
    public async Task A_blocking_call_on_the_only_thread_there_is_throws()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await AssertRefusedAsync(HandleAsync(client, server, server.ReadByte));

        // The side it would have waited in is free again.
        ValueTask<int> read = server.ReadAsync(new byte[1]);
        client.Write(One);
        Assert.Equal(1, await read.Within());
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
        Task<int> handler = HandleAsync(client, server, server2.ReadByte); // Queues behind the first, which waits for the loop.
        if (dispatch == NetpollDispatch.Inline)
        {
            await AssertRefusedAsync(handler);
            client2.Write(One);
            Assert.Equal(1, await first.Within());
            first = server2.ReadAsync(new byte[1]); // The place in the queue was given up.
            client2.Write(One);
            Assert.Equal(1, await first.Within());
        }
        else
        {
            client2.Write([1, 2]);
            Assert.Equal(1, await first.Within());
            Assert.Equal(2, await handler.Within());
        }
    }

    [Fact]
    public async Task A_blocking_write_on_the_loops_own_thread_is_refused_before_it_sends_a_part()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await AssertRefusedAsync(HandleAsync(client, server, () =>
        {
            server.Write(new byte[32 << 20]);
            return 0;
        }));
        server.CloseWrite();
        Assert.Equal(0, await client.ReadAsync(new byte[1]).Within());
    }

    [Fact]
    public async Task A_blocking_call_on_a_connection_of_another_poller_is_none_of_the_loops_business()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        using Fixture other = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn far, TcpConn near) = await other.PairAsync();
        Task<int> handler = HandleAsync(client, server, near.ReadByte);
        far.Write([42]);
        Assert.Equal(42, await handler.Within());
    }

    [Fact]
    public async Task EndRead_on_the_loops_own_thread_is_refused_while_the_read_waits()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await AssertRefusedAsync(HandleAsync(client, server, () => server.EndRead(server.BeginRead(new byte[1], 0, 1, null, null))));
    }

    // A blocking call in a handler of the server's end.
    private static Task<int> HandleAsync(TcpConn client, TcpConn server, Func<int> call)
    {
        Task<int> handler = HandleAsync();
        client.Write(One);
        return handler;

        async Task<int> HandleAsync()
        {
            await server.ReadAsync(new byte[1]).ConfigureAwait(false);
            return call();
        }
    }

    private static async Task AssertRefusedAsync(Task handler)
    {
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(handler.Within);
        Assert.Contains("inline dispatch", e.Message, StringComparison.Ordinal);
    }
}
