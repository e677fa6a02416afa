using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.AspNetCore.Tests.Transport;

/// <summary>
/// What a connection of a transport does. ASP.NET Core's own transport is held to the same tests, so an expectation that it does not meet
/// is no part of the contract.
/// </summary>
public abstract class ConnectionContract : IAsyncLifetime
{
    private protected static readonly TimeSpan Soon = TimeSpan.FromMinutes(1);

    private IConnectionListener _listener = null!;

    private protected abstract IConnectionListenerFactory Factory { get; }

    /// <summary>Whether it reads all that comes, and would reset the client if it ended before.</summary>
    private protected virtual bool ReadsAhead => false;

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
        Task<FlushResult> pending = await FillAsync(pair.Server);
        pair.Server.Abort(new ConnectionAbortedException("enough"));
        Assert.True((await pending.WaitAsync(Soon)).IsCompleted);
        Assert.True((await pair.Server.Transport.Output.WriteAsync(new byte[10])).IsCompleted);
    }

    [Fact]
    public async Task A_reset_completes_a_flush_that_waits()
    {
        await using Pair pair = await ConnectAsync();
        Task<FlushResult> pending = await FillAsync(pair.Server);
        pair.Client.Close(timeout: 0);
        Assert.True((await pending.WaitAsync(Soon)).IsCompleted);
        await Fires(pair.Server.ConnectionClosed);
    }

    [Fact]
    public async Task A_flush_that_waits_goes_on_when_the_peer_reads()
    {
        await using Pair pair = await ConnectAsync();
        Task<FlushResult> pending = await FillAsync(pair.Server);
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

    [Fact]
    public async Task An_app_that_blocks_for_more_where_its_read_resumed_it_gets_it()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        TaskCompletionSource blocks = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<bool> handling = HandleAsync();
        await pair.Client.SendAsync(new byte[1]);
        await blocks.Task.WaitAsync(Soon);
        await pair.Client.SendAsync(new byte[1]);
        Assert.True(await handling.WaitAsync(2 * Soon));

        async Task<bool> HandleAsync()
        {
            ReadResult read = await input.ReadAsync().ConfigureAwait(false);
            input.AdvanceTo(read.Buffer.End);
            Task<ReadResult> more = input.ReadAsync().AsTask();
            blocks.SetResult();
            return SpinWait.SpinUntil(() => more.IsCompleted, Soon);
        }
    }

    // Kestrel's requests are so: the app asks for the next bytes, works, and awaits them later.
    [Fact]
    public async Task The_peers_end_fires_ConnectionClosed_before_the_app_fetches_what_it_has_asked_for()
    {
        await using Pair pair = await ConnectAsync();
        ValueTask<ReadResult> pending = pair.Server.Transport.Input.ReadAsync();
        await pair.Client.SendAsync("a"u8.ToArray());
        pair.Client.Close();
        await Fires(pair.Server.ConnectionClosed);
        ReadResult read = await pending.AsTask().WaitAsync(Soon);
        Assert.Equal("a"u8.ToArray(), read.Buffer.ToArray());
        pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
        Assert.True((await pair.Server.Transport.Input.ReadAsync().AsTask().WaitAsync(Soon)).IsCompleted);
    }

    [Fact]
    public async Task The_peers_end_alone_fires_ConnectionClosed_before_the_app_fetches_it()
    {
        await using Pair pair = await ConnectAsync();
        ValueTask<ReadResult> pending = pair.Server.Transport.Input.ReadAsync();
        pair.Client.Close();
        await Fires(pair.Server.ConnectionClosed);
        Assert.True((await pending.AsTask().WaitAsync(Soon)).IsCompleted);
    }

    [Fact]
    public async Task An_end_of_ours_leaves_no_pending_read_completed_successfully()
    {
        await using Pair pair = await ConnectAsync();
        ValueTask<ReadResult> pending = pair.Server.Transport.Input.ReadAsync();
        pair.Server.Abort(new ConnectionAbortedException("enough"));
        await Fires(pair.Server.ConnectionClosed);
        for (long start = Environment.TickCount64; !pending.IsCompleted && Environment.TickCount64 - start < Soon.TotalMilliseconds;)
        {
            await Task.Yield();
        }
        Assert.False(pending.IsCompletedSuccessfully);
        await Assert.ThrowsAsync<ConnectionAbortedException>(async () => await pending);
    }

    [Fact]
    public async Task An_input_fails_with_the_cancellation_by_which_the_output_was_completed()
    {
        await using Pair pair = await ConnectAsync();
        await pair.Server.Transport.Output.CompleteAsync(new OperationCanceledException());
        await Fires(pair.Server.ConnectionClosed);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await pair.Server.Transport.Input.ReadAsync().AsTask().WaitAsync(Soon));
    }

    [Fact]
    public async Task TryRead_finds_what_arrives_after_it_has_found_some()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        foreach (byte[] sent in (byte[][])[[1, 2, 3], [4, 5, 6], [7]])
        {
            await pair.Client.SendAsync(sent);
            ReadResult read = default;
            for (long start = Environment.TickCount64; !input.TryRead(out read); await Task.Yield())
            {
                Assert.InRange(Environment.TickCount64 - start, 0, Soon.TotalMilliseconds);
            }
            Assert.Equal(sent, read.Buffer.ToArray());
            input.AdvanceTo(read.Buffer.End);
        }
    }

    [Fact]
    public async Task A_token_that_is_cancelled_while_a_flush_begins_ends_it()
    {
        await using Pair pair = await ConnectAsync();
        await (await StopAtFullAsync(pair.Server));
        for (int round = 0; round < 500; round++)
        {
            using CancellationTokenSource source = new();
            Task canceling = Task.Run(source.Cancel);
            try
            {
                await pair.Server.Transport.Output.WriteAsync(new byte[10], source.Token).AsTask().WaitAsync(Soon);
            }
            catch (OperationCanceledException)
            {
            }
            await canceling;
        }

        // The last flush is cancelled, and what it wrote still waits.
        static async Task<Task> StopAtFullAsync(ConnectionContext server)
        {
            Task<FlushResult> pending = await FillAsync(server);
            server.Transport.Output.CancelPendingFlush();
            return pending.WaitAsync(Soon);
        }
    }

    [Fact]
    public async Task Memory_that_nothing_was_put_into_outlives_a_flush()
    {
        await using Pair pair = await ConnectAsync();
        PipeWriter output = pair.Server.Transport.Output;
        output.Advance(0);
        Memory<byte> memory = output.GetMemory(3);
        await output.FlushAsync();
        "abc"u8.CopyTo(memory.Span);
        output.Advance(3);
        await output.FlushAsync();
        byte[] buffer = new byte[10];
        Assert.Equal(3, await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon));
        Assert.Equal("abc"u8.ToArray(), buffer[..3]);
    }

    [Fact]
    public async Task Memory_that_the_app_has_outlives_the_end_of_a_send()
    {
        await using Pair pair = await ConnectAsync();
        PipeWriter output = pair.Server.Transport.Output;
        int left = 0;
        Task<FlushResult> flush;
        do
        {
            flush = output.WriteAsync(new byte[50_000]).AsTask();
            left += 50_000;
        }
        while (await Task.WhenAny(flush, Task.Delay(100)) == flush);
        Memory<byte> memory = output.GetMemory(3);
        byte[] buffer = new byte[1 << 20];
        while (left > 0) left -= await pair.Client.ReceiveAsync(buffer.AsMemory(0, Math.Min(left, buffer.Length))).AsTask().WaitAsync(Soon);
        await flush.WaitAsync(Soon);
        "abc"u8.CopyTo(memory.Span);
        output.Advance(3);
        await output.FlushAsync().AsTask().WaitAsync(Soon);
        Assert.Equal(3, await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon));
        Assert.Equal("abc"u8.ToArray(), buffer[..3]);
    }

    [Fact]
    public async Task An_abort_ends_the_input_though_the_app_has_not_read_what_came()
    {
        await using Pair pair = await ConnectAsync();
        Task sending = SendUntilRefusedAsync(pair.Client);
        ReadResult read = await pair.Server.Transport.Input.ReadAsync();
        pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
        await Task.Delay(50); // Enough for what reads ahead to come to its limit.
        pair.Server.Abort(new ConnectionAbortedException("enough"));
        await sending.WaitAsync(Soon);
        await Fires(pair.Server.ConnectionClosed);
        await Assert.ThrowsAsync<ConnectionAbortedException>(async () =>
        {
            while (true)
            {
                read = await pair.Server.Transport.Input.ReadAsync().AsTask().WaitAsync(Soon);
                pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
            }
        });

        static async Task SendUntilRefusedAsync(Socket client)
        {
            byte[] bytes = new byte[100_000];
            try
            {
                while (true) await client.SendAsync(bytes);
            }
            catch (SocketException)
            {
            }
        }
    }

    // The client has sent what nobody reads, which would reset it. A Unix client would then find the reset before the bytes.
    [Fact]
    public async Task An_end_does_not_reset_a_unix_client_whose_bytes_nobody_has_read()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        await using IConnectionListener listener = await Factory.BindAsync(new UnixDomainSocketEndPoint(path));
        using Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(listener.EndPoint);
        ConnectionContext server = (await listener.AcceptAsync())!;
        await client.SendAsync(new byte[1000]);
        await ReadAheadAsync(server);
        await server.Transport.Output.WriteAsync("bye"u8.ToArray());
        await server.DisposeAsync().AsTask().WaitAsync(Soon);
        byte[] buffer = new byte[10];
        Assert.Equal(3, await client.ReceiveAsync(buffer).WaitAsync(Soon));
        Assert.Equal(0, await client.ReceiveAsync(buffer).WaitAsync(Soon));
        await listener.UnbindAsync();
    }

    // The watch for the end and the end of the last read then meet on two threads.
    [Fact]
    public async Task A_long_message_with_the_end_arrives_whole()
    {
        for (int round = 0; round < 10; round++) await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => RunAsync()));

        async Task RunAsync()
        {
            await using Pair pair = await ConnectAsync();
            Task<long> reading = Task.Run(async () =>
            {
                for (long total = 0; ;)
                {
                    ReadResult read = await pair.Server.Transport.Input.ReadAsync().ConfigureAwait(false);
                    total += read.Buffer.Length;
                    pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
                    if (read.IsCompleted) return total;
                }
            });
            await pair.Client.SendAsync(new byte[60_000]);
            pair.Client.Shutdown(SocketShutdown.Send);
            Assert.Equal(60_000, await reading.WaitAsync(Soon));
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
        Task<FlushResult> pending = await FillAsync(pair.Server);
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
        await ReadAheadAsync(pair.Server);
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
        Task<FlushResult> pending = await FillAsync(pair.Server);
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
    private protected static async Task<Task<FlushResult>> FillAsync(ConnectionContext server)
    {
        while (true)
        {
            Task<FlushResult> flush = server.Transport.Output.WriteAsync(new byte[50_000]).AsTask();
            if (await flush.WaitsForRoomAsync(server)) return flush;
        }
    }

    /// <summary>Comes back once a transport that reads ahead has what the client sent.</summary>
    private async Task ReadAheadAsync(ConnectionContext server)
    {
        await Task.Delay(50);
        Socket socket = server.Features.Get<IConnectionSocketFeature>()!.Socket;
        if (ReadsAhead) Assert.True(SpinWait.SpinUntil(() => socket.Available == 0, Soon));
    }

    private protected Task<Pair> ConnectAsync() => ConnectAsync(_listener);

    private protected static async Task<Pair> ConnectAsync(IConnectionListener listener)
    {
        Socket client = new(listener.EndPoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(listener.EndPoint);
        return new Pair(client, (await listener.AcceptAsync())!);
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

    private protected override bool ReadsAhead => true;
}

public abstract class PollerConnectionContract : ConnectionContract
{
    private readonly string _backend;
    private readonly ServiceProvider _services;

    private protected PollerConnectionContract(string backend)
    {
        _backend = backend;
        _services = ServicesWith(NetpollDispatch.Adaptive);
    }

    private protected CountingPool Pool { get; } = new();

    private protected Netpoller Poller => _services.GetRequiredService<Netpoller>();

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

    // A handler holds the loop of inline dispatch, so the read that waits has not taken the client's bytes when the connection ends. The
    // client is a Unix socket, for which a reset comes before what it was sent.
    [Fact]
    public async Task An_end_does_not_reset_a_client_whose_bytes_a_read_is_about_to_take()
    {
        await using ServiceProvider services = ServicesWith(NetpollDispatch.Inline);
        await using IConnectionListener listener = await services.GetRequiredService<IConnectionListenerFactory>()
            .BindAsync(new UnixDomainSocketEndPoint(Path.Combine(Path.GetTempPath(), Path.GetRandomFileName())));
        await using Pair pair = await ConnectAsync(listener);
        await pair.Server.Transport.Output.WriteAsync("bye"u8.ToArray());
        Task<ReadResult> reading = pair.Server.Transport.Input.ReadAsync().AsTask();
        Socket socket = pair.Server.Features.Get<IConnectionSocketFeature>()!.Socket;

        await using UdpConn holder = (UdpConn)services.GetRequiredService<NetStack>().ListenPacket("udp", "127.0.0.1:0");
        TaskCompletionSource held = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using ManualResetEventSlim release = new();
        Task holding = HoldAsync();
        await holder.SendToAsync(new byte[1], holder.LocalEndPoint);
        await held.Task.WaitAsync(Soon);

        await pair.Client.SendAsync(new byte[20_000]);
        Assert.True(SpinWait.SpinUntil(() => socket.Available == 20_000, Soon));
        await pair.Server.Transport.Output.CompleteAsync();
        release.Set();
        await holding.WaitAsync(Soon);
        await Task.WhenAny(reading).WaitAsync(Soon); // It fails, or has the first of the bytes.

        byte[] buffer = new byte[10];
        Assert.Equal(3, await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon));
        Assert.Equal(0, await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon));

        async Task HoldAsync()
        {
            await holder.ReadAsync(new byte[1]).ConfigureAwait(false);
            held.SetResult();
            release.Wait();
        }
    }

    [Fact]
    public async Task A_position_outside_of_the_result_is_refused_and_the_connection_goes_on()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        await pair.Client.SendAsync(new byte[10_000]);
        ReadOnlySequence<byte> buffer = (await input.ReadAtLeastAsync(10_000).AsTask().WaitAsync(Soon)).Buffer;
        SequencePosition foreign = new ReadOnlySequence<byte>(new byte[10_000]).End;
        SequencePosition beyondSegment = new(buffer.Start.GetObject(), buffer.First.Length + 1);
        SequencePosition beyondAll = new(buffer.End.GetObject(), buffer.End.GetInteger() + 1);
        SequencePosition negative = new(buffer.Start.GetObject(), -1);
        foreach (SequencePosition wrong in (SequencePosition[])[foreign, beyondSegment, beyondAll, negative])
        {
            Assert.Equal("consumed", Assert.Throws<ArgumentOutOfRangeException>(() => input.AdvanceTo(wrong)).ParamName);
            Assert.Equal("examined", Assert.Throws<ArgumentOutOfRangeException>(() => input.AdvanceTo(buffer.Start, wrong)).ParamName);
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => input.AdvanceTo(buffer.GetPosition(2), buffer.GetPosition(1)));

        input.AdvanceTo(buffer.GetPosition(9_000), buffer.End);
        ValueTask<ReadResult> pending = input.ReadAsync();
        Assert.False(pending.IsCompleted);
        await pair.Client.SendAsync(new byte[1]);
        Assert.Equal(1_001, (await pending.AsTask().WaitAsync(Soon)).Buffer.Length);
    }

    [Fact]
    public async Task A_position_of_an_earlier_result_is_refused_and_the_connection_goes_on()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        await pair.Client.SendAsync(new byte[10_000]);
        ReadResult read = await input.ReadAtLeastAsync(10_000).AsTask().WaitAsync(Soon);
        SequencePosition stale = read.Buffer.GetPosition(1);
        input.AdvanceTo(read.Buffer.GetPosition(9_000), read.Buffer.End);
        Assert.ThrowsAny<Exception>(() => input.AdvanceTo(stale));
        await pair.Client.SendAsync(new byte[1]);
        Assert.Equal(1_001, (await input.ReadAtLeastAsync(1_001).AsTask().WaitAsync(Soon)).Buffer.Length);
    }

    [Fact]
    public async Task A_logger_that_throws_keeps_no_connection_open()
    {
        await using ServiceProvider services = ServicesWith(NetpollDispatch.Adaptive, static logging =>
            logging.SetMinimumLevel(LogLevel.Trace).AddProvider(new ThrowingLog()));
        await using IConnectionListener listener = await services.GetRequiredService<IConnectionListenerFactory>()
            .BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        for (int end = 0; end < 4; end++)
        {
            await using Pair pair = await ConnectAsync(listener);
            Task<ReadResult> reading = pair.Server.Transport.Input.ReadAsync().AsTask();
            pair.Server.ConnectionClosed.Register(static () => throw new InvalidOperationException("the app's own"));
            if (end == 0) pair.Server.Abort(new ConnectionAbortedException("enough"));
            if (end == 1) await pair.Server.Transport.Output.CompleteAsync();
            if (end == 2) pair.Client.Shutdown(SocketShutdown.Send);
            if (end == 3) pair.Client.Close(timeout: 0);
            await Task.WhenAny(reading).WaitAsync(Soon);
            await Fires(pair.Server.ConnectionClosed);
            await pair.Server.DisposeAsync().AsTask().WaitAsync(Soon);
        }
    }

    [Fact]
    public async Task A_dispose_gives_back_what_was_read_and_not_consumed()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        await pair.Client.SendAsync(new byte[2]);
        ReadResult read = await input.ReadAsync();
        input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        ValueTask<ReadResult> pending = input.ReadAsync();
        pair.Server.Abort(new ConnectionAbortedException("enough")); // Before the client ends, whose end would complete the read.
        await pair.Server.DisposeAsync().AsTask().WaitAsync(Soon);
        await Assert.ThrowsAnyAsync<Exception>(async () => await pending.AsTask().WaitAsync(Soon));
        Assert.Equal(0, Pool.Rented);
    }

    [Fact]
    public async Task A_token_that_is_cancelled_between_a_flushs_look_and_its_registration_ends_the_flush()
    {
        await using Pair pair = await ConnectAsync();
        PipeWriter output = pair.Server.Transport.Output;
        Task<FlushResult> pending = await FillAsync(pair.Server);
        output.CancelPendingFlush();
        await pending.WaitAsync(Soon);
        output.Write(new byte[10]);
        using CancellationTokenSource source = new();
        Task<FlushResult>? flush = null;
        Thread thread = new(() => flush = output.FlushAsync(source.Token).AsTask());
        lock (((PollerConnection)pair.Server).Lock)
        {
            thread.Start();
            Assert.True(SpinWait.SpinUntil(() => thread.ThreadState.HasFlag(ThreadState.WaitSleepJoin), Soon)); // It waits for the lock.
#pragma warning disable CA1849 // There is no await under a lock.
            source.Cancel();
#pragma warning restore CA1849
        }
        thread.Join();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flush!.WaitAsync(Soon));
    }

    [Fact]
    public async Task The_end_of_the_poller_fires_ConnectionClosed_where_the_app_never_reads()
    {
        await using Pair pair = await ConnectAsync();
        Poller.Dispose();
        await Fires(pair.Server.ConnectionClosed);
    }

    [Fact]
    public async Task What_is_sent_of_a_long_write_is_given_back()
    {
        const int Length = 32 * 1024 * 1024;
        await using Pair pair = await ConnectAsync();
        PipeWriter output = pair.Server.Transport.Output;
        for (int written = 0; written < Length; written += 4096)
        {
            output.GetMemory(4096);
            output.Advance(4096);
        }
        Task<FlushResult> flushing = output.FlushAsync().AsTask();
        byte[] buffer = new byte[1 << 20];
        for (int received = 0; received < Length / 2;) received += await pair.Client.ReceiveAsync(buffer).WaitAsync(Soon);
        const long Most = Length / 2 + 1024 * 1024;
        SpinWait.SpinUntil(() => Pool.Rented * 4096L <= Most, Soon); // The server may be in the send whose bytes have just come.
        Assert.InRange(Pool.Rented * 4096L, 0, Most);
        pair.Server.Abort(new ConnectionAbortedException("enough"));
        await flushing.WaitAsync(Soon);
    }

    [Fact]
    public async Task What_an_app_holds_of_a_full_buffer_does_not_double_what_is_buffered()
    {
        const long Limit = 1024 * 1024;
        await using Pair pair = await ConnectAsync();
        Task sending = pair.Client.SendAsync(new byte[16 * Limit]);
        await BufferedAsync();
        ReadResult read = await pair.Server.Transport.Input.ReadAsync();
        pair.Server.Transport.Input.AdvanceTo(read.Buffer.Start, read.Buffer.Start);
        Assert.InRange(await BufferedAsync(), 1, Limit * 3 / 2);
        pair.Server.Abort(new ConnectionAbortedException("enough"));
        await Task.WhenAny(sending).WaitAsync(Soon);

        async Task<long> BufferedAsync()
        {
            int before;
            do
            {
                before = Pool.Rented;
                await Task.Delay(100); // That nothing more happens is no event.
            }
            while (Pool.Rented != before);
            return before * 4096L;
        }
    }

    [Theory, InlineData(true), InlineData(false)]
    public async Task A_dialed_connection_has_the_options_NoDelay(bool noDelay)
    {
        _services.GetRequiredService<IOptions<PollerTransportOptions>>().Value.NoDelay = noDelay;
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        ConnectionContext dialed = await _services.GetRequiredService<IConnectionFactory>().ConnectAsync(listener.LocalEndPoint!);
        Assert.Equal(noDelay, dialed.Features.Get<IConnectionSocketFeature>()!.Socket.NoDelay);
        await dialed.DisposeAsync();
    }

    [Fact]
    public async Task A_listener_of_a_handle_is_given_back_as_it_was()
    {
        using Socket owner = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        owner.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        owner.Listen();
        await using (IConnectionListener listener =
            await Factory.BindAsync(new FileHandleEndPoint((ulong)owner.Handle, FileHandleType.Tcp)))
        {
            await listener.UnbindAsync();
        }
        Assert.Equal(SocketError.WouldBlock, Assert.Throws<SocketException>(owner.Accept).SocketErrorCode);
        Assert.False(owner.NoDelay);
        Assert.Equal(0, owner.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _services.DisposeAsync();
    }

    private ServiceProvider ServicesWith(NetpollDispatch dispatch, Action<ILoggingBuilder>? log = null) =>
        new ServiceCollection().AddLogging(log ?? (static _ => { })).AddSingleton<IMemoryPoolFactory<byte>>(Pool).AddPollerTransport().Services
            .AddPoller(options => (options.Backend, options.Dispatch) = (_backend, dispatch)).Services.BuildServiceProvider();

    private sealed class ThrowingLog : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) =>
            categoryName == "Poller.AspNetCore.Transport" ? this : NullLogger.Instance;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw new InvalidOperationException("the logger's own");

        public void Dispose() { }
    }

    /// <summary>A pool that counts what is out, and may be told to have nothing.</summary>
    private protected sealed class CountingPool : MemoryPool<byte>, IMemoryPoolFactory<byte>
    {
        private int _rented;

        public int Rented => Volatile.Read(ref _rented);

        public bool IsEmpty { get; set; }

        /// <summary>Runs before a buffer is given out, in the call.</summary>
        public Action? Renting { get; set; }

        public override int MaxBufferSize => 4096;

        public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
        {
            Renting?.Invoke();
            if (IsEmpty) throw new InsufficientMemoryException("the test's pool is empty.");
            Interlocked.Increment(ref _rented);
            return new Block(this);
        }

        public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => this;

        protected override void Dispose(bool disposing) { }

        private sealed class Block(CountingPool pool) : IMemoryOwner<byte>
        {
            public Memory<byte> Memory { get; } = new byte[4096];

            public void Dispose() => Interlocked.Decrement(ref pool._rented);
        }
    }
}

