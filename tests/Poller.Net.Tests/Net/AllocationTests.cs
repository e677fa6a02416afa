using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>
/// A warm connection allocates nothing. Measured over the whole process, as an operation completes on threads of the loop's choosing:
/// nothing runs beside these.
/// </summary>
[Collection(nameof(Alone))]
public abstract class AllocationTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private const int Warmup = 200;
    private const int Windows = Warmup + 60;

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_warm_ping_pong_that_waits_for_every_read_allocates_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await Task.Run(() => PingPongAsync(client, server, CancellationToken.None)).Within();
    }

    [Theory, InlineData("unix"), InlineData("unixpacket")]
    public async Task A_warm_ping_pong_over_a_Unix_socket_allocates_nothing(string network)
    {
        using Fixture fixture = new();
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync(network);
        using (client)
        using (server)
        {
            await Task.Run(() => PingPongAsync(client, server, CancellationToken.None)).Within();
        }
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
    public async Task A_warm_ping_pong_with_the_limits_of_a_listener_allocates_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        ListenOptions options = new() { IdleTimeout = TimeSpan.FromSeconds(30), MaxConnections = 2 };
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, options);
        using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        await Task.Run(() => PingPongAsync(client, server, CancellationToken.None)).Within();
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
    public async Task A_warm_ping_pong_of_gathered_writes_and_scattered_reads_allocates_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await Task.Run(() => PingPongAsync(client, server)).Within();

        static async Task PingPongAsync(TcpConn client, TcpConn server)
        {
            Memory<byte>[] buffers = [new byte[16], new byte[48]];
            ReadOnlyMemory<byte>[] message = [.. Enumerable.Repeat((ReadOnlyMemory<byte>)new byte[4], 10)];
            Task echo = EchoAsync(server);
            Meter meter = new();
            for (int i = 0; i < Windows * Meter.Rounds; i++)
            {
                if (i % Meter.Rounds == 0) meter.Mark();
                ValueTask<int> read = client.ReadAsync(buffers);
                if (read.IsCompleted) throw new InvalidDataException("a read did not wait, though nothing was sent.");
                await client.WriteAsync(message).ConfigureAwait(false);
                if (await read.ConfigureAwait(false) != 40) throw new InvalidDataException("a message came back in pieces.");
            }
            meter.Mark();
            meter.AssertNothing();
            client.CloseWrite();
            await echo.ConfigureAwait(false);
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

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_warm_loop_of_datagrams_with_addresses_allocates_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn client = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        await Task.Run(() => PingPongAsync(client, server)).Within();

        static async Task PingPongAsync(UdpConn client, UdpConn server)
        {
            byte[] buffer = new byte[64];
            SocketAddress to = server.At(IPAddress.Loopback).Serialize();
            SocketAddress from = Udp.NewAddress();
            Task echo = EchoAsync(server);
            Meter meter = new();
            for (int i = 0; i < Windows * Meter.Rounds; i++)
            {
                if (i % Meter.Rounds == 0) meter.Mark();
                ValueTask<int> receive = client.ReceiveFromAsync(buffer, from);
                if (receive.IsCompleted) throw new InvalidDataException("a receive did not wait, though nothing was sent.");
                await client.SendToAsync(buffer, to).ConfigureAwait(false);
                if (await receive.ConfigureAwait(false) != buffer.Length) throw new InvalidDataException("a datagram was cut.");
            }
            meter.Mark();
            meter.AssertNothing();
            await client.SendToAsync(ReadOnlyMemory<byte>.Empty, to).ConfigureAwait(false);
            await echo.ConfigureAwait(false);
        }

        static async Task EchoAsync(UdpConn server)
        {
            byte[] buffer = new byte[64];
            SocketAddress from = Udp.NewAddress();
            while (true)
            {
                int n = await server.ReceiveFromAsync(buffer, from).ConfigureAwait(false);
                if (n == 0) return;
                await server.SendToAsync(buffer.AsMemory(0, n), from).ConfigureAwait(false);
            }
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_warm_loop_of_batches_allocates_nothing(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        using UdpConn client = fixture.Net.DialUdp(server.At(IPAddress.Loopback));
        await Task.Run(() => PingPongAsync(client, server)).Within();

        static async Task PingPongAsync(UdpConn client, UdpConn server)
        {
            const int Size = 4;
            UdpBatch asked = new(Size), answered = new(Size), served = new(Size);
            for (int i = 0; i < Size; i++) asked.TryAdd(new byte[32]);
            Meter meter = new();
            for (int i = 0; i < Windows * Meter.Rounds; i++)
            {
                if (i % Meter.Rounds == 0) meter.Mark();
                ValueTask<int> receive = server.ReceiveBatchAsync(served);
                if (receive.IsCompleted) throw new InvalidDataException("a receive did not wait, though nothing was sent.");
                await client.SendBatchAsync(asked).ConfigureAwait(false);
                for (int left = Size; left > 0; left -= served.Count)
                {
                    if (left < Size) receive = server.ReceiveBatchAsync(served);
                    await receive.ConfigureAwait(false);
                    await server.SendBatchAsync(served).ConfigureAwait(false);
                }
                for (int left = Size; left > 0;) left -= await client.ReceiveBatchAsync(answered).ConfigureAwait(false);
            }
            meter.Mark();
            meter.AssertNothing();
        }
    }

    /// <summary>Every dispatch, with bytes and a library's waits in turn (false) and with the caller's functions (true).</summary>
    public static TheoryData<NetpollDispatch, bool> FileForms
    {
        get
        {
            TheoryData<NetpollDispatch, bool> forms = [];
            foreach (NetpollDispatch dispatch in Enum.GetValues<NetpollDispatch>())
            {
                forms.Add(dispatch, false);
                forms.Add(dispatch, true);
            }
            return forms;
        }
    }

    [Theory, MemberData(nameof(FileForms))]
    public async Task A_warm_loop_over_pipes_that_waits_for_every_read_allocates_nothing(NetpollDispatch dispatch, bool functions)
    {
        using Fixture fixture = new(dispatch);
        (Fd answers, Fd answer) = Fd.Pipe();
        (Fd questions, Fd ask) = Fd.Pipe();
        using (answers)
        using (answer)
        using (questions)
        using (ask)
        using (PolledFile reader = fixture.Polled(answers))
        using (PolledFile writer = fixture.Polled(ask))
        using (PolledFile echoReader = fixture.Polled(questions))
        using (PolledFile echoWriter = fixture.Polled(answer))
        {
            Task echo = EchoAsync(echoReader, echoWriter);
            await Task.Run(() => PingPongAsync(reader, writer, answers, functions)).Within();
            writer.Dispose();
            ask.Dispose();
            await echo.Within();
        }

        static async Task PingPongAsync(PolledFile reader, PolledFile writer, Fd answers, bool functions)
        {
            byte[] buffer = new byte[64];
            byte[] message = new byte[64];
            Meter meter = new();
            for (int i = 0; i < Windows * Meter.Rounds; i++)
            {
                if (i % Meter.Rounds == 0) meter.Mark();
                bool waitsOnly = !functions && i % 2 != 0;
                ValueTask wait = waitsOnly ? reader.WaitReadableAsync() : default;
                ValueTask<int> read = waitsOnly ? default
                    : functions ? reader.ReadAsync(buffer, Files.ReadCall)
                    : reader.ReadAsync(buffer);
                if (waitsOnly ? wait.IsCompleted : read.IsCompleted)
                {
                    throw new InvalidDataException("a read did not wait, though nothing was written.");
                }
                if (functions) await writer.WriteAsync(message, Files.WriteCall).ConfigureAwait(false);
                else await writer.WriteAsync(message).ConfigureAwait(false);
                int n;
                if (waitsOnly)
                {
                    await wait.ConfigureAwait(false);
                    n = answers.Read(message.Length);
                }
                else
                {
                    n = await read.ConfigureAwait(false);
                }
                if (n != message.Length) throw new InvalidDataException("a message came back in pieces.");
            }
            meter.Mark();
            meter.AssertNothing();
        }

        static async Task EchoAsync(PolledFile reader, PolledFile writer)
        {
            byte[] buffer = new byte[256];
            while (true)
            {
                int n = await reader.ReadAsync(buffer).ConfigureAwait(false);
                if (n == 0) return;
                await writer.WriteAsync(buffer.AsMemory(0, n)).ConfigureAwait(false);
            }
        }
    }

    private static async Task PingPongAsync(Conn client, Conn server, CancellationToken token)
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

    private static async Task EchoAsync(Conn conn)
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
        public const int Rounds = 10;

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
