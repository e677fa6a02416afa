using System.Net.Sockets;
using System.Security.Cryptography;

namespace Poller.Net.Tests;

/// <summary>Bytes go through a connection: all of them, once, in order.</summary>
public abstract class ReadWriteTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_MiB_comes_back_intact_from_a_ping_pong(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] sent = RandomNumberGenerator.GetBytes(1 << 20);
        byte[] received = new byte[sent.Length];

        Task echo = EchoAsync(server, blocking);
        Task<int> write = client.StartWrite(blocking, sent).Task;
        await client.ReadExactlyAsync(blocking, received);
        await write.Within();
        client.CloseWrite();
        await echo.Within();

        Assert.Equal(SHA256.HashData(sent), SHA256.HashData(received));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_peer_that_sends_one_byte_at_a_time_is_read_in_full(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task writing = Operation.OnOwnThread(() =>
        {
            for (int i = 0; i < 1000; i++) client.WriteByte((byte)i);
            client.CloseWrite();
        });
        byte[] received = new byte[1000];
        byte[] buffer = new byte[64];
        int total = 0;
        for (int n = await server.ReadAsync(blocking, buffer); n > 0; n = await server.ReadAsync(blocking, buffer))
        {
            buffer.AsSpan(0, n).CopyTo(received.AsSpan(total));
            total += n;
        }
        await writing.Within();
        Assert.Equal(Enumerable.Range(0, 1000).Select(static i => (byte)i), received);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Bytes_are_read_into_buffers_of_one(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] sent = RandomNumberGenerator.GetBytes(300);
        await client.WriteAsync(blocking, sent);
        byte[] received = new byte[sent.Length];
        for (int i = 0; i < sent.Length; i++) Assert.Equal(1, await server.ReadAsync(blocking, received.AsMemory(i, 1)));
        Assert.Equal(sent, received);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_write_to_a_peer_that_does_not_read_waits_and_completes_when_it_does(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] sent = RandomNumberGenerator.GetBytes(16 << 20); // More than the kernel's buffers of both ends.
        Operation<int> writing = client.StartWrite(blocking, sent).Waiting();
        byte[] received = new byte[sent.Length];
        await server.ReadExactlyAsync(blocking, received);
        Assert.Equal(sent.Length, await writing.Within());
        Assert.True(sent.AsSpan().SequenceEqual(received));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Racing_readers_get_each_byte_once(NetpollDispatch dispatch, bool blocking)
    {
        const int Readers = 16;
        const int Size = 256 * 200;
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        int[] seen = new int[256];
        Task[] reading = [.. Enumerable.Range(1, Readers).Select(size => Operation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[size];
            while (true)
            {
                int n = blocking ? server.Read(buffer) : await server.ReadAsync(buffer).ConfigureAwait(false);
                if (n == 0) return;
                foreach (byte value in buffer.AsSpan(0, n)) Interlocked.Increment(ref seen[value]);
            }
        }))];
        await Operation.Run(blocking, async () =>
        {
            byte[] chunk = new byte[16];
            for (int i = 0; i < Size; i += chunk.Length)
            {
                for (int k = 0; k < chunk.Length; k++) chunk[k] = (byte)(i + k);
                if (blocking) client.Write(chunk);
                else await client.WriteAsync(chunk).ConfigureAwait(false);
            }
            client.CloseWrite();
        }).Within();
        await Task.WhenAll(reading).Within();
        Assert.All(seen, static count => Assert.Equal(Size / 256, count));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Racing_writers_do_not_interleave(NetpollDispatch dispatch, bool blocking)
    {
        const int Writers = 8;
        const int Messages = 20;
        const int Size = 100_000; // Several system calls each, as the peer's buffer is small.
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task[] writing = [.. Enumerable.Range(0, Writers).Select(id => Task.Run(async () =>
        {
            byte[] message = new byte[Size];
            Array.Fill(message, (byte)(id + 1));
            for (int i = 0; i < Messages; i++) await client.WriteAsync(blocking, message).ConfigureAwait(false);
        }))];

        byte[] buffer = new byte[Size];
        int[] seen = new int[Writers + 1];
        for (int i = 0; i < Writers * Messages; i++)
        {
            await server.ReadExactlyAsync(buffer).Within();
            Assert.True(buffer.AsSpan().IndexOfAnyExcept(buffer[0]) < 0, "two messages were interleaved.");
            seen[buffer[0]]++;
        }
        await Task.WhenAll(writing).Within();
        Assert.All(seen[1..], static count => Assert.Equal(Messages, count));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_of_nothing_waits_for_something_and_leaves_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[8];
        for (int round = 0; round < 3; round++)
        {
            Operation<int> reading = server.StartRead(blocking, Memory<byte>.Empty).Waiting();
            client.Write([1, 2]);
            Assert.Equal(0, await reading.Within());
            Assert.Equal(0, await server.ReadAsync(blocking, Memory<byte>.Empty)); // There are bytes already.
            Assert.Equal(2, await server.ReadAsync(blocking, buffer));
        }
        client.CloseWrite();
        Assert.Equal(0, await server.ReadAsync(blocking, Memory<byte>.Empty));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_of_nothing_fails_as_a_read_would(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> reading = server.StartRead(blocking, Memory<byte>.Empty).Waiting();
        client.Reset();
        Assert.Equal(SocketError.ConnectionReset, (await Assert.ThrowsAsync<NetOpException>(reading.Within)).SocketErrorCode);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_write_of_nothing_sends_nothing(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await client.WriteAsync(blocking, ReadOnlyMemory<byte>.Empty);
        client.CloseWrite();
        Assert.Equal(0, await server.ReadAsync(blocking, new byte[1]));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_wait_to_read_is_true_for_bytes_and_false_for_the_end(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        for (int round = 0; round < 3; round++)
        {
            Operation<bool> waiting = server.StartWaitToRead(blocking).Waiting();
            client.Write([9]);
            Assert.True(await waiting.Within());
            Assert.True(await server.StartWaitToRead(blocking).Within());
            Assert.Equal(1, await server.ReadAsync(blocking, new byte[8]));
        }
        Operation<bool> ending = server.StartWaitToRead(blocking).Waiting();
        client.CloseWrite();
        Assert.False(await ending.Within());
        Assert.False(await server.StartWaitToRead(blocking).Within());
        Assert.Equal(0, await server.ReadAsync(blocking, new byte[8]));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task After_the_peers_end_every_read_returns_0(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[8];
        client.Write([1, 2, 3]);
        client.Dispose();
        Assert.Equal(3, await server.ReadAsync(blocking, buffer)); // This read is short, and the end comes right behind it.
        for (int i = 0; i < 3; i++) Assert.Equal(0, await server.ReadAsync(blocking, buffer));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_waiting_read_returns_0_when_the_peer_ends(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> reading = server.StartRead(blocking, new byte[8]).Waiting();
        client.Dispose();
        Assert.Equal(0, await reading.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_half_closed_connection_reads_on(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[8];
        await client.WriteAsync(blocking, new byte[] { 1 });
        client.CloseWrite();
        Assert.Equal(1, await server.ReadAsync(blocking, buffer));
        Assert.Equal(0, await server.ReadAsync(blocking, buffer));

        // The server has seen the end, and answers.
        for (byte i = 0; i < 3; i++)
        {
            Operation<int> reading = client.StartRead(blocking, buffer).Waiting();
            await server.WriteAsync(blocking, new byte[] { i });
            Assert.Equal(1, await reading.Within());
            Assert.Equal(i, buffer[0]);
        }
        server.CloseWrite();
        Assert.Equal(0, await client.ReadAsync(blocking, buffer));

        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => client.WriteAsync(blocking, new byte[] { 1 }));
        Assert.Equal(SocketError.Shutdown, e.SocketErrorCode);
        Assert.StartsWith($"write tcp {client.LocalEndPoint}->{client.RemoteEndPoint}: ", e.Message, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Close_read_ends_a_waiting_read_and_leaves_the_write(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] buffer = new byte[8];
        Operation<int> reading = server.StartRead(blocking, buffer).Waiting();
        server.CloseRead();
        Assert.Equal(0, await reading.Within());
        Assert.Equal(0, await server.ReadAsync(blocking, buffer));
        await server.WriteAsync(blocking, new byte[] { 5 });
        Assert.Equal(1, await client.ReadAsync(blocking, buffer));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_reset_ends_a_waiting_read_and_every_write_with_an_error(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> reading = server.StartRead(blocking, new byte[8]).Waiting();
        client.Reset();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(reading.Within);
        Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(e.InnerException).SocketErrorCode);
        Assert.StartsWith($"read tcp {server.LocalEndPoint}->{server.RemoteEndPoint}: ", e.Message, StringComparison.Ordinal);

        // The write fails with an error. A SIGPIPE would end the process.
        for (int i = 0; i < 3; i++)
        {
            e = await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(blocking, new byte[] { 1 }));
            Assert.Contains(e.SocketErrorCode, (SocketError[])[SocketError.ConnectionReset, SocketError.Shutdown]);
        }
        Assert.Equal(0, await server.ReadAsync(blocking, new byte[8])); // Only one operation gets the error. The next one finds the end.
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_reset_ends_a_waiting_write(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> writing = server.StartWrite(blocking, new byte[16 << 20]).Waiting();
        client.Reset();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(writing.Within);
        Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        Assert.Equal("write", e.Operation);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_reset_concerns_its_own_connection_only(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn dying, TcpConn dead) = await fixture.PairAsync();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> other = dead.StartRead(blocking, new byte[1]).Waiting();
        Operation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        dying.Reset();
        await Assert.ThrowsAsync<NetOpException>(other.Within);
        reading.Waiting();
        client.Write([1]);
        Assert.Equal(1, await reading.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Random_chunks_arrive_intact_in_both_directions_at_once(NetpollDispatch dispatch, bool blocking)
    {
        int seed = Random.Shared.Next();
        using Fixture fixture = new(dispatch, loops: 2);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        try
        {
            await Task.WhenAll(
                SendAsync(client, blocking, seed), ReceiveAsync(server, blocking, seed),
                SendAsync(server, blocking, seed + 1), ReceiveAsync(client, blocking, seed + 1)).Within();
        }
        catch (Exception e)
        {
            throw new InvalidDataException($"seed {seed}", e);
        }
    }

    private const int FuzzBytes = 4 << 20;

    private static Task SendAsync(TcpConn conn, bool blocking, int seed) => Operation.Run(blocking, async () =>
    {
        Random bytes = new(seed);
        Random sizes = new(~seed);
        for (int left = FuzzBytes; left > 0;)
        {
            byte[] chunk = new byte[Math.Min(left, Size(sizes))];
            bytes.NextBytes(chunk);
            left -= chunk.Length;
            if (blocking) conn.Write(chunk);
            else await conn.WriteAsync(chunk).ConfigureAwait(false);
        }
        conn.CloseWrite();
    });

    private static Task ReceiveAsync(TcpConn conn, bool blocking, int seed) => Operation.Run(blocking, async () =>
    {
        Random sizes = new(seed ^ 0x5555);
        MemoryStream received = new(FuzzBytes);
        while (true)
        {
            byte[] buffer = new byte[Size(sizes)];
            int n = blocking ? conn.Read(buffer) : await conn.ReadAsync(buffer).ConfigureAwait(false);
            if (n == 0) break;
            received.Write(buffer, 0, n);
        }
        Assert.Equal(FuzzBytes, received.Length);

        // Make the same chunks as the sender, because NextBytes gives other bytes for other sizes.
        Random bytes = new(seed);
        Random chunks = new(~seed);
        ReadOnlyMemory<byte> rest = received.GetBuffer().AsMemory(0, FuzzBytes);
        while (!rest.IsEmpty)
        {
            byte[] chunk = new byte[Math.Min(rest.Length, Size(chunks))];
            bytes.NextBytes(chunk);
            Assert.True(rest.Span.StartsWith(chunk), $"{rest.Length} bytes before the end the bytes differ.");
            rest = rest[chunk.Length..];
        }
    });

    // Mostly small, some larger than the kernel's buffers.
    private static int Size(Random random) => random.Next(1, 1 << random.Next(1, random.Next(64) == 0 ? 22 : 16));

    private static Task EchoAsync(TcpConn conn, bool blocking) => Operation.Run(blocking, async () =>
    {
        byte[] buffer = new byte[64 << 10];
        while (true)
        {
            int n = blocking ? conn.Read(buffer) : await conn.ReadAsync(buffer).ConfigureAwait(false);
            if (n == 0) return;
            if (blocking) conn.Write(buffer.AsSpan(0, n));
            else await conn.WriteAsync(buffer.AsMemory(0, n)).ConfigureAwait(false);
        }
    });
}