public sealed class EpollConnectionTests() : PollerConnectionContract("epoll")
{
    // A response that is flushed twice, as one in chunks is. The first ones go alone: nobody knows yet that there will be several.
    [Fact]
    public async Task The_flushes_for_what_was_read_go_by_one_send()
    {
        const int Rounds = 100;
        await using Pair pair = await ConnectAsync();
        Task answering = Task.Run(AnswerAsync);
        for (int round = 0; round < Rounds; round++)
        {
            await pair.Client.SendAsync(new byte[1]);
            for (int received = 0; received < 2;) received += await pair.Client.ReceiveAsync(new byte[2]).WaitAsync(Soon);
        }
        Assert.InRange((int)DataSegmentsIn(pair.Client), Rounds, Rounds * 5 / 4);
        pair.Client.Shutdown(SocketShutdown.Send);
        await answering.WaitAsync(Soon);

        async Task AnswerAsync()
        {
            while (true)
            {
                ReadResult read = await pair.Server.Transport.Input.ReadAsync().ConfigureAwait(false);
                if (read.IsCompleted) return;
                pair.Server.Transport.Input.AdvanceTo(read.Buffer.End);
                for (int i = 0; i < 2; i++) await pair.Server.Transport.Output.WriteAsync(new byte[1]).ConfigureAwait(false);
            }
        }

        // tcpi_data_segs_in of TCP_INFO (linux/tcp.h).
        static uint DataSegmentsIn(Socket socket)
        {
            byte[] info = new byte[256];
            socket.GetRawSocketOption(6, 11, info);
            return BitConverter.ToUInt32(info, 152);
        }
    }

