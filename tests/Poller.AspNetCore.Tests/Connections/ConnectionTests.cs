using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Poller.AspNetCore.Tests;

/// <summary>The contract of a connection.</summary>
public abstract class ConnectionTests<TTransport>(SharedTransport<TTransport> shared) : PairTests<TTransport>(shared)
    where TTransport : ITestTransport
{
    [Fact]
    public void It_has_the_addresses_of_its_ends()
    {
        Assert.Equal(Client.Socket.LocalEndPoint, Connection.RemoteEndPoint);
        Assert.Equal(Client.Socket.RemoteEndPoint, Connection.LocalEndPoint);
    }

    [Fact]
    public void It_has_the_features_of_a_transport()
    {
        IFeatureCollection features = Connection.Features;
        Assert.Equal(Connection.ConnectionId, features.GetRequiredFeature<IConnectionIdFeature>().ConnectionId);
        Assert.Same(Connection.Transport, features.GetRequiredFeature<IConnectionTransportFeature>().Transport);
        Assert.Same(Connection.Items, features.GetRequiredFeature<IConnectionItemsFeature>().Items);
        Assert.Equal(Connection.ConnectionClosed, features.GetRequiredFeature<IConnectionLifetimeFeature>().ConnectionClosed);
        using IMemoryOwner<byte> memory = features.GetRequiredFeature<IMemoryPoolFeature>().MemoryPool.Rent();
        Assert.NotEqual(0, memory.Memory.Length);
    }

    [Fact]
    public void Its_features_can_be_set()
    {
        IDuplexPipe transport = Connection.Transport;
        EndPoint other = new IPEndPoint(IPAddress.Any, 1);
        Dictionary<object, object?> items = [];
        using CancellationTokenSource closed = new();
        CancellationToken before = Connection.ConnectionClosed;

        Connection.ConnectionId = "an id";
        Connection.Items = items;
        Connection.LocalEndPoint = other;
        Connection.RemoteEndPoint = other;
        Connection.ConnectionClosed = closed.Token;
        Connection.Transport = new Duplex(transport.Input, transport.Output);

        Assert.Equal("an id", Connection.Features.GetRequiredFeature<IConnectionIdFeature>().ConnectionId);
        Assert.Same(items, Connection.Features.GetRequiredFeature<IConnectionItemsFeature>().Items);
        Assert.Same(other, Connection.LocalEndPoint);
        Assert.Same(other, Connection.RemoteEndPoint);
        Assert.Equal(closed.Token, Connection.Features.GetRequiredFeature<IConnectionLifetimeFeature>().ConnectionClosed);
        Assert.IsType<Duplex>(Connection.Features.GetRequiredFeature<IConnectionTransportFeature>().Transport);

        Connection.Features.Set<IConnectionIdFeature>(null);
        Assert.Null(Connection.Features.Get<IConnectionIdFeature>());
        (Connection.Transport, Connection.ConnectionClosed) = (transport, before);
    }

    [Fact]
    public async Task What_the_client_sends_is_read_and_what_is_written_comes_to_the_client()
    {
        for (int i = 0; i < 10; i++)
        {
            await Client.SendAsync($"question {i}");
            Assert.Equal($"question {i}", await ReadAsync(10));
            await Output.WriteAsync(Encoding.ASCII.GetBytes($"answer {i}")).Within();
            Assert.Equal($"answer {i}", await Client.ReadTextAsync(8));
        }
    }

    [Fact]
    public async Task An_output_of_many_segments_arrives_whole_and_in_order()
    {
        const int Length = 3_000_000;
        Task<string> reading = Client.ReadTextAsync(Length);
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

    // With inline dispatch, a flush that is left to the loop would wait for this handler.
    [Fact]
    public async Task All_that_was_flushed_has_been_sent_when_the_app_has_begun_its_next_read()
    {
        Task answering = AnswerAsync();
        await Client.SendAsync("a question");
        await answering.Within();

        async Task AnswerAsync()
        {
            ReadResult read = await Input.ReadAsync().ConfigureAwait(false);
            Input.AdvanceTo(read.Buffer.End);
            for (int i = 0; i < 3; i++) await Output.WriteAsync(new byte[1]).ConfigureAwait(false);
            ValueTask<ReadResult> next = Input.ReadAsync();
            byte[] buffer = new byte[3];
            Client.Socket.ReceiveTimeout = (int)Waiting.Patience.TotalMilliseconds;
            for (int received = 0; received < 3;) received += Client.Socket.Receive(buffer);
            Client.Socket.Send(buffer);
            read = await next.ConfigureAwait(false);
            Input.AdvanceTo(read.Buffer.End);
        }
    }

    [Fact]
    public async Task What_was_examined_and_not_consumed_comes_again_with_more()
    {
        await Client.SendAsync("one ");
        ReadResult read = await Input.ReadAtLeastAsync(4).Within();
        Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        Task<ReadResult> more = Input.ReadAsync().AsTask();
        Assert.False(more.IsCompleted);
        await Client.SendAsync("two");
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
        await Client.SendAsync("one two");
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
        await Client.SendAsync("more");
        Assert.Equal("more", await ReadAsync(4));
    }

    [Fact]
    public async Task A_read_whose_token_fires_throws_and_the_connection_stays_usable()
    {
        using CancellationTokenSource cancellation = new();
        Task<ReadResult> reading = Input.ReadAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.Within());
        await Client.SendAsync("more");
        Assert.Equal("more", await ReadAsync(4));
    }

    [Fact]
    public async Task The_clients_end_completes_the_input_and_the_output_still_goes()
    {
        await Client.SendAsync("last words");
        Client.EndSending();
        Assert.Equal("last words", await ReadAsync(10));
        ReadResult read = await Input.ReadAsync().Within();
        Assert.True(read.IsCompleted && read.Buffer.IsEmpty);
        Input.AdvanceTo(read.Buffer.End);
        await Connection.ConnectionClosed.Fired().Within();
        await Output.WriteAsync("an answer"u8.ToArray()).Within();
        Assert.Equal("an answer", await Client.ReadTextAsync(9));
    }

    [Fact]
    public async Task The_end_is_told_with_each_read_that_follows()
    {
        await Client.SendAsync("four");
        Client.EndSending();
        await Connection.ConnectionClosed.Fired().Within();
        ReadResult read = await Input.ReadAtLeastAsync(5).Within();
        for (int left = 4; left > 0; left--)
        {
            Assert.True(read.IsCompleted, $"{left} bytes are left");
            Assert.Equal(left, read.Buffer.Length);
            Input.AdvanceTo(read.Buffer.GetPosition(1));
            if (left == 3) Input.CancelPendingRead();
            read = await Input.ReadAsync().Within();
            Assert.Equal(left == 3, read.IsCanceled);
        }
        Assert.True(read.IsCompleted && read.Buffer.IsEmpty);
        Input.AdvanceTo(read.Buffer.End);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task Its_closed_token_fires_when_the_client_goes_while_nobody_reads(bool reset)
    {
        Task closed = Connection.ConnectionClosed.Fired();
        await Client.SendAsync("nobody reads this");
        if (reset) Client.Reset();
        else Client.EndSending();
        await closed.Within();
    }

    [Fact]
    public async Task Its_closed_token_fires_once_and_from_the_thread_pool()
    {
        int fired = 0;
        TaskCompletionSource<bool> onPool = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Connection.ConnectionClosed.Register(() =>
        {
            fired++;
            onPool.TrySetResult(Thread.CurrentThread.IsThreadPoolThread);
        });
        Client.EndSending();
        Assert.True(await onPool.Task.Within());
        await Connection.DisposeAsync().Within();
        Assert.Equal(1, fired);
    }

    [Fact]
    public async Task Its_closed_token_has_fired_when_dispose_returns()
    {
        CancellationToken closed = Connection.ConnectionClosed;
        Task fired = closed.Fired();
        await Output.CompleteAsync();
        await Input.CompleteAsync();
        await Connection.DisposeAsync().Within();
        await fired.Within();
    }

    [Fact]
    public async Task A_reset_fails_the_pending_read()
    {
        Task<ReadResult> reading = Input.ReadAsync().AsTask();
        Client.Reset();
        ConnectionResetException error = await Assert.ThrowsAsync<ConnectionResetException>(() => reading.Within());
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(error.GetBaseException()).SocketErrorCode);
    }

    [Fact]
    public async Task A_reset_fails_a_later_read()
    {
        Task closed = Connection.ConnectionClosed.Fired();
        Client.Reset();
        await closed.Within();
        await Assert.ThrowsAsync<ConnectionResetException>(() => Input.ReadAsync().Within());
    }

    [Fact]
    public async Task A_flush_after_a_reset_completes()
    {
        Task closed = Connection.ConnectionClosed.Fired();
        Client.Reset();
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
        Task closed = Connection.ConnectionClosed.Fired();
        ConnectionAbortedException reason = new("the reason");
        Connection.Abort(reason);
        Assert.Same(reason, await Assert.ThrowsAsync<ConnectionAbortedException>(() => reading.Within()));
        Assert.Equal((End.Reset, 0), await Client.ReadToEndAsync());
        await closed.Within();
    }

    [Fact]
    public async Task Abort_may_come_twice_and_after_the_end()
    {
        Connection.Abort(new ConnectionAbortedException("the first"));
        Connection.Abort(new ConnectionAbortedException("the second"));
        Assert.Equal(End.Reset, (await Client.ReadToEndAsync()).End);
        ConnectionAbortedException error = await Assert.ThrowsAsync<ConnectionAbortedException>(() => Input.ReadAsync().Within());
        Assert.Equal("the first", error.Message);
        await Connection.DisposeAsync().Within();
        Connection.Abort(new ConnectionAbortedException("the third"));
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
        Connection.Abort(new ConnectionAbortedException("enough"));
        await filling.Within();
    }

    [Theory, InlineData(0), InlineData(10), InlineData(1_000_000)]
    public async Task All_that_was_written_arrives_before_the_end(int length)
    {
        Task<(End, long)> reading = Client.ReadToEndAsync();
        await Pattern.WriteAsync(Output.AsStream(leaveOpen: true), length).Within();
        await Output.CompleteAsync();
        await Input.CompleteAsync();
        await Connection.DisposeAsync().Within();
        Assert.Equal((End.Graceful, length), await reading);
    }

    [Fact]
    public async Task An_output_that_is_completed_ends_the_connection()
    {
        await Output.WriteAsync("bye"u8.ToArray()).Within();
        await Output.CompleteAsync();
        Assert.Equal((End.Graceful, 3), await Client.ReadToEndAsync());
        await Assert.ThrowsAsync<ConnectionAbortedException>(() => Input.ReadAsync().Within());
    }

    [Fact]
    public async Task Dispose_ends_a_connection_whose_pipes_nobody_completed()
    {
        await Client.SendAsync("nobody reads this");
        Task closed = Connection.ConnectionClosed.Fired();
        await Connection.DisposeAsync().Within();
        await closed.Within();
        await Client.ReadToEndAsync();
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
}
