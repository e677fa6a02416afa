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
    public async Task A_close_after_an_end_in_order_drops_what_has_arrived_also_after_a_short_read()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using Socket socket = new(server.NetFd.Duplicate());
        client.WriteByte(1);
        Assert.Equal(1, await server.ReadAsync(new byte[8]).Within());
        client.Write(new byte[100_000]);
        await server.ArrivedAsync(100_000);
        server.NetFd.EndInOrder("close");
        Assert.Equal(100_000, socket.Available);
        await server.DisposeAsync();
        Assert.Equal(0, socket.Available);
    }

    [Fact]
    public async Task A_close_after_an_end_in_order_drops_no_more_than_the_buffer_holds()
    {
        EndlessApi api = new();
        using Fixture fixture = new(api: api);
        (_, TcpConn server) = await fixture.PairAsync();
        int size = server.ReceiveBufferSize;
        server.NetFd.EndInOrder("close");
        await server.DisposeAsync();
        Assert.InRange(api.Dropped, 1, size + 64 * 1024);
    }

    /// <summary>A socket whose peer sends and sends. It stops at a gigabyte, so that a test which fails ends.</summary>
    private sealed class EndlessApi : ForwardingSocketApi
    {
        public long Dropped { get; private set; }

        public override IoResult Receive(nint fd, Span<byte> buffer)
        {
            if (Dropped > 1 << 30) return Errno.EAGAIN;
            Dropped += buffer.Length;
            return buffer.Length;
        }
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
