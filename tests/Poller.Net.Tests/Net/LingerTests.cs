using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Closes that wait for the peer, for some seconds.</summary>
public abstract class LingerTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private const int Seconds = 60;

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_close_lingers_until_all_is_acknowledged_and_holds_up_nobody(NetpollDispatch dispatch)
    {
        using Rig rig = new(dispatch);
        (TcpConn client, TcpConn server) = await rig.FullAsync();
        (TcpConn, TcpConn) other = await rig.Fixture.PairAsync();
        server.Dispose();
        server.Dispose();
        for (int i = 0; i < 5; i++) await Fixture.PassAsync(other);
        Assert.False(rig.Closed.IsCompleted);

        Assert.True(await DrainAsync(client) > 0); // The client reads all bytes, and then the end.
        await rig.Closed.Within();
        Assert.Equal(1, rig.Closes);
        client.Dispose();
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_close_that_lingers_resets_when_its_seconds_are_over(NetpollDispatch dispatch)
    {
        FakeTimeProvider clock = new();
        using Rig rig = new(dispatch, clock);
        (TcpConn client, TcpConn server) = await rig.FullAsync();
        (TcpConn, TcpConn) other = await rig.Fixture.PairAsync();
        server.Dispose();
        await Fixture.PassAsync(other);
        clock.Advance(TimeSpan.FromSeconds(Seconds - 1));
        await Fixture.PassAsync(other);
        Assert.False(rig.Closed.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));
        await rig.Closed.Within();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => DrainAsync(client));
        Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_close_that_lingers_throws_away_what_the_peer_sends_and_ends_with_its_reset(NetpollDispatch dispatch)
    {
        using Rig rig = new(dispatch);
        (TcpConn client, TcpConn server) = await rig.FullAsync();
        (TcpConn, TcpConn) other = await rig.Fixture.PairAsync();
        server.Dispose();
        for (int i = 0; i < 5; i++)
        {
            await client.WriteAsync(new byte[200_000]).Within(); // A socket which nobody reads holds less.
            await Fixture.PassAsync(other);
        }
        client.CloseWrite();
        await Fixture.PassAsync(other);
        Assert.False(rig.Closed.IsCompleted);
        client.Reset();
        await rig.Closed.Within();
        Assert.Equal(1, rig.Closes);
    }

    [Fact]
    public async Task A_connection_whose_reset_was_already_told_does_not_linger()
    {
        using Rig rig = new(NetpollDispatch.Adaptive);
        (TcpConn client, TcpConn server) = await rig.FullAsync();
        client.Reset();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).Within());
        Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        server.Dispose();
        await rig.Closed.Within();
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_poller_that_is_disposed_ends_a_close_that_lingers_and_what_was_written_still_comes(NetpollDispatch dispatch)
    {
        using Rig rig = new(dispatch);
        (TcpConn client, TcpConn server) = await rig.FullAsync();
        using Socket raw = Raw.SocketOf(client);
        server.Dispose();
        Assert.False(rig.Closed.IsCompleted);
        rig.Fixture.Poller.Dispose();
        await rig.Closed.Within();
        long received = 0;
        byte[] buffer = new byte[1 << 16];
        while (true)
        {
            Assert.True(raw.Poll(Fixture.Patience, SelectMode.SelectRead));
            int count = rig.Api.Receive(Raw.FdOf(client), buffer).Value;
            if (count == 0) break;
            received += count;
        }
        Assert.Equal(rig.Written, received);
    }

    [Fact]
    public async Task A_close_that_lingers_after_the_poller_is_disposed_closes_at_once()
    {
        using Rig rig = new(NetpollDispatch.Adaptive);
        (TcpConn _, TcpConn server) = await rig.FullAsync();
        rig.Fixture.Poller.Dispose();
        server.Dispose();
        await rig.Closed.Within();
    }

    [Fact]
    public async Task Where_the_system_does_not_tell_what_is_unacknowledged_the_peers_end_ends_the_close()
    {
        using Rig rig = new(NetpollDispatch.Adaptive);
        rig.Api.TellsNoUnsent = true;
        (TcpConn client, TcpConn server) = await rig.FullAsync();
        server.Dispose();
        await DrainAsync(client);
        Assert.False(rig.Closed.IsCompleted);
        client.Dispose();
        await rig.Closed.Within();
    }

    [Fact]
    public async Task A_close_lingers_also_when_it_comes_while_the_option_is_set()
    {
        using Rig rig = new(NetpollDispatch.Adaptive);
        (TcpConn client, TcpConn server) = await rig.FullAsync();
        server.LingerState = new LingerOption(false, 0);
        rig.Api.OptionSet = name =>
        {
            rig.Api.OptionSet = null;
            server.Dispose();
        };
        server.LingerState = new LingerOption(true, Seconds); // It is the last to use the descriptor, so it closes.
        Assert.False(rig.Closed.IsCompleted);
        await DrainAsync(client);
        await rig.Closed.Within();
    }

    private static async Task<long> DrainAsync(Conn conn)
    {
        long received = 0;
        byte[] buffer = new byte[1 << 16];
        while (await conn.ReadAsync(buffer).AsTask().Within() is var count and > 0) received += count;
        return received;
    }

    /// <summary>A connection that has sent more than its peer takes, and lingers; and whether its descriptor was closed.</summary>
    private sealed class Rig : IDisposable
    {
        private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private nint _fd = -1;

        public Rig(NetpollDispatch dispatch, TimeProvider? clock = null)
        {
            Fixture = new Fixture(dispatch, clock: clock, api: Api);
            Api.Closing = closed =>
            {
                if (closed != _fd) return;
                Interlocked.Increment(ref Closes);
                _closed.TrySetResult();
            };
        }

        public FaultySocketApi Api { get; } = new();

        public Fixture Fixture { get; }

        public int Closes;

        public Task Closed => _closed.Task;

        /// <summary>How many bytes the kernel has taken.</summary>
        public long Written { get; private set; }

        public async Task<(TcpConn Client, TcpConn Server)> FullAsync()
        {
            (TcpConn client, TcpConn server) = await Fixture.PairAsync();
            _fd = Raw.FdOf(server);
            byte[] bytes = new byte[1 << 16];
            int idle = 0;
            while (idle < 3)
            {
                IoResult sent = Api.Send(_fd, bytes);
                if (sent.IsSuccess)
                {
                    Written += sent.Value;
                    idle = 0;
                    continue;
                }
                Assert.Equal<IoResult>(Errno.EAGAIN, sent);
                idle++;
                await Task.Delay(5); // The kernel moves bytes on to the peer.
            }
            server.LingerState = new LingerOption(true, Seconds);
            return (client, server);
        }

        public void Dispose() => Fixture.Dispose();
    }
}
