using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Reads and drops of what is there. Nobody waits for an edge then, so nobody may rely on one.</summary>
public abstract class UnwaitedReadTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Fact]
    public async Task A_read_without_a_wait_finds_what_comes_after_a_short_one()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Sink sink = new();
        Assert.False(server.NetFd.TryRead(sink, out _, out _));
        for (int i = 0; i < 3; i++)
        {
            client.WriteByte(1);
            Assert.True(SpinWait.SpinUntil(() => server.NetFd.TryRead(sink, out _, out _), Fixture.Patience));
        }
        Assert.Equal(3, sink.Received);
        Assert.False(server.NetFd.TryRead(sink, out _, out _));
    }

    [Fact]
    public async Task A_discard_drops_what_has_arrived_up_to_its_limit_also_after_a_short_read()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using Socket socket = Raw.SocketOf(server);
        client.WriteByte(1);
        Assert.Equal(1, await server.ReadAsync(new byte[8]).Within());
        client.Write(new byte[100_000]);
        await server.ArrivedAsync(100_000);
        server.NetFd.Discard(60_000);
        Assert.Equal(40_000, socket.Available);
        server.NetFd.Discard(1_000_000);
        Assert.Equal(0, socket.Available);

        Task<int> reading = server.ReadAsync(new byte[8]).AsTask();
        server.NetFd.Discard(8); // It leaves the bytes to the read, and does not wait for it.
        client.WriteByte(2);
        Assert.Equal(1, await reading.Within());
    }

    private sealed class Sink : IReadSink
    {
        private readonly byte[] _buffer = new byte[8];

        public int Received { get; private set; }

        public Memory<byte> GetBuffer() => _buffer;

        public void Advance(IoResult result)
        {
            if (result != Errno.EAGAIN) Received += result.Value;
        }

        public void Done()
        {
        }
    }
}
