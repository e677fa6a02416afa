using System.Net.Sockets;
using System.Security.Cryptography;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Scattered reads: one call fills the buffers in order, and a short one means that the socket is drained.</summary>
public abstract class ScatteredReadTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_buffers_are_filled_in_order_by_one_call(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        byte[] sent = RandomNumberGenerator.GetBytes(5_000);
        client.Write(sent);
        await server.ArrivedAsync(sent.Length);
        int before = Volatile.Read(ref api.Receives);
        Memory<byte>[] buffers = [.. Enumerable.Range(0, 100).Select(static i => new byte[i])];
        Assert.Equal(4_950, await server.StartRead(blocking, buffers).Within());
        Assert.Equal(1, Volatile.Read(ref api.Receives) - before);
        Assert.Equal(sent[..4_950], buffers.SelectMany(static buffer => buffer.ToArray()));

        // Then it is short: the rest is in the first buffers.
        Memory<byte>[] last = [new byte[20], Memory<byte>.Empty, new byte[20], new byte[20]];
        Assert.Equal(50, await server.StartRead(blocking, last).Within());
        Assert.Equal(sent[4_950..], last.SelectMany(static buffer => buffer.ToArray()).Take(50));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_after_a_short_one_asks_only_when_bytes_have_come(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint); // What it receives is not counted.
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        Memory<byte>[] buffers = [new byte[2], new byte[2]];
        await PlayAsync(3); // The first read finds out that there is nothing.
        int before = Volatile.Read(ref api.Receives);
        for (int message = 1; message <= 20; message++)
        {
            await PlayAsync(3);
            Assert.Equal(message, Volatile.Read(ref api.Receives) - before);
        }

        // One that is full says nothing, so the next one has to ask.
        await PlayAsync(4);
        await PlayAsync(3);
        Assert.Equal(23, Volatile.Read(ref api.Receives) - before);

        async Task PlayAsync(int count)
        {
            Operation<int> reading = server.StartRead(blocking, buffers).Waiting();
            client.Send(new byte[count]);
            Assert.Equal(count, await reading.Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task No_room_waits_for_something_and_the_end_is_zero(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> none = server.StartRead(blocking, []).Waiting();
        client.Write([1]);
        Assert.Equal(0, await none.Within());
        Assert.Equal(0, await server.StartRead(blocking, new Memory<byte>[3]).Within());
        api.ReceiveFaults.Enqueue(Errno.EINTR);
        Assert.Equal(1, await server.StartRead(blocking, [new byte[1], new byte[1]]).Within());
        Operation<int> last = server.StartRead(blocking, [new byte[1], new byte[1]]).Waiting();
        client.CloseWrite();
        Assert.Equal(0, await last.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_a_close_and_a_buffer_that_throws_end_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Memory<byte>[] buffers = [new byte[1], new byte[1]];
        server.SetReadDeadline(DateTimeOffset.UnixEpoch);
        NetOpException late = await Assert.ThrowsAsync<NetOpException>(() => server.StartRead(blocking, buffers).Within());
        Assert.True(late.IsTimeout);
        server.SetReadDeadline(null);
        Operation<int> broken = server.StartRead(blocking, [new byte[1], new BrokenBuffer(spans: 1).Memory]).Waiting();
        client.Write([1, 2, 3]);
        Assert.Same(BrokenBuffer.Error, await Assert.ThrowsAsync<InvalidDataException>(broken.Within));
        Assert.Equal(2, await server.StartRead(blocking, buffers).Within()); // Nothing was taken.
        Assert.Equal(1, await server.StartRead(blocking, buffers).Within());
        Operation<int> closed = server.StartRead(blocking, buffers).Waiting();
        server.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(closed.Within)).IsClosed);
    }
}