    // The end is then reported while nothing can read ahead, and no event follows.
    [Fact]
    public async Task The_peers_end_fires_ConnectionClosed_though_it_is_reported_while_a_read_is_under_way()
    {
        await using Pair pair = await ConnectAsync();
        ValueTask<ReadResult> pending = pair.Server.Transport.Input.ReadAsync();
        Pool.Renting = () =>
        {
            Pool.Renting = null;
            long events = Poller.Statistics.Events;
            pair.Client.Close();
            Assert.True(SpinWait.SpinUntil(() => Poller.Statistics.Events > events, Soon));
            SpinWait.SpinUntil(static () => ThreadPool.PendingWorkItemCount == 0, TimeSpan.FromSeconds(1)); // The pool has looked by then.
        };
        await pair.Client.SendAsync(new byte[1]);
        await Fires(pair.Server.ConnectionClosed);
        Assert.Equal(1, (await pending.AsTask().WaitAsync(Soon)).Buffer.Length);
    }

    [Fact]
    public async Task A_pool_that_throws_ends_one_read_and_the_connection_goes_on()
    {
        await using Pair pair = await ConnectAsync();
        PipeReader input = pair.Server.Transport.Input;
        await pair.Client.SendAsync(new byte[1]);
        Pool.IsEmpty = true;
        Assert.Throws<InsufficientMemoryException>(() => input.TryRead(out _));
        Pool.IsEmpty = false;
        Assert.Equal(1, (await input.ReadAsync().AsTask().WaitAsync(Soon)).Buffer.Length);
    }
}

public sealed class EpollLevelConnectionTests() : PollerConnectionContract("epoll-level");

public sealed class PosixConnectionTests() : PollerConnectionContract("posix");
