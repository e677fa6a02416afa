using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Poller.AspNetCore.Tests;

/// <summary>The contract of a connection.</summary>
public abstract class ConnectionTests<TTransport>(ConnectionTests<TTransport>.Shared shared)
    : IClassFixture<ConnectionTests<TTransport>.Shared>, IAsyncLifetime where TTransport : ITestTransport
{
    private RawClient _client = null!;
    private ConnectionContext _connection = null!;

    private PipeReader Input => _connection.Transport.Input;

    private PipeWriter Output => _connection.Transport.Output;

    public async Task InitializeAsync() => (_client, _connection) = await shared.Transport.PairAsync();

    public async Task DisposeAsync()
    {
        await _connection.DisposeAsync().Within();
        _client.Dispose();
    }

    [Fact]
    public void It_has_the_addresses_of_its_ends()
    {
        Assert.Equal(_client.Socket.LocalEndPoint, _connection.RemoteEndPoint);
        Assert.Equal(_client.Socket.RemoteEndPoint, _connection.LocalEndPoint);
    }

    [Fact]
    public void It_has_the_features_of_a_transport()
    {
        IFeatureCollection features = _connection.Features;
        Assert.Equal(_connection.ConnectionId, features.GetRequiredFeature<IConnectionIdFeature>().ConnectionId);
        Assert.Same(_connection.Transport, features.GetRequiredFeature<IConnectionTransportFeature>().Transport);
        Assert.Same(_connection.Items, features.GetRequiredFeature<IConnectionItemsFeature>().Items);
        Assert.Equal(_connection.ConnectionClosed, features.GetRequiredFeature<IConnectionLifetimeFeature>().ConnectionClosed);
        using IMemoryOwner<byte> memory = features.GetRequiredFeature<IMemoryPoolFeature>().MemoryPool.Rent();
        Assert.NotEqual(0, memory.Memory.Length);
    }

    [Fact]
    public void Its_features_can_be_set()
    {
        IDuplexPipe transport = _connection.Transport;
        EndPoint other = new IPEndPoint(IPAddress.Any, 1);
        Dictionary<object, object?> items = [];
        using CancellationTokenSource closed = new();
        CancellationToken before = _connection.ConnectionClosed;

        _connection.ConnectionId = "an id";
        _connection.Items = items;
        _connection.LocalEndPoint = other;
        _connection.RemoteEndPoint = other;
        _connection.ConnectionClosed = closed.Token;
        _connection.Transport = new Duplex(transport.Input, transport.Output);

        Assert.Equal("an id", _connection.Features.GetRequiredFeature<IConnectionIdFeature>().ConnectionId);
        Assert.Same(items, _connection.Features.GetRequiredFeature<IConnectionItemsFeature>().Items);
        Assert.Same(other, _connection.LocalEndPoint);
        Assert.Same(other, _connection.RemoteEndPoint);
        Assert.Equal(closed.Token, _connection.Features.GetRequiredFeature<IConnectionLifetimeFeature>().ConnectionClosed);
        Assert.IsType<Duplex>(_connection.Features.GetRequiredFeature<IConnectionTransportFeature>().Transport);

        _connection.Features.Set<IConnectionIdFeature>(null);
        Assert.Null(_connection.Features.Get<IConnectionIdFeature>());
        (_connection.Transport, _connection.ConnectionClosed) = (transport, before);
    }

    [Fact]
    public async Task What_the_client_sends_is_read_and_what_is_written_comes_to_the_client()
    {
        for (int i = 0; i < 10; i++)
        {
            await _client.SendAsync($"question {i}");
            Assert.Equal($"question {i}", await ReadAsync(10));
            await Output.WriteAsync(Encoding.ASCII.GetBytes($"answer {i}")).Within();
            Assert.Equal($"answer {i}", await _client.ReadTextAsync(8));
        }
    }

    [Fact]
    public async Task An_output_of_many_segments_arrives_whole_and_in_order()
    {
        const int Length = 3_000_000;
        Task<string> reading = _client.ReadTextAsync(Length);
        for (int done = 0; done < Length;)
        {
            // Several segments, and then one flush.
            int end = Math.Min(Length, done + 50_000);
            while (done < end)
            {
                ReadOnlyMemory<byte> part = Pattern.From(done, Math.Min(end - done, 3000));
                part.CopyTo(Output.GetMemory(part.Length));
                Output.Advance(part.Length);
                done += part.Length;
            }
            await Output.FlushAsync().Within();
        }
        Assert.True(Encoding.Latin1.GetBytes(await reading.Within()).AsSpan().SequenceEqual(Pattern.Of(Length)));
    }

    [Fact]
    public async Task What_was_examined_and_not_consumed_comes_again_with_more()
    {
        await _client.SendAsync("one ");
        ReadResult read = await Input.ReadAtLeastAsync(4).Within();
        Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        Task<ReadResult> more = Input.ReadAsync().AsTask();
        Assert.False(more.IsCompleted);
        await _client.SendAsync("two");
        read = await more.Within();
        if (read.Buffer.Length < 7)
        {
            Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            read = await Input.ReadAtLeastAsync(7).Within();
        }
        Assert.Equal("one two", Encoding.ASCII.GetString(read.Buffer));
        Input.AdvanceTo(read.Buffer.End);
    }

    [Fact]
    public async Task What_was_not_examined_comes_again_at_once()
    {
        await _client.SendAsync("one two");
        ReadResult read = await Input.ReadAtLeastAsync(7).Within();
        Input.AdvanceTo(read.Buffer.GetPosition(4));
        Assert.True(Input.TryRead(out read));
        Assert.Equal("two", Encoding.ASCII.GetString(read.Buffer));
        Input.AdvanceTo(read.Buffer.End);
        Assert.False(Input.TryRead(out _));
    }

    [Fact]
    public async Task A_pending_read_can_be_cancelled_and_the_connection_stays_usable()
    {
        Task<ReadResult> reading = Input.ReadAsync().AsTask();
        Input.CancelPendingRead();
        ReadResult read = await reading.Within();
        Assert.True(read.IsCanceled);
        Input.AdvanceTo(read.Buffer.End);
        await _client.SendAsync("more");
        Assert.Equal("more", await ReadAsync(4));
    }

    [Fact]
    public async Task A_read_whose_token_fires_throws_and_the_connection_stays_usable()
    {
        using CancellationTokenSource cancellation = new();
        Task<ReadResult> reading = Input.ReadAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.Within());
        await _client.SendAsync("more");
        Assert.Equal("more", await ReadAsync(4));
    }

    [Fact]
    public async Task The_clients_end_completes_the_input_and_the_output_still_goes()
    {
        await _client.SendAsync("last words");
        _client.EndSending();
        Assert.Equal("last words", await ReadAsync(10));
        ReadResult read = await Input.ReadAsync().Within();
        Assert.True(read.IsCompleted && read.Buffer.IsEmpty);
        Input.AdvanceTo(read.Buffer.End);
        await _connection.ConnectionClosed.Fired().Within();
        await Output.WriteAsync("an answer"u8.ToArray()).Within();
        Assert.Equal("an answer", await _client.ReadTextAsync(9));
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task Its_closed_token_fires_when_the_client_goes_while_nobody_reads(bool reset)
    {
        Task closed = _connection.ConnectionClosed.Fired();
        await _client.SendAsync("nobody reads this");
        if (reset) _client.Reset();
        else _client.EndSending();
        await closed.Within();
    }

    [Fact]
    public async Task Its_closed_token_fires_once_and_from_the_thread_pool()
    {
        int fired = 0;
        TaskCompletionSource<bool> onPool = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _connection.ConnectionClosed.Register(() =>
        {
            fired++;
            onPool.TrySetResult(Thread.CurrentThread.IsThreadPoolThread);
        });
        _client.EndSending();
        Assert.True(await onPool.Task.Within());
        await _connection.DisposeAsync().Within();
        Assert.Equal(1, fired);
    }

    [Fact]
    public async Task Its_closed_token_has_fired_when_dispose_returns()
    {
        CancellationToken closed = _connection.ConnectionClosed;
        Task fired = closed.Fired();
        await Output.CompleteAsync();
        await Input.CompleteAsync();
        await _connection.DisposeAsync().Within();
        await fired.Within();
    }

    [Fact]
    public async Task A_reset_fails_the_pending_read()
    {
        Task<ReadResult> reading = Input.ReadAsync().AsTask();
        _client.Reset();
        ConnectionResetException error = await Assert.ThrowsAsync<ConnectionResetException>(() => reading.Within());
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(error.GetBaseException()).SocketErrorCode);
    }

    [Fact]
    public async Task A_reset_fails_a_later_read()
    {
        Task closed = _connection.ConnectionClosed.Fired();
        _client.Reset();
        await closed.Within();
        await Assert.ThrowsAsync<ConnectionResetException>(() => Input.ReadAsync().Within());
    }

    [Fact]
    public async Task A_flush_after_a_reset_completes()
    {
        Task closed = _connection.ConnectionClosed.Fired();
        _client.Reset();
        await closed.Within();

        // The transport may take some before it knows.
        FlushResult flush;
        do flush = await Output.WriteAsync(new byte[1000]).Within();
        while (!flush.IsCompleted);
    }

    [Fact]
    public async Task Abort_resets_and_fails_the_pending_read_with_its_reason()
    {
        Task<ReadResult> reading = Input.ReadAsync().AsTask();
        Task closed = _connection.ConnectionClosed.Fired();
        ConnectionAbortedException reason = new("the reason");
        _connection.Abort(reason);
        Assert.Same(reason, await Assert.ThrowsAsync<ConnectionAbortedException>(() => reading.Within()));
        Assert.Equal((End.Reset, 0), await _client.ReadToEndAsync());
        await closed.Within();
    }

    [Fact]
    public async Task Abort_may_come_twice_and_after_the_end()
    {
        _connection.Abort(new ConnectionAbortedException("the first"));
        _connection.Abort(new ConnectionAbortedException("the second"));
        Assert.Equal(End.Reset, (await _client.ReadToEndAsync()).End);
        ConnectionAbortedException error = await Assert.ThrowsAsync<ConnectionAbortedException>(() => Input.ReadAsync().Within());
        Assert.Equal("the first", error.Message);
        await _connection.DisposeAsync().Within();
        _connection.Abort(new ConnectionAbortedException("the third"));
    }

    [Fact]
    public async Task Abort_ends_a_flush_that_waits_for_the_client()
    {
        long written = 0;
        Task filling = Task.Run(async () =>
        {
            FlushResult flush;
            do
            {
                flush = await Output.WriteAsync(Pattern.From(0));
                written += Pattern.From(0).Length;
            }
            while (!flush.IsCompleted && !flush.IsCanceled);
        });
        await Waiting.StandsStillAsync(() => written);
        Assert.False(filling.IsCompleted);
        _connection.Abort(new ConnectionAbortedException("enough"));
        await filling.Within();
    }

    [Theory, InlineData(0), InlineData(10), InlineData(1_000_000)]
    public async Task All_that_was_written_arrives_before_the_end(int length)
    {
        Task<(End, long)> reading = _client.ReadToEndAsync();
        await Pattern.WriteAsync(Output.AsStream(leaveOpen: true), length).Within();
        await Output.CompleteAsync();
        await Input.CompleteAsync();
        await _connection.DisposeAsync().Within();
        Assert.Equal((End.Graceful, length), await reading);
    }

    [Fact]
    public async Task An_output_that_is_completed_ends_the_connection()
    {
        await Output.WriteAsync("bye"u8.ToArray()).Within();
        await Output.CompleteAsync();
        Assert.Equal((End.Graceful, 3), await _client.ReadToEndAsync());
        await Assert.ThrowsAsync<ConnectionAbortedException>(() => Input.ReadAsync().Within());
    }

    [Fact]
    public async Task Dispose_ends_a_connection_whose_pipes_nobody_completed()
    {
        await _client.SendAsync("nobody reads this");
        Task closed = _connection.ConnectionClosed.Fired();
        await _connection.DisposeAsync().Within();
        await closed.Within();
        await _client.ReadToEndAsync();
    }

    [Fact]
    public async Task A_unix_connection_speaks_both_ways()
    {
        UnixDomainSocketEndPoint path = new(Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.sock"));
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>(path);
        (RawClient client, ConnectionContext connection) = await transport.PairAsync();
        using (client)
        {
            await client.SendAsync("over a path");
            ReadResult read = await connection.Transport.Input.ReadAtLeastAsync(11).Within();
            await connection.Transport.Output.WriteAsync(read.Buffer.ToArray()).Within();
            connection.Transport.Input.AdvanceTo(read.Buffer.End);
            Assert.Equal("over a path", await client.ReadTextAsync(11));
            Assert.Equal(path.ToString(), connection.LocalEndPoint!.ToString());
            Assert.IsType<UnixDomainSocketEndPoint>(connection.RemoteEndPoint);
            await connection.DisposeAsync().Within();
            Assert.Equal(End.Graceful, (await client.ReadToEndAsync()).End);
        }
    }

    private async Task<string> ReadAsync(int count)
    {
        ReadResult read = await Input.ReadAtLeastAsync(count).Within();
        string text = Encoding.ASCII.GetString(read.Buffer);
        Input.AdvanceTo(read.Buffer.End);
        return text;
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    /// <summary>The listener that the tests share.</summary>
    public sealed class Shared : IAsyncLifetime
    {
        internal BoundTransport Transport { get; private set; } = null!;

        /// <inheritdoc/>
        public async Task InitializeAsync() => Transport = await BoundTransport.BindAsync<TTransport>();

        /// <inheritdoc/>
        public Task DisposeAsync() => Transport.DisposeAsync().AsTask();
    }
}
