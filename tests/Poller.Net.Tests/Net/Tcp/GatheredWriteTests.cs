using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Gathered writes: each piece arrives once, in order, and no call is made that is not needed (Go's writev_test.go).</summary>
public abstract class GatheredWriteTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_hundred_pieces_go_out_in_one_system_call(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        foreach (bool sequence in (bool[])[false, true])
        {
            (ReadOnlyMemory<byte>[] pieces, byte[] whole) = Gathered.Of(Enumerable.Range(1, 100));
            int before = Volatile.Read(ref api.Sends);
            await client.StartWrite(blocking, sequence, pieces).Within();
            Assert.Equal(1, Volatile.Read(ref api.Sends) - before);
            byte[] received = new byte[whole.Length];
            await server.ReadExactlyAsync(blocking, received);
            Assert.Equal(whole, received);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task More_pieces_than_a_call_takes_go_out_in_several(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        foreach ((int count, int calls) in ((int, int)[])[(1023, 1), (1024, 1), (1025, 2), (2049, 3)])
        {
            (ReadOnlyMemory<byte>[] pieces, byte[] whole) = Gathered.Of(Enumerable.Repeat(3, count));
            int before = Volatile.Read(ref api.Sends);
            await client.StartWrite(blocking, sequence: count % 2 == 0, pieces).Within();
            Assert.Equal(calls, Volatile.Read(ref api.Sends) - before);
            byte[] received = new byte[whole.Length];
            await server.ReadExactlyAsync(blocking, received);
            Assert.Equal(whole, received);
        }
    }

    // The sum of the lengths does not fit into 32 bits. The short form is the same write of a few pieces.
    [Fact, Trait("Tests", "long")]
    public async Task A_write_of_more_than_2_GiB_arrives()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] piece = new byte[3 << 20];
        long total = (TestLength.IsLong ? 1024L : 2) * piece.Length;
        ReadOnlyMemory<byte>[] pieces = [.. Enumerable.Repeat((ReadOnlyMemory<byte>)piece, (int)(total / piece.Length))];
        Task writing = client.WriteAsync(pieces).AsTask();
        byte[] buffer = new byte[1 << 20];
        long received = 0;
        while (received < total) received += await server.ReadAtLeastAsync(buffer, 1).Within();
        Assert.Equal(total, received);
        await writing.Within();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Empty_pieces_are_skipped_and_nothing_is_no_call(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        foreach (bool sequence in (bool[])[false, true])
        {
            int before = Volatile.Read(ref api.Sends);
            await client.StartWrite(blocking, sequence, []).Within();
            await client.StartWrite(blocking, sequence, new ReadOnlyMemory<byte>[5]).Within();
            Assert.Equal(0, Volatile.Read(ref api.Sends) - before);

            // The double refuses an empty vector.
            (ReadOnlyMemory<byte>[] pieces, byte[] whole) = Gathered.Of(0, 1, 0, 0, 0, 0, 0, 2, 3, 4, 5, 0, 6, 0, 0);
            await client.StartWrite(blocking, sequence, pieces).Within();
            Assert.Equal(1, Volatile.Read(ref api.Sends) - before);
            byte[] received = new byte[whole.Length];
            await server.ReadExactlyAsync(blocking, received);
            Assert.Equal(whole, received);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_short_write_goes_on_in_the_middle_of_a_piece(NetpollDispatch dispatch, bool blocking)
    {
        int seed = Random.Shared.Next();
        Random random = new(seed);
        TransferApi api = new() { MaxSend = () => random.Next(1, 12) };
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        foreach (bool sequence in (bool[])[false, true])
        {
            (ReadOnlyMemory<byte>[] pieces, byte[] whole) = Gathered.Of(Enumerable.Range(0, 60).Select(i => i % 7));
            await client.StartWrite(blocking, sequence, pieces).Within();
            byte[] received = new byte[whole.Length];
            await server.ReadExactlyAsync(blocking, received);
            Gathered.AssertSame(whole, received, $"seed {seed}");
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_write_that_waits_for_room_many_times_sends_each_byte_once(NetpollDispatch dispatch, bool blocking)
    {
        int seed = Random.Shared.Next();
        Random random = new(seed);
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using (Socket sender = Raw.SocketOf(client)) sender.SendBufferSize = 1 << 14;
        using (Socket receiver = Raw.SocketOf(server)) receiver.ReceiveBufferSize = 1 << 16;
        (ReadOnlyMemory<byte>[] pieces, byte[] whole) = Gathered.Of(Enumerable.Range(0, 200).Select(_ => random.Next(10_000)));
        Operation<int> writing = client.StartWrite(blocking, sequence: seed % 2 == 0, pieces).Waiting();
        Task<byte[]> reading = server.ReadAllAsync();
        await writing.Within();
        client.CloseWrite();
        Gathered.AssertSame(whole, await reading.Within(), $"seed {seed}");
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Writes_of_many_threads_do_not_mix(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using (Socket sender = Raw.SocketOf(client)) sender.SendBufferSize = 1 << 12;
        Task<byte[]> reading = server.ReadAllAsync();
        const int Size = 64 * 300;
        Task<int>[] writes = new Task<int>[8];
        for (int i = 0; i < writes.Length; i++)
        {
            byte[] piece = new byte[300];
            Array.Fill(piece, (byte)i);
            writes[i] = client.StartWrite(blocking, i % 2 == 0, [.. Enumerable.Repeat((ReadOnlyMemory<byte>)piece, 64)]).Task;
        }
        await Task.WhenAll(writes).Within();
        client.CloseWrite();
        byte[] received = await reading.Within();
        Assert.Equal(writes.Length * Size, received.Length);
        for (int start = 0; start < received.Length; start += Size)
        {
            Assert.False(received.AsSpan(start, Size).ContainsAnyExcept(received[start]));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_ends_it_and_the_connection_writes_on(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> writing = client.StartWrite(blocking, sequence: false, Plenty()).Waiting();
        client.SetWriteDeadline(DateTimeOffset.UtcNow + TimeSpan.FromMilliseconds(5));
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(writing.Within);
        Assert.True(e.IsTimeout);
        Assert.Equal("write", e.Operation);
        client.SetWriteDeadline(null);
        await AssertWritesOnAsync(client, server, blocking);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_it_and_the_connection_writes_on(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using CancellationTokenSource cancel = new();
        Operation<int> writing = client.StartWrite(blocking: false, sequence: true, Plenty(), cancel.Token).Waiting();
        await cancel.CancelAsync();
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(writing.Within);
        Assert.Equal(cancel.Token, e.CancellationToken);
        await AssertWritesOnAsync(client, server, blocking: false);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_close_ends_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        Operation<int> writing = client.StartWrite(blocking, sequence: false, Plenty()).Waiting();
        client.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(writing.Within)).IsClosed);
        Operation<int> later = client.StartWrite(blocking, sequence: false, Plenty());
        await Assert.ThrowsAsync<ObjectDisposedException>(later.Within);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_reset_ends_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> writing = client.StartWrite(blocking, sequence: false, Plenty()).Waiting();
        server.Reset();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(writing.Within);
        Assert.True(e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown, e.Message);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_buffer_that_throws_ends_its_own_write_and_gives_the_lock_back(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (ReadOnlyMemory<byte>[] pieces, byte[] _) = Gathered.Of(Enumerable.Repeat(1, 20));
        foreach (int at in (int[])[0, 3, 4, 17])
        {
            // Nothing of a call is sent whose buffers cannot be had.
            ReadOnlyMemory<byte>[] broken = [.. pieces];
            broken[at] = new BrokenBuffer(spans: 0).Memory;
            Operation<int> writing = client.StartWrite(blocking, sequence: at % 2 == 0, broken);
            Assert.Same(BrokenBuffer.Error, await Assert.ThrowsAsync<InvalidDataException>(writing.Within));
        }
        Operation<int> throwing = client.StartWrite(blocking, sequence: false, new BrokenList());
        Assert.Same(BrokenBuffer.Error, await Assert.ThrowsAsync<InvalidDataException>(throwing.Within));
        await client.StartWrite(blocking, sequence: false, pieces).Within();
        client.CloseWrite();
        Assert.Equal(pieces.Length, (await server.ReadAllAsync().Within()).Length);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_interrupted_call_is_made_again(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        (ReadOnlyMemory<byte>[] pieces, byte[] whole) = Gathered.Of(5, 6, 7);
        for (int i = 0; i < 3; i++) api.SendFaults.Enqueue(Errno.EINTR);
        await client.StartWrite(blocking, sequence: false, pieces).Within();
        Assert.Equal(4, Volatile.Read(ref api.Sends));
        byte[] received = new byte[whole.Length];
        await server.ReadExactlyAsync(blocking, received);
        Assert.Equal(whole, received);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Pieces_to_a_socket_of_messages_are_one_message(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        using Socket receiver = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        receiver.Bind(Raw.AnyLoopbackPort);
        SocketNetwork network = SocketNetwork.Of("udp4", api);
        using NetFd sender = new(network, api.Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp).Value);
        Assert.True(api.Connect(Raw.FdOf(sender), SocketAddressBytes.Of((IPEndPoint)receiver.LocalEndPoint!)).IsSuccess);
        sender.Init(fixture.Poller);

        (ReadOnlyMemory<byte>[] pieces, byte[] whole) = Gathered.Of(1, 0, 200, 30, 4);
        await WriteAsync(pieces);
        byte[] message = new byte[1 << 12];
        Assert.Equal(whole, message[..await receiver.ReceiveAsync(message).Within()]);
        await WriteAsync(new ReadOnlyMemory<byte>[3]);
        Assert.Equal(0, await receiver.ReceiveAsync(message).Within());
        (pieces, whole) = Gathered.Of(Enumerable.Repeat(1, 1024));
        await WriteAsync(pieces);
        Assert.Equal(whole, message[..await receiver.ReceiveAsync(message).Within()]);

        // A part of a message is none.
        (pieces, _) = Gathered.Of(Enumerable.Repeat(1, 1025));
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => WriteAsync(pieces));
        Assert.Contains(Errno.EMSGSIZE.Message, e.Message, StringComparison.Ordinal);
        Assert.Equal(0, receiver.Available);

        async Task WriteAsync(ReadOnlyMemory<byte>[] from)
        {
            if (blocking) await Operation.OnOwnThread(() => sender.Write(new Pieces(from))).Within();
            else await sender.WriteAsync(new Pieces(from), CancellationToken.None).Within();
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Unix_sockets_gather_and_scatter_too(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        foreach (string network in (string[])["unix", "unixpacket"])
        {
            (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
            using (client)
            using (server)
            {
                (ReadOnlyMemory<byte>[] pieces, byte[] whole) = Gathered.Of(Enumerable.Range(1, 50));
                await client.StartWrite(blocking, sequence: true, pieces).Within();
                Memory<byte>[] buffers = [new byte[200], new byte[2_000]];
                Assert.Equal(whole.Length, await server.StartRead(blocking, buffers).Within());
                Assert.Equal(whole, buffers.SelectMany(static buffer => buffer.ToArray()).Take(whole.Length));
            }
        }
    }

    [Fact]
    public async Task No_list_is_an_argument_that_is_missing()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        Assert.Throws<ArgumentNullException>(() => client.Write((IReadOnlyList<ReadOnlyMemory<byte>>)null!));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await client.WriteAsync((IReadOnlyList<ReadOnlyMemory<byte>>)null!));
        Assert.Throws<ArgumentNullException>(() => client.Read((IReadOnlyList<Memory<byte>>)null!));
        await Assert.ThrowsAsync<ArgumentNullException>(async () => await client.ReadAsync((IReadOnlyList<Memory<byte>>)null!));
    }

    // More than the kernel's buffers of both ends hold: a write of it waits.
    private static ReadOnlyMemory<byte>[] Plenty() => [.. Enumerable.Repeat((ReadOnlyMemory<byte>)new byte[1 << 20], 16)];

    private static async Task AssertWritesOnAsync(TcpConn client, TcpConn server, bool blocking)
    {
        Operation<int> last = client.StartWrite(blocking, sequence: true, Gathered.Of(1, 2, 3).Pieces);
        Task<byte[]> reading = server.ReadAllAsync();
        await last.Within();
        client.CloseWrite();
        Assert.True((await reading.Within()).Length > 6);
    }

    private sealed class BrokenList : IReadOnlyList<ReadOnlyMemory<byte>>
    {
        public int Count => 9;

        public ReadOnlyMemory<byte> this[int index] => index < 5 ? new byte[1] : throw BrokenBuffer.Error;

        public IEnumerator<ReadOnlyMemory<byte>> GetEnumerator() => throw BrokenBuffer.Error;

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
