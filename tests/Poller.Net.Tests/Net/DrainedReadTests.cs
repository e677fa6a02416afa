using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>
/// A short read means that the socket is drained, and the next one waits without asking: whatever comes in between, and however it comes,
/// has to end that wait.
/// </summary>
public abstract class DrainedReadTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_after_a_short_one_asks_only_when_bytes_have_come(NetpollDispatch dispatch, bool blocking)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint); // What it receives is not counted.
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        byte[] buffer = new byte[64];
        await PlayAsync(); // The first read finds out that there is nothing.
        int before = Volatile.Read(ref api.ReceiveCount);
        for (int message = 1; message <= 50; message++)
        {
            await PlayAsync();
            Assert.Equal(message, Volatile.Read(ref api.ReceiveCount) - before);
        }

        async Task PlayAsync()
        {
            Operation<int> reading = server.StartRead(blocking, buffer).Waiting();
            client.Send([1]);
            Assert.Equal(1, await reading.Within());
            await server.WriteAsync(blocking, buffer.AsMemory(0, 1));
            Assert.Equal(1, await client.ReceiveAsync(buffer).Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Bytes_that_come_between_a_short_read_and_the_next_arrive(NetpollDispatch dispatch, bool blocking)
    {
        const int Rounds = 5000;
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();

        // Writer and reader do not run in step, so the bytes come before, during and after the reads.
        Task writing = Operation.OnOwnThread(() =>
        {
            Random random = new(1);
            for (int i = 0; i < Rounds; i++)
            {
                client.WriteByte((byte)i);
                Thread.SpinWait(random.Next(400));
            }
        });
        Task reading = Operation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[16];
            for (int next = 0; next < Rounds;)
            {
                int n = blocking ? server.Read(buffer) : await server.ReadAsync(buffer).ConfigureAwait(false);
                Assert.NotEqual(0, n);
                foreach (byte value in buffer.AsSpan(0, n)) Assert.Equal((byte)next++, value);
            }
        });
        await Task.WhenAll(writing, reading).Within();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_ping_pong_of_short_reads_goes_on(NetpollDispatch dispatch, bool blocking)
    {
        const int Rounds = 2000;
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await Task.WhenAll(PlayAsync(client, first: true), PlayAsync(server, first: false)).Within();

        Task PlayAsync(TcpConn conn, bool first) => Operation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[64];
            if (first) conn.WriteByte(0);
            for (int i = 0; i < Rounds; i++)
            {
                Assert.Equal(1, blocking ? conn.Read(buffer) : await conn.ReadAsync(buffer).ConfigureAwait(false));
                if (blocking) conn.WriteByte(0);
                else await conn.WriteAsync(buffer.AsMemory(0, 1)).ConfigureAwait(false);
            }
        });
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_end_right_behind_the_bytes_is_seen(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        for (int i = 0; i < 200; i++)
        {
            (TcpConn client, TcpConn server) = await fixture.PairAsync();
            Operation<int> reading = server.StartRead(blocking, new byte[16]);
            client.WriteByte(1);
            client.CloseWrite();
            Assert.Equal(1, await reading.Within());
            Assert.Equal(0, await server.ReadAsync(blocking, new byte[16]));
            client.Dispose();
            server.Dispose();
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_reset_right_behind_the_bytes_is_seen(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        for (int i = 0; i < 200; i++)
        {
            (TcpConn client, TcpConn server) = await fixture.PairAsync();
            client.LingerState = new LingerOption(true, 0);
            Operation<int> reading = server.StartRead(blocking, new byte[16]);
            client.WriteByte(1);
            client.Dispose();

            // The reset may overtake the byte.
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(async () =>
            {
                Assert.Equal(1, await reading.Within());
                await server.ReadAsync(blocking, new byte[16]);
            });
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
            server.Dispose();
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_wait_and_a_read_of_nothing_after_a_short_read_see_what_comes(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        for (int i = 0; i < 50; i++)
        {
            client.WriteByte(1);
            Assert.Equal(1, await server.ReadAsync(blocking, new byte[16]));
            Operation<bool> waiting = server.StartWaitToRead(blocking);
            client.WriteByte(2);
            Assert.True(await waiting.Within());
            Assert.Equal(1, await server.ReadAsync(blocking, new byte[16]));
            Operation<int> reading = server.StartRead(blocking, Memory<byte>.Empty);
            client.WriteByte(3);
            Assert.Equal(0, await reading.Within());
            Assert.Equal(1, await server.ReadAsync(blocking, new byte[16]));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_between_a_short_read_and_the_bytes_loses_none(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[16];
        for (byte i = 0; i < 50; i++)
        {
            client.WriteByte(1);
            Assert.Equal(1, await server.ReadAsync(blocking, buffer));
            server.SetReadDeadline(DateTimeOffset.UnixEpoch);
            await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, buffer));
            client.WriteByte(i);
            await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, buffer));
            server.SetReadDeadline(null);
            Assert.Equal(1, await server.ReadAsync(blocking, buffer));
            Assert.Equal(i, buffer[0]);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms)), Trait("Tests", "long")]
    public async Task A_read_that_stops_at_an_urgent_byte_is_not_taken_for_the_last(NetpollDispatch dispatch, bool blocking)
    {
        int rounds = TestLength.IsLong ? 300 : 60;
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);

        // Each round has a new connection. After urgent bytes, a short read no longer says that a connection is drained.
        for (int i = 0; i < rounds; i++)
        {
            using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
            using TcpConn server = await listener.AcceptTcpAsync().Within();
            Operation<int>? reading = i % 2 == 0 ? server.StartRead(blocking, new byte[64]) : null;
            client.Send("abc"u8);
            client.Send("!"u8, SocketFlags.OutOfBand);
            client.Send("def"u8);

            // The urgent byte is not in the stream. The bytes behind it are, and no more will come.
            int total = reading is null ? 0 : await reading.Within();
            while (total < 6) total += await server.ReadAsync(blocking, new byte[64]);
            Assert.Equal(6, total);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Urgent_bytes_in_a_stream_hold_up_none_of_the_others(NetpollDispatch dispatch, bool blocking)
    {
        const int Rounds = 1500;
        int seed = Random.Shared.Next();
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        Task<int> writing = new Operation<int>(() =>
        {
            Random random = new(seed);
            int sent = 0;
            for (int i = 0; i < Rounds; i++)
            {
                if (random.Next(4) == 0) client.Send("!"u8, SocketFlags.OutOfBand);
                else sent += client.Send(new byte[random.Next(1, 200)]);
                Thread.SpinWait(random.Next(300));
            }
            client.Shutdown(SocketShutdown.Send);
            return sent;
        }).Task;
        int received = 0;
        await Operation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[128];
            while (true)
            {
                int n = blocking ? server.Read(buffer) : await server.ReadAsync(buffer).ConfigureAwait(false);
                if (n == 0) return;
                received += buffer.AsSpan(0, n).Count((byte)0);
            }
        }).Within();

        // A later urgent byte moves the earlier one into the stream. We do not count those.
        Assert.True(await writing.Within() == received, $"seed {seed}: {received} bytes arrived of {await writing}.");
    }
}
