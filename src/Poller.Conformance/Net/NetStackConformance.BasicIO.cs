using System.Buffers.Binary;
using System.Net.Sockets;
using Poller.Net;

namespace Poller.Conformance;

public abstract partial class NetStackConformance
{
    /// <summary>Go: testBasicIO of nettest. One end sends a MiB and ends, and the other receives the same bytes and then the end.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_MiB_arrives_as_it_was_sent_and_then_the_end(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        byte[] sent = Bytes(1 << 20);
        using MemoryStream received = new();
        NetOperation<bool> sending = NetOperation.Run(blocking, async () =>
        {
            for (int i = 0; i < sent.Length; i += 1024) await client.WriteAsync(blocking, sent.AsMemory(i, 1024)).ConfigureAwait(false);
            client.Dispose();
        });
        NetOperation<bool> receiving = NetOperation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[1024];
            for (int n; (n = await server.ReadAsync(blocking, buffer).ConfigureAwait(false)) > 0;) received.Write(buffer, 0, n);
        });
        sending.Result();
        receiving.Result();
        Assert.Equal(sent.Length, received.Length);
        Assert.True(received.GetBuffer().AsSpan(0, sent.Length).SequenceEqual(sent), "the bytes that arrived are not those that were sent");
    }

    /// <summary>Go: testPingPong of nettest. Each side adds one to the number that it gets, and the two see every number once.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Two_ends_take_turns_a_thousand_times(bool blocking)
    {
        const ulong Turns = 1000;
        (Conn client, Conn server) = Pair();
        NetOperation<bool>[] players = [Play(client), Play(server)];
        client.StartWrite(blocking, new byte[8]).Result();
        foreach (NetOperation<bool> player in players) player.Result();

        NetOperation<bool> Play(Conn conn) => NetOperation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[8];
            ulong? previous = null;
            while (true)
            {
                await conn.ReadExactlyAsync(blocking, buffer).ConfigureAwait(false);
                ulong value = BinaryPrimitives.ReadUInt64LittleEndian(buffer);
                Assert.True(previous is null || value == previous + 2, $"{value} came after {previous}");
                previous = value;
                if (value > Turns) return;
                BinaryPrimitives.WriteUInt64LittleEndian(buffer, value + 1);
                await conn.WriteAsync(blocking, buffer).ConfigureAwait(false);
                if (value + 1 > Turns) return;
            }
        });
    }

    /// <summary>Go: testRacyRead of nettest. Ten readers share one connection, with deadlines of a millisecond.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Racing_reads_fail_by_their_deadline_alone(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<bool> sending = NetOperation.Run(blocking, () => server.PourAsync(blocking));
        client.SetReadDeadline(FromNow(1));
        NetOperation<bool>[] readers = [.. Enumerable.Range(0, 10).Select(_ => NetOperation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[1024];
            for (int i = 0; i < 10; i++)
            {
                try
                {
                    Assert.InRange(await client.ReadAsync(blocking, buffer).ConfigureAwait(false), 1, buffer.Length);
                }
                catch (NetOpException e) when (e.IsTimeout)
                {
                    client.SetReadDeadline(FromNow(1));
                }
            }
        }))];
        foreach (NetOperation<bool> reader in readers) reader.Result();
        client.Dispose();
        sending.Result();
    }

    /// <summary>Go: testRacyWrite of nettest. Ten writers share one connection, with deadlines of a millisecond.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Racing_writes_fail_by_their_deadline_alone(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<bool> draining = NetOperation.Run(blocking, () => server.DrainAsync(blocking));
        client.SetWriteDeadline(FromNow(1));
        NetOperation<bool>[] writers = [.. Enumerable.Range(0, 10).Select(_ => NetOperation.Run(blocking, async () =>
        {
            byte[] message = new byte[1024];
            for (int i = 0; i < 10; i++)
            {
                try
                {
                    await client.WriteAsync(blocking, message).ConfigureAwait(false);
                }
                catch (NetOpException e) when (e.IsTimeout)
                {
                    client.SetWriteDeadline(FromNow(1));
                }
            }
        }))];
        foreach (NetOperation<bool> writer in writers) writer.Result();
        client.Dispose();
        draining.Result();
    }

    /// <summary>Go: testConcurrentMethods of nettest. A hundred calls of each member run at once and do no harm.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Every_member_may_be_called_while_the_others_run(bool blocking)
    {
        const int Rounds = 100;
        (Conn client, Conn server) = Pair();
        NetOperation<bool> echo = NetOperation.Run(blocking, () => server.EchoAsync(blocking));

        // The blocking form runs one call of each member, because a hundred threads each would show no more. The async form runs all at
        // once.
        NetOperation<bool>[] all =
        [
            Repeat(() => client.ReadAsync(blocking, new byte[1024]).AsTask()),
            Repeat(() => client.WriteAsync(blocking, new byte[1024]).AsTask()),
            Repeat(() => Do(() => client.SetDeadline(FromNow(10)))),
            Repeat(() => Do(() => client.SetReadDeadline(FromNow(10)))),
            Repeat(() => Do(() => client.SetWriteDeadline(FromNow(10)))),
            Repeat(() => Do(() => Assert.NotNull(client.LocalEndPoint))),
            Repeat(() => Do(() => Assert.NotNull(client.RemoteEndPoint))),
        ];
        foreach (NetOperation<bool> one in all) one.Result();

        // Writes may have been cut. A mark tells where the echo of them ends (Go: resyncConn).
        client.SetDeadline(null);
        byte[] mark = [.. Enumerable.Repeat((byte)0xff, 8)];
        client.StartWrite(blocking, mark).Result();
        NetOperation.Run(blocking, async () =>
        {
            byte[] one = new byte[1];
            for (int seen = 0; seen < mark.Length; seen++)
            {
                do await client.ReadExactlyAsync(blocking, one).ConfigureAwait(false);
                while (one[0] != mark[0]);
            }
        }).Result();
        AssertRoundTrip(client, blocking);
        client.CloseWrite();
        echo.Result();

        NetOperation<bool> Repeat(Func<Task> action) => NetOperation.Run(blocking, async () =>
        {
            if (!blocking) await Task.WhenAll(Enumerable.Range(0, Rounds).Select(_ => Once(action))).ConfigureAwait(false);
            else for (int i = 0; i < Rounds; i++) await Once(action).ConfigureAwait(false);
        });

        static async Task Once(Func<Task> action)
        {
            try
            {
                await action().ConfigureAwait(false);
            }
            catch (NetOpException e)
            {
                Assert.True(e.IsTimeout, e.Message);
            }
        }

        static Task Do(Action action)
        {
            action();
            return Task.CompletedTask;
        }
    }

    /// <summary>The contract: one write runs at a time, and the bytes of two writes never mix.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Racing_writes_are_sent_each_in_one_piece(bool blocking)
    {
        const int Writers = 4, Messages = 4, Size = 400_000;
        (Conn client, Conn server) = Pair();
        NetOperation<bool>[] writers = [.. Enumerable.Range(1, Writers).Select(id => NetOperation.Run(blocking, async () =>
        {
            byte[] message = new byte[Size];
            Array.Fill(message, (byte)id);
            for (int i = 0; i < Messages; i++) await client.WriteAsync(blocking, message).ConfigureAwait(false);
        }))];
        int[] seen = new int[Writers + 1];
        NetOperation.Run(blocking, async () =>
        {
            byte[] message = new byte[Size];
            for (int i = 0; i < Writers * Messages; i++)
            {
                await server.ReadExactlyAsync(blocking, message).ConfigureAwait(false);
                Assert.True(message.AsSpan().IndexOfAnyExcept(message[0]) < 0, "two writes were interleaved");
                seen[message[0]]++;
            }
        }).Result();
        foreach (NetOperation<bool> writer in writers) writer.Result();
        Assert.All(seen[1..], count => Assert.Equal(Messages, count));
    }

    /// <summary>Go: TestZeroByteRead of net. Go returns at once; our contract is that the read waits for bytes and takes none.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_read_of_nothing_waits_for_bytes_and_leaves_them(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<int> reading = server.StartRead(blocking, Memory<byte>.Empty).Waiting();
        client.StartWrite(blocking, One).Result();
        Assert.Equal(0, reading.Result());
        server.StartWaitToRead(blocking).FindsBytes();
        Assert.Equal(1, server.StartRead(blocking, new byte[2]).Result());
    }

    /// <summary>The contract of <see cref="Conn.WaitToReadAsync"/>.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_wait_to_read_tells_bytes_from_the_end(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<bool> waiting = server.StartWaitToRead(blocking).Waiting();
        client.StartWrite(blocking, One).Result();
        waiting.FindsBytes();
        Assert.Equal(1, server.StartRead(blocking, new byte[2]).Result());
        waiting = server.StartWaitToRead(blocking).Waiting();
        client.CloseWrite();
        waiting.FindsTheEnd();
    }

    /// <summary>
    /// Go: the write of TestWriteTimeoutMustNotReturn and TestTCPBig. It waits for room, and ends when all bytes are sent.
    /// </summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_write_that_finds_no_room_waits_until_the_peer_reads(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<int> writing = client.StartWrite(blocking, Plenty).Waiting();
        NetOperation<bool> reading = NetOperation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[64 * 1024];
            for (int left = Plenty.Length; left > 0;)
            {
                int n = await server.ReadAsync(blocking, buffer).ConfigureAwait(false);
                Assert.InRange(n, 1, left);
                left -= n;
            }
        });
        Assert.Equal(Plenty.Length, writing.Result());
        reading.Result();
    }

    /// <summary>Go: TestNotTemporaryRead of net. A reset by the peer is an error once, and then the end.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_reset_by_the_peer_ends_a_read_with_an_error(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        NetOperation<int> reading = server.StartRead(blocking, new byte[1]).Waiting();
        Reset(client, server);
        NetOpException e = reading.Fails();
        Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        Assert.False(e.IsTimeout || e.IsClosed, e.Message);
        Assert.Equal(0, server.StartRead(blocking, new byte[1]).Result());
        e = server.StartWrite(blocking, One).Fails();
        Assert.False(e.IsTimeout, e.Message);
    }

    /// <summary>Go: chunkedCopy's io.Copy. The members of <see cref="Stream"/> that call reads and writes work.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void CopyTo_and_ReadExactly_see_every_byte_and_the_end(bool blocking)
    {
        (Conn client, Conn server) = Pair();
        byte[] sent = Bytes(300_000), head = new byte[100_000];
        using MemoryStream tail = new();
        NetOperation<bool> receiving = NetOperation.Run(blocking, async () =>
        {
            await server.ReadExactlyAsync(blocking, head).ConfigureAwait(false);
            if (blocking) server.CopyTo(tail);
            else await server.CopyToAsync(tail).ConfigureAwait(false);
        });
        client.StartWrite(blocking, sent).Result();
        client.CloseWrite();
        receiving.Result();
        byte[] received = [.. head, .. tail.ToArray()];
        Assert.True(received.AsSpan().SequenceEqual(sent), "the bytes that arrived are not those that were sent");
        NetOperation<bool> more = NetOperation.Run(blocking, () => server.ReadExactlyAsync(blocking, new byte[1]).AsTask());
        Assert.Throws<EndOfStreamException>(() => { more.Result(); });
    }
}
