using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>A close ends what waits, and nothing comes after it.</summary>
public abstract class CloseTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly byte[] One = [1];
    private static readonly byte[] Plenty = new byte[16 << 20];

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Close_unblocks_a_pending_read(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        server.Dispose();
        AssertClosed(await Assert.ThrowsAsync<NetOpException>(reading.Within), "read", client.RemoteEndPoint, client.LocalEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Close_unblocks_a_pending_wait_to_read(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<bool> waiting = server.StartWaitToRead(blocking).Waiting();
        server.Dispose();
        AssertClosed(await Assert.ThrowsAsync<NetOpException>(waiting.Within), "wait to read", client.RemoteEndPoint, client.LocalEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Close_unblocks_a_pending_write(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> writing = server.StartWrite(blocking, Plenty).Waiting();
        server.Dispose();
        AssertClosed(await Assert.ThrowsAsync<NetOpException>(writing.Within), "write", client.RemoteEndPoint, client.LocalEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Close_unblocks_all_that_wait_and_all_that_queue(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        List<Operation<int>> operations = [server.StartWrite(blocking, Plenty).Waiting()];
        for (int i = 0; i < 4; i++)
        {
            operations.Add(server.StartRead(blocking, new byte[1]).Waiting());
            operations.Add(server.StartRead(!blocking, new byte[1]).Waiting());
            operations.Add(server.StartWrite(blocking, One).Waiting());
            operations.Add(server.StartWrite(!blocking, One).Waiting());
        }
        server.Dispose();
        foreach (Operation<int> operation in operations)
        {
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(operation.Within);
            Assert.True(e.IsClosed, e.Message);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task After_a_close_every_operation_says_that_it_is_disposed(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        server.Dispose();
        Check("read tcp", await Assert.ThrowsAsync<ObjectDisposedException>(() => server.ReadAsync(blocking, new byte[1])));
        Check("read tcp", await Assert.ThrowsAsync<ObjectDisposedException>(() => server.ReadAsync(blocking, Memory<byte>.Empty)));
        Check("write tcp", await Assert.ThrowsAsync<ObjectDisposedException>(() => server.WriteAsync(blocking, One)));
        Check("write tcp", await Assert.ThrowsAsync<ObjectDisposedException>(() => server.WriteAsync(blocking, default)));
        Check("wait to read tcp", await Assert.ThrowsAsync<ObjectDisposedException>(() => server.StartWaitToRead(blocking).Within()));
        Check("close read", Assert.Throws<ObjectDisposedException>(server.CloseRead));
        Check("close write", Assert.Throws<ObjectDisposedException>(server.CloseWrite));

        static void Check(string operation, ObjectDisposedException e)
        {
            Assert.Contains(operation, e.Message, StringComparison.Ordinal);
            Assert.Equal(nameof(TcpConn), e.ObjectName);
        }
    }

    [Fact]
    public async Task A_token_that_was_cancelled_comes_before_a_close()
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn _) = await fixture.PairAsync();
        conn.Dispose();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => conn.ReadAsync(new byte[1], new CancellationToken(true)).Within());
    }

    [Fact]
    public async Task Addresses_that_were_asked_for_before_a_close_are_there_after_it()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        EndPoint local = server.LocalEndPoint;
        server.Dispose();
        Assert.Equal(local, server.LocalEndPoint);
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint); // It is known since the accept.
        (_, TcpConn another) = await fixture.PairAsync();
        another.Dispose();
        Assert.Throws<ObjectDisposedException>(() => another.LocalEndPoint is null);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_second_close_does_nothing_whatever_took_the_number(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        client.Dispose();
        server.Dispose();
        (TcpConn client2, TcpConn server2) = await fixture.PairAsync(); // Its descriptors probably have the same numbers.
        client.Dispose();
        await client.DisposeAsync();
        client.Close();
        server.Close();
        await client2.WriteAsync(One).Within();
        Assert.Equal(1, await server2.ReadAsync(new byte[8]).Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_peer_sees_the_end_also_when_operations_were_under_way(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        Operation<int> peer = client.StartRead(blocking, new byte[1]).Waiting();
        server.Dispose();
        await Assert.ThrowsAsync<NetOpException>(reading.Within);
        Assert.Equal(0, await peer.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task What_was_written_before_a_close_arrives(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] message = new byte[100_000];
        Array.Fill(message, (byte)7);
        Operation<int> writing = server.StartWrite(blocking, message);
        byte[] received = new byte[message.Length];
        Task reading = client.ReadExactlyAsync(blocking, received);
        await writing.Within();
        server.Dispose();
        await reading.Within();
        Assert.Equal(message, received);
        Assert.Equal(0, await client.ReadAsync(blocking, received));
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_handler_closes_its_connection_itself(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task handler = HandleAsync(server);
        client.Write(One);
        await handler.Within();
        Assert.Equal(0, await client.ReadAsync(new byte[1]).Within());

        static async Task HandleAsync(TcpConn conn)
        {
            await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
            ValueTask<int> pending = conn.ReadAsync(new byte[1]);
            conn.Dispose();
            Assert.True((await Assert.ThrowsAsync<NetOpException>(() => pending.AsTask()).ConfigureAwait(false)).IsClosed);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms)), Trait("Tests", "long")]
    public async Task A_close_that_races_operations_ends_every_one_by_the_rules(NetpollDispatch dispatch, bool blocking)
    {
        int rounds = TestLength.IsLong ? 100 : 25;
        using Fixture fixture = new(dispatch, loops: 2);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Random random = new(1);
        for (int round = 0; round < rounds; round++)
        {
            using TcpConn client = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
            TcpConn server = await listener.AcceptTcpAsync().Within();
            using Barrier barrier = new(5);
            int spins = random.Next(2000);
            Task[] racers =
            [
                Race(() => DrainAsync(server, blocking)),
                Race(() => DrainAsync(server, blocking)),
                Race(() => Operation.Run(blocking, async () =>
                {
                    while (true)
                    {
                        if (blocking) server.Write(One);
                        else await server.WriteAsync(One).ConfigureAwait(false);
                        server.SetReadDeadline(DateTimeOffset.UtcNow + TimeSpan.FromHours(1));
                    }
                })),
                Race(() => Operation.Run(blocking: true, async () =>
                {
                    while (true)
                    {
                        await client.WriteAsync(One).ConfigureAwait(false);
                        client.Read(new byte[64]);
                    }
                })),
            ];
            barrier.SignalAndWait(Fixture.Patience);
            Thread.SpinWait(spins);
            server.Dispose();
            await Task.WhenAll(racers).Within();

            Task Race(Func<Task> action) => Operation.Run(blocking: true, async () =>
            {
                barrier.SignalAndWait(Fixture.Patience);
                try
                {
                    await action().ConfigureAwait(false);
                }
                catch (ObjectDisposedException)
                {
                    Assert.False(server.CanRead); // Closed before the call.
                }
                catch (NetOpException e)
                {
                    // The last two end the peer's operations.
                    Assert.True(e.IsClosed || e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown, e.Message);
                }
            });
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_disposed_poller_ends_every_kind_of_wait(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch, loops: 2);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (TcpConn writer, TcpConn _) = await fixture.PairAsync();
        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        Operation<int> queued = server.StartRead(blocking, new byte[1]).Waiting();
        Operation<bool> waiting = client.StartWaitToRead(blocking).Waiting();
        Operation<int> writing = writer.StartWrite(blocking, Plenty).Waiting();
        fixture.Poller.Dispose();
        fixture.Poller.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(accepting.Within)).IsClosed);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(reading.Within)).IsClosed);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(queued.Within)).IsClosed);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(waiting.Within)).IsClosed);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(writing.Within)).IsClosed);
        NetOpException later = await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(blocking, One));
        Assert.True(later.IsClosed);
        Assert.EndsWith(": its poller was disposed", later.Message, StringComparison.Ordinal);

        // The owners still have their descriptors.
        server.Dispose();
        client.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.ReadAsync(blocking, new byte[1]));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_disposed_poller_takes_no_dial_and_no_listener(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using Fixture other = new();
        using TcpConnListener listener = other.Net.ListenTcp(Raw.AnyLoopbackPort);
        fixture.Poller.Dispose();
        string address = listener.LocalEndPoint.ToString()!;
        Check($"dial tcp {address}", await Throws(() => fixture.Net.StartDial(blocking, listener.LocalEndPoint).Within()));
        Check($"dial tcp {address}", await Throws(() => fixture.Net.StartDial(blocking, "tcp", address).Within()));
        Check("listen tcp 127.0.0.1:0", Assert.Throws<ObjectDisposedException>(() => fixture.Net.Listen("tcp", "127.0.0.1:0")));

        static Task<ObjectDisposedException> Throws(Func<Task> operation) => Assert.ThrowsAsync<ObjectDisposedException>(operation);

        static void Check(string operation, ObjectDisposedException e) =>
            Assert.Equal($"{operation}: its poller was disposed before the operation.", e.Message);
    }

    private static Task DrainAsync(TcpConn conn, bool blocking) => Operation.Run(blocking, async () =>
    {
        byte[] buffer = new byte[16];
        int n;
        do n = blocking ? conn.Read(buffer) : await conn.ReadAsync(buffer).ConfigureAwait(false);
        while (n > 0);
    });

    private static void AssertClosed(NetOpException e, string operation, EndPoint local, EndPoint remote)
    {
        Assert.True(e.IsClosed, e.Message);
        Assert.False(e.IsTimeout);
        Assert.Equal(SocketError.OperationAborted, e.SocketErrorCode);
        Assert.Equal($"{operation} tcp {local}->{remote}: closed on this side during the operation", e.Message);
        Assert.Equal((local, remote), (e.LocalEndPoint!, e.RemoteEndPoint!));
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Ending_a_side_of_a_connection_that_both_sides_have_ended_does_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        client.CloseWrite();
        Assert.Equal(0, await server.ReadAsync(new byte[1]).Within());
        server.CloseWrite();
        Assert.Equal(0, await client.ReadAsync(new byte[1]).Within());
        foreach (TcpConn conn in (TcpConn[])[client, server])
        {
            conn.CloseWrite();
            conn.CloseRead();
        }
    }
}
