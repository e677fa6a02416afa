using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>
/// A warm connection allocates nothing. Measured over the whole process, as an operation completes on threads of the loop's choosing:
/// nothing runs beside these.
/// </summary>
[Collection(nameof(Alone))]
public abstract class AllocationTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private const int Warmup = 120;
    private const int Windows = Warmup + 100;

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_warm_ping_pong_that_waits_for_every_read_allocates_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await Task.Run(() => PingPongAsync(client, server, CancellationToken.None)).Within();
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_warm_ping_pong_with_time_outs_and_a_token_allocates_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        client.ReadTimeout = client.WriteTimeout = 30_000;
        using CancellationTokenSource cancel = new();
        await Task.Run(() => PingPongAsync(client, server, cancel.Token)).Within();
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Warm_writes_that_wait_for_room_allocate_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using (Socket sender = Raw.SocketOf(client)) sender.SendBufferSize = 1 << 16;
        using (Socket receiver = Raw.SocketOf(server)) receiver.ReceiveBufferSize = 1 << 16;
        await Task.Run(() => PumpAsync(client, server)).Within();

        static async Task PumpAsync(TcpConn client, TcpConn server)
        {
            byte[] chunk = new byte[1 << 20];
            byte[] buffer = new byte[1 << 16];
            Meter meter = new();
            for (int i = 0; i < Windows; i++)
            {
                meter.Mark();
                ValueTask write = client.WriteAsync(chunk);
                if (write.IsCompleted) throw new InvalidDataException("a write did not wait, though nobody has read.");
                for (int left = chunk.Length; left > 0; left -= await server.ReadAsync(buffer).ConfigureAwait(false))
                {
                    if (!await server.WaitToReadAsync().ConfigureAwait(false)) throw new EndOfStreamException();
                }
                await write.ConfigureAwait(false);
            }
            meter.Mark();
            meter.AssertNothing();
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_warm_blocking_ping_pong_allocates_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task echo = Operation.OnOwnThread(() =>
        {
            byte[] buffer = new byte[256];
            for (int n = server.Read(buffer); n > 0; n = server.Read(buffer)) server.Write(buffer, 0, n);
        });
        await Operation.OnOwnThread(() =>
        {
            byte[] buffer = new byte[64];
            Meter meter = new();
            for (int i = 0; i < Windows * Meter.Rounds; i++)
            {
                if (i % Meter.Rounds == 0) meter.Mark();
                client.Write(buffer);
                if (client.Read(buffer) != buffer.Length) throw new InvalidDataException("a message came back in pieces.");
            }
            meter.Mark();
            meter.AssertNothing();
            client.CloseWrite();
        }).Within();
        await echo.Within();
    }

    private static async Task PingPongAsync(TcpConn client, TcpConn server, CancellationToken token)
    {
        byte[] buffer = new byte[64];
        byte[] message = new byte[64];
        Task echo = EchoAsync(server);
        Meter meter = new();
        for (int i = 0; i < Windows * Meter.Rounds; i++)
        {
            if (i % Meter.Rounds == 0) meter.Mark();
            ValueTask<int> read = client.ReadAsync(buffer, token);
            if (read.IsCompleted) throw new InvalidDataException("a read did not wait, though nothing was sent.");
            await client.WriteAsync(message, token).ConfigureAwait(false);
            if (await read.ConfigureAwait(false) != message.Length) throw new InvalidDataException("a message came back in pieces.");
        }
        meter.Mark();
        meter.AssertNothing();
        client.CloseWrite();
        await echo.ConfigureAwait(false);
    }

    private static async Task EchoAsync(TcpConn conn)
    {
        byte[] buffer = new byte[256];
        while (true)
        {
            int n = await conn.ReadAsync(buffer).ConfigureAwait(false);
            if (n == 0) return;
            await conn.WriteAsync(buffer.AsMemory(0, n)).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Takes the process's allocations window by window. The test host allocates as well, a little by a timer of its own and more when it
    /// reports a result; what a connection allocates for its operations is in every window. So most windows have to be at zero, to the
    /// byte.
    /// </summary>
    private sealed class Meter
    {
        /// <summary>Round trips in a window: few, so that the host's timer is not in most of them on a machine that is slow.</summary>
        public const int Rounds = 25;

        private readonly long[] _marks = new long[Windows + 1];
        private int _count;

        public void Mark() => _marks[_count++] = GC.GetTotalAllocatedBytes(precise: true);

        public void AssertNothing()
        {
            long[] warm = [.. Enumerable.Range(Warmup, Windows - Warmup).Select(i => _marks[i + 1] - _marks[i])];
            int nothing = warm.Count(static bytes => bytes == 0);
            Assert.True(nothing >= warm.Length * 2 / 3, $"bytes allocated, window by window: {string.Join(", ", warm)}.");
        }
    }
}
