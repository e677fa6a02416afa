using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Poller.AspNetCore.Tests.Transport;

/// <summary>
/// What a connection of a transport does. ASP.NET Core's own transport is held to the same tests, so an expectation that it does not meet
/// is no part of the contract.
/// </summary>
public abstract class ConnectionContract : IAsyncLifetime
{
    private protected static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private IConnectionListener _listener = null!;

    private protected abstract IConnectionListenerFactory Factory { get; }

    public virtual async Task InitializeAsync() => _listener = await Factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));

    public virtual async Task DisposeAsync() => await _listener.DisposeAsync();

    [Fact]
    public async Task The_peers_end_completes_the_input()
    {
        await using Pair pair = await ConnectAsync();
        await pair.Client.SendAsync("abc"u8.ToArray());
        pair.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal("abc"u8.ToArray(), await ReadToEndAsync(pair.Server.Transport.Input));
        await Fires(pair.Server.ConnectionClosed);
    }

    [Fact]
    public async Task The_peers_end_fires_ConnectionClosed_while_the_app_does_not_read()
    {
        await using Pair pair = await ConnectAsync();
        await pair.Client.SendAsync("abc"u8.ToArray());
        ReadResult read = await pair.Server.Transport.Input.ReadAsync();
        pair.Server.Transport.Input.AdvanceTo(read.Buffer.GetPosition(1));
        await pair.Client.SendAsync("def"u8.ToArray());
        pair.Client.Close();
        await Fires(pair.Server.ConnectionClosed);
        Assert.Equal("bcdef"u8.ToArray(), await ReadToEndAsync(pair.Server.Transport.Input));
    }

    [Fact]
    public async Task The_peers_end_fires_ConnectionClosed_where_the_app_never_reads()
    {
        await using Pair pair = await ConnectAsync();
        pair.Client.Close();
        await Fires(pair.Server.ConnectionClosed);
    }

    [Fact]
    public async Task A_reset_fires_ConnectionClosed_while_the_app_does_not_read()
    {
        await using Pair pair = await ConnectAsync();
        pair.Client.Close(timeout: 0);
        await Fires(pair.Server.ConnectionClosed);
        await Assert.ThrowsAsync<ConnectionResetException>(async () => await pair.Server.Transport.Input.ReadAsync());
    }

    [Fact]
    public async Task A_reset_fails_a_pending_read_with_ConnectionResetException()
    {
        await using Pair pair = await ConnectAsync();
        ValueTask<ReadResult> pending = pair.Server.Transport.Input.ReadAsync();
        pair.Client.Close(timeout: 0);
        await Assert.ThrowsAsync<ConnectionResetException>(async () => await pending.AsTask().WaitAsync(Soon));
        await Fires(pair.Server.ConnectionClosed);
        await Assert.ThrowsAsync<ConnectionResetException>(async () => await pair.Server.Transport.Input.ReadAsync());
    }

    [Fact]
    public async Task ConnectionClosed_fires_on_the_thread_pool()
    {
        await using Pair pair = await ConnectAsync();
        TaskCompletionSource<bool> onPool = new();
        pair.Server.ConnectionClosed.Register(() => onPool.SetResult(Thread.CurrentThread.IsThreadPoolThread));
        pair.Client.Close();
        Assert.True(await onPool.Task.WaitAsync(Soon));
    }

    [Fact]
    public async Task A_callback_of_ConnectionClosed_that_throws_harms_nobody()
    {
        await using Pair pair = await ConnectAsync();
        pair.Server.ConnectionClosed.Register(static () => throw new InvalidOperationException("the app's own"));
        pair.Client.Close();
        await Fires(pair.Server.ConnectionClosed);
    }

    [Fact]
    public async Task An_abort_ends_a_pending_read_with_its_reason_and_resets_the_peer()
    {
        await using Pair pair = await ConnectAsync();
        ValueTask<ReadResult> pending = pair.Server.Transport.Input.ReadAsync();
        ConnectionAbortedException reason = new("enough");
        pair.Server.Abort(reason);
        Assert.Same(reason, await Assert.ThrowsAsync<ConnectionAbortedException>(async () => await pending.AsTask().WaitAsync(Soon)));
        await Fires(pair.Server.ConnectionClosed);
        SocketException error = await Assert.ThrowsAsync<SocketException>(
            async () => await pair.Client.ReceiveAsync(new byte[1]).WaitAsync(Soon));
        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
    }

    [Fact]
    public async Task An_abort_completes_a_flush_that_waits_and_later_ones()
    {
        await using Pair pair = await ConnectAsync();
        Task<FlushResult> pending = await FillAsync(pair.Server.Transport.Output);
        pair.Server.Abort(new ConnectionAbortedException("enough"));
        Assert.True((await pending.WaitAsync(Soon)).IsCompleted);
        Assert.True((await pair.Server.Transport.Output.WriteAsync(new byte[10])).IsCompleted);
    }

    [Fact]
    public async Task A_reset_completes_a_flush_that_waits()
    {
        await using Pair pair = await ConnectAsync();
        Task<FlushResult> pending = await FillAsync(pair.Server.Transport.Output);
        pair.Client.Close(timeout: 0);
        Assert.True((await pending.WaitAsync(Soon)).IsCompleted);
        await Fires(pair.Server.ConnectionClosed);
    }

    [Fact]
    public async Task A_flush_that_waits_goes_on_when_the_peer_reads()
    {
        await using Pair pair = await ConnectAsync();
        Task<FlushResult> pending = await FillAsync(pair.Server.Transport.Output);
        Task draining = pair.DrainAsync();
        FlushResult flushed = await pending.WaitAsync(Soon);
        Assert.False(flushed.IsCompleted || flushed.IsCanceled);
        pair.Server.Abort(new ConnectionAbortedException("enough"));
        await Assert.ThrowsAsync<SocketException>(() => draining.WaitAsync(Soon));
    }

    [Fact]
    public async Task Each_flush_arrives_while_the_app_reads_nothing_more()
    {
        await using Pair pair = await ConnectAsync();
        Task answering = AnswerAsync();
        byte[] buffer = new byte[10];
        for (int round = 0; round < 3; round++)
        {
            await pair.Client.SendAsync(new byte[1]);
            for (int received = 0; received < 3;)
            {
                int count = await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon);
                Assert.NotEqual(0, count);
                received += count;
            }
        }
        await answering.WaitAsync(Soon);

        async Task AnswerAsync()
        {
            for (int round = 0; round < 3; round++)
            {
                ReadResult read = await pair.Server.Transport.Input.ReadAsync();
                pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
                for (int i = 0; i < 3; i++) await pair.Server.Transport.Output.WriteAsync(new byte[1]);
            }
        }
    }

    [Fact]
    public async Task Each_flush_arrives_while_the_handler_blocks()
    {
        await using Pair pair = await ConnectAsync();
        using ManualResetEventSlim received = new();
        Task<bool> answering = AnswerAsync();
        byte[] buffer = new byte[10];
        await pair.Client.SendAsync(new byte[1]);
        for (int total = 0; total < 3;)
        {
            int count = await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon);
            Assert.NotEqual(0, count);
            total += count;
        }
        received.Set();
        Assert.True(await answering.WaitAsync(Soon));

        async Task<bool> AnswerAsync()
        {
            ReadResult read = await pair.Server.Transport.Input.ReadAsync().ConfigureAwait(false);
            pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
            for (int i = 0; i < 3; i++) await pair.Server.Transport.Output.WriteAsync(new byte[1]).ConfigureAwait(false);
            return received.Wait(Soon);
        }
    }

    // The watch for the end and the end of the last read then meet on two threads.
    [Fact]
    public async Task The_end_arrives_whenever_it_meets_a_read()
    {
        for (int round = 0; round < 100; round++)
        {
            await using Pair pair = await ConnectAsync();
            Task<byte[]> reading = ReadToEndAsync(pair.Server.Transport.Input);
            await pair.Client.SendAsync(new byte[10]);
            await pair.Client.SendAsync(new byte[10]);
            pair.Client.Shutdown(SocketShutdown.Send);
            Assert.Equal(20, (await reading.WaitAsync(Soon)).Length);
        }
    }

    [Fact]
    public async Task The_end_of_the_output_sends_what_was_written_and_ends_both_directions()
    {
        await using Pair pair = await ConnectAsync();
        ValueTask<ReadResult> pending = pair.Server.Transport.Input.ReadAsync();
        pair.Server.Transport.Output.Write("not flushed"u8);
        pair.Server.Transport.Output.Complete();
        byte[] buffer = new byte[100];
        Assert.Equal(11, await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon));
        Assert.Equal(0, await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon));
        await Assert.ThrowsAsync<ConnectionAbortedException>(async () => await pending.AsTask().WaitAsync(Soon));
        await Fires(pair.Server.ConnectionClosed);
    }

    [Fact]
    public async Task The_end_of_the_output_waits_until_a_slow_peer_has_taken_all()
    {
        await using Pair pair = await ConnectAsync();
        Task<FlushResult> pending = await FillAsync(pair.Server.Transport.Output);
        pair.Server.Transport.Output.Write("last"u8);
        pair.Server.Transport.Output.Complete();
        byte[] buffer = new byte[1 << 20];
        byte[] last = [];
        while (await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon) is var count and > 0)
        {
            last = [.. last, .. buffer.AsSpan(Math.Max(0, count - 4), Math.Min(4, count))];
            last = last[^Math.Min(4, last.Length)..];
        }
        Assert.Equal("last"u8.ToArray(), last);
        await pending.WaitAsync(Soon);
    }

    [Fact]
    public async Task An_end_with_an_error_resets_the_peer()
    {
        await using Pair pair = await ConnectAsync();
        await pair.Server.Transport.Output.CompleteAsync(new InvalidOperationException("the app's own"));
        SocketException error = await Assert.ThrowsAsync<SocketException>(
            async () => await pair.Client.ReceiveAsync(new byte[1]).WaitAsync(Soon));
        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        await Fires(pair.Server.ConnectionClosed);
    }

    [Fact]
    public async Task A_dispose_ends_the_connection_after_what_was_written()
    {
        Pair pair = await ConnectAsync();
        await pair.Server.Transport.Output.WriteAsync("bye"u8.ToArray());
        await pair.Server.DisposeAsync().AsTask().WaitAsync(Soon);
        byte[] buffer = new byte[100];
        Assert.Equal(3, await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon));
        Assert.Equal(0, await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon));
        pair.Client.Dispose();
    }

    [Fact]
    public async Task An_end_delivers_what_was_sent_though_the_app_has_not_read_all()
    {
        await using Pair pair = await ConnectAsync();
        await pair.Client.SendAsync(new byte[200_000]);
        ReadResult read = await pair.Server.Transport.Input.ReadAsync();
        pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
        await pair.Server.Transport.Output.WriteAsync(new byte[50_000]);
        await Task.Delay(50); // The client's bytes have all arrived by now.
        await pair.Server.DisposeAsync();
        int total = 0;
        byte[] buffer = new byte[1000];
        while (await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon) is var count and > 0) total += count;
        Assert.Equal(50_000, total);
    }

    [Fact]
    public async Task Bytes_that_were_examined_come_again_with_the_next_ones()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        await pair.Client.SendAsync("abc"u8.ToArray());
        ReadResult read = await input.ReadAsync();
        input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        ValueTask<ReadResult> pending = input.ReadAsync();
        Assert.False(pending.IsCompleted);
        await pair.Client.SendAsync("def"u8.ToArray());
        read = await pending;
        Assert.Equal("abcdef"u8.ToArray(), read.Buffer.ToArray());
        input.AdvanceTo(read.Buffer.GetPosition(2), read.Buffer.GetPosition(4));
        read = await input.ReadAsync();
        Assert.Equal("cdef"u8.ToArray(), read.Buffer.ToArray());
        input.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task CancelPendingRead_ends_a_read_that_waits_and_the_connection_goes_on()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        for (int i = 0; i < 3; i++)
        {
            ValueTask<ReadResult> pending = input.ReadAsync();
            input.CancelPendingRead();
            ReadResult read = await pending.AsTask().WaitAsync(Soon);
            Assert.True(read.IsCanceled);
            Assert.True(read.Buffer.IsEmpty);
            input.AdvanceTo(read.Buffer.End);
        }
        await pair.Client.SendAsync("abc"u8.ToArray());
        Assert.Equal(3, (await input.ReadAsync()).Buffer.Length);
    }

    [Fact]
    public async Task CancelPendingRead_before_a_read_ends_that_one_alone()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        input.CancelPendingRead();
        ReadResult read = await input.ReadAsync();
        Assert.True(read.IsCanceled);
        input.AdvanceTo(read.Buffer.End);
        ValueTask<ReadResult> pending = input.ReadAsync();
        await pair.Client.SendAsync("abc"u8.ToArray());
        read = await pending;
        Assert.False(read.IsCanceled);
        Assert.Equal(3, read.Buffer.Length);
    }

    [Fact]
    public async Task A_token_ends_a_read_and_the_connection_goes_on()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        using CancellationTokenSource source = new();
        ValueTask<ReadResult> pending = input.ReadAsync(source.Token);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await pending.AsTask().WaitAsync(Soon));
        await pair.Client.SendAsync("abc"u8.ToArray());
        Assert.Equal(3, (await input.ReadAsync()).Buffer.Length);
    }

    [Fact]
    public async Task CancelPendingFlush_ends_a_flush_that_waits()
    {
        await using Pair pair = await ConnectAsync();
        Task<FlushResult> pending = await FillAsync(pair.Server.Transport.Output);
        pair.Server.Transport.Output.CancelPendingFlush();
        Assert.True((await pending.WaitAsync(Soon)).IsCanceled);
        pair.Server.Abort(new ConnectionAbortedException("enough"));
    }

    [Fact]
    public async Task TryRead_finds_what_has_arrived()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        Assert.False(input.TryRead(out _));
        await pair.Client.SendAsync("abc"u8.ToArray());
        ReadResult read = default;
        Assert.True(SpinWait.SpinUntil(() => input.TryRead(out read), Soon));
        Assert.Equal(3, read.Buffer.Length);
        input.AdvanceTo(read.Buffer.End);
        pair.Client.Close();
        Assert.True(SpinWait.SpinUntil(() => input.TryRead(out read), Soon));
        Assert.True(read.IsCompleted);
    }

    [Fact]
    public async Task Bytes_come_through_in_both_directions_as_they_are()
    {
        await using Pair pair = await ConnectAsync();
        byte[] sent = new byte[3_000_000];
        new Random(1).NextBytes(sent);
        Task echo = EchoAsync(pair.Server.Transport);
        Task sending = Task.Run(async () =>
        {
            for (int i = 0; i < sent.Length; i += 77_777)
            {
                await pair.Client.SendAsync(sent.AsMemory(i, Math.Min(77_777, sent.Length - i)));
            }
            pair.Client.Shutdown(SocketShutdown.Send);
        });
        byte[] received = new byte[sent.Length];
        int total = 0;
        while (total < received.Length)
        {
            int count = await pair.Client.ReceiveAsync(received.AsMemory(total)).AsTask().WaitAsync(Soon);
            Assert.NotEqual(0, count);
            total += count;
        }
        await sending;
        await echo.WaitAsync(Soon);
        Assert.Equal(sent, received);

        // Writes in pieces of all sizes, and consumes in pieces that leave bytes behind.
        static async Task EchoAsync(IDuplexPipe transport)
        {
            Random random = new(2);
            while (true)
            {
                ReadResult read = await transport.Input.ReadAsync();
                ReadOnlySequence<byte> buffer = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, random.Next(1, 20_000)));
                foreach (ReadOnlyMemory<byte> piece in buffer) transport.Output.Write(piece.Span);
                if (random.Next(3) > 0 || read.IsCompleted) await transport.Output.FlushAsync();
                transport.Input.AdvanceTo(buffer.End);
                if (read.IsCompleted && buffer.Length == read.Buffer.Length) break;
            }
            await transport.Output.CompleteAsync();
        }
    }

    [Fact]
    public async Task A_connection_tells_its_addresses_and_an_id_of_its_own()
    {
        await using Pair pair = await ConnectAsync();
        await using Pair other = await ConnectAsync();
        Assert.Equal(pair.Client.LocalEndPoint, pair.Server.RemoteEndPoint);
        Assert.Equal(pair.Client.RemoteEndPoint, pair.Server.LocalEndPoint);
        Assert.NotEqual(pair.Server.ConnectionId, other.Server.ConnectionId);
        Assert.Equal(13, pair.Server.ConnectionId.Length);
    }

    [Fact]
    public async Task Features_are_there_and_can_be_replaced()
    {
        await using Pair pair = await ConnectAsync();
        ConnectionContext server = pair.Server;
        IFeatureCollection features = server.Features;
        Type[] expected =
        [
            typeof(IConnectionIdFeature), typeof(IConnectionTransportFeature), typeof(IConnectionItemsFeature), typeof(IMemoryPoolFeature),
            typeof(IConnectionLifetimeFeature), typeof(IConnectionSocketFeature),
        ];
        Assert.Empty(expected.Except(features.Select(static pair => pair.Key)));

        Assert.Equal(server.ConnectionId, features.Get<IConnectionIdFeature>()!.ConnectionId);
        Assert.Same(server.Transport, features.Get<IConnectionTransportFeature>()!.Transport);
        Assert.Same(server.Items, features.Get<IConnectionItemsFeature>()!.Items);
        Assert.Equal(server.ConnectionClosed, features.Get<IConnectionLifetimeFeature>()!.ConnectionClosed);
        Assert.NotNull(features.Get<IMemoryPoolFeature>()!.MemoryPool);
        server.ConnectionId = "mine";
        Assert.Equal("mine", features.Get<IConnectionIdFeature>()!.ConnectionId);
        server.Items["key"] = 1;
        Assert.Equal(1, features.Get<IConnectionItemsFeature>()!.Items["key"]);

        int revision = features.Revision;
        features.Set<IConnectionIdFeature>(new OtherId());
        Assert.Equal("other", features.Get<IConnectionIdFeature>()!.ConnectionId);
        Assert.NotEqual(revision, features.Revision);
        features.Set(this);
        Assert.Same(this, features.Get<ConnectionContract>());
        features.Set<ConnectionContract>(null);
        Assert.Null(features.Get<ConnectionContract>());
        features.Set<IConnectionIdFeature>(null);
        Assert.Null(features.Get<IConnectionIdFeature>());
        Assert.DoesNotContain(features, static pair => pair.Key == typeof(IConnectionIdFeature));
    }

    [Fact]
    public async Task The_socket_feature_reaches_the_connections_socket()
    {
        await using Pair pair = await ConnectAsync();
        Socket socket = pair.Server.Features.Get<IConnectionSocketFeature>()!.Socket;
        Assert.Equal(pair.Client.LocalEndPoint, socket.RemoteEndPoint);
        Assert.True(socket.NoDelay);
        socket.NoDelay = false;
        Assert.False(pair.Server.Features.Get<IConnectionSocketFeature>()!.Socket.NoDelay);
    }

    [Fact]
    public async Task An_accept_after_the_unbind_is_null_also_one_that_waits()
    {
        ValueTask<ConnectionContext?> pending = _listener.AcceptAsync();
        Assert.False(pending.IsCompleted);
        await _listener.UnbindAsync();
        Assert.Null(await pending.AsTask().WaitAsync(Soon));
        Assert.Null(await _listener.AcceptAsync());
    }

    [Fact]
    public async Task An_unbind_leaves_open_connections_alone()
    {
        await using Pair pair = await ConnectAsync();
        await _listener.UnbindAsync();
        await pair.Client.SendAsync("abc"u8.ToArray());
        Assert.Equal(3, (await pair.Server.Transport.Input.ReadAsync()).Buffer.Length);
    }

    private protected static async Task Fires(CancellationToken token)
    {
        TaskCompletionSource fired = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using CancellationTokenRegistration registration = token.Register(fired.SetResult);
        await fired.Task.WaitAsync(Soon, CancellationToken.None);
    }

    private protected static async Task<byte[]> ReadToEndAsync(PipeReader input)
    {
        while (true)
        {
            ReadResult read = await input.ReadAsync().AsTask().WaitAsync(Soon);
            if (read.IsCompleted) return read.Buffer.ToArray();
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    /// <summary>Writes until a flush waits, because the peer does not read.</summary>
    private protected static async Task<Task<FlushResult>> FillAsync(PipeWriter output)
    {
        while (true)
        {
            Task<FlushResult> flush = output.WriteAsync(new byte[50_000]).AsTask();
            if (await Task.WhenAny(flush, Task.Delay(100)) != flush) return flush;
        }
    }

    private protected async Task<Pair> ConnectAsync()
    {
        Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(_listener.EndPoint);
        return new Pair(client, (await _listener.AcceptAsync())!);
    }

    private protected sealed class Pair(Socket client, ConnectionContext server) : IAsyncDisposable
    {
        public Socket Client => client;

        public ConnectionContext Server => server;

        /// <summary>Receives until the server ends.</summary>
        public async Task DrainAsync()
        {
            byte[] buffer = new byte[1 << 20];
            while (await client.ReceiveAsync(buffer) > 0)
            {
            }
        }

        public async ValueTask DisposeAsync()
        {
            client.Dispose();
            server.Abort(new ConnectionAbortedException("the test has ended"));
            await server.DisposeAsync().AsTask().WaitAsync(Soon);
        }
    }

    private sealed class OtherId : IConnectionIdFeature
    {
        public string ConnectionId { get; set; } = "other";
    }
}

public sealed class SocketsConnectionTests : ConnectionContract
{
    private protected override IConnectionListenerFactory Factory { get; } =
        new SocketTransportFactory(Options.Create(new SocketTransportOptions()), NullLoggerFactory.Instance);
}

public abstract class PollerConnectionContract : ConnectionContract
{
    private readonly ServiceProvider _services;

    private protected PollerConnectionContract(string backend) =>
        _services = new ServiceCollection().AddLogging().AddPollerTransport().Services
            .AddPoller(options => options.Backend = backend).Services.BuildServiceProvider();

    private protected override IConnectionListenerFactory Factory => _services.GetRequiredService<IConnectionListenerFactory>();

    [Fact]
    public async Task The_end_points_are_a_feature()
    {
        await using Pair pair = await ConnectAsync();
        IConnectionEndPointFeature feature = pair.Server.Features.Get<IConnectionEndPointFeature>()!;
        Assert.Equal(pair.Server.LocalEndPoint, feature.LocalEndPoint);
        feature.RemoteEndPoint = new IPEndPoint(IPAddress.Loopback, 1);
        Assert.Equal(feature.RemoteEndPoint, pair.Server.RemoteEndPoint);
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _services.DisposeAsync();
    }
}

public sealed class EpollConnectionTests() : PollerConnectionContract("epoll");

public sealed class EpollLevelConnectionTests() : PollerConnectionContract("epoll-level");

public sealed class PosixConnectionTests() : PollerConnectionContract("posix");
