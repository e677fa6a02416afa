using System.IO.Pipelines;
using System.Net.Sockets;

namespace Poller.AspNetCore.Tests;

/// <summary>A side that reads nothing holds up the other, and what is buffered between them is bounded.</summary>
public abstract class BackPressureTests<TTransport> where TTransport : ITestTransport
{
    private const long Length = 128 * 1024 * 1024;

    // The kernel's buffers grow to a few megabytes at each end; the transport's own is one.
    private const long Bound = 64 * 1024 * 1024;

    [Fact]
    public async Task A_client_that_sends_to_an_app_which_does_not_read_is_held_up_until_it_does()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        (RawClient client, ConnectionContext connection) = await transport.PairAsync();
        using (client)
        {
            long sent = 0;
            Task sending = Task.Run(async () =>
            {
                while (sent < Length) sent += await client.Socket.SendAsync(Pattern.From(sent, Length - sent));
                client.EndSending();
            });
            Assert.InRange(await Waiting.StandsStillAsync(() => sent, least: 1024 * 1024), 1024 * 1024, Bound);
            Assert.False(sending.IsCompleted);
            Assert.Equal(Length, await Pattern.CheckAsync(connection.Transport.Input.AsStream()).Within());
            await sending.Within();
            await connection.DisposeAsync().Within();
        }
    }

    // It learns by a reset. Whether that leaves it what it was sent before is up to its system.
    [Fact]
    public async Task A_client_that_is_held_up_in_its_send_learns_of_the_end_at_once()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        (RawClient client, ConnectionContext connection) = await transport.PairAsync();
        using (client)
        {
            long sent = 0;
            Task sending = Task.Run(async () =>
            {
                while (true) sent += await client.Socket.SendAsync(Pattern.From(sent));
            });
            await Waiting.StandsStillAsync(() => Volatile.Read(ref sent));
            await connection.Transport.Output.WriteAsync("enough"u8.ToArray()).Within();
            await connection.DisposeAsync().Within();
            SocketException e = await Assert.ThrowsAsync<SocketException>(() => sending.Within());
            Assert.True(e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown, e.Message);
        }
    }

    [Fact]
    public async Task An_app_that_writes_to_a_client_which_does_not_read_is_held_up_until_it_does()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        (RawClient client, ConnectionContext connection) = await transport.PairAsync(receiveBuffer: 4096);
        using (client)
        {
            long written = 0;
            Task writing = Task.Run(async () =>
            {
                while (written < Length / 8)
                {
                    ReadOnlyMemory<byte> part = Pattern.From(written, Length / 8 - written);
                    await connection.Transport.Output.WriteAsync(part);
                    written += part.Length;
                }
                await connection.Transport.Output.CompleteAsync();
            });
            Assert.InRange(await Waiting.StandsStillAsync(() => written), 1, Length / 16);
            Assert.False(writing.IsCompleted);
            client.Socket.ReceiveBufferSize = 1024 * 1024; // Now that it reads, let it be fast.
            Assert.Equal((End.Graceful, Length / 8), await client.ReadToEndAsync());
            await writing.Within();
            await connection.DisposeAsync().Within();
        }
    }

    [Fact]
    public async Task A_flush_waits_only_while_the_client_does_not_read()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        (RawClient client, ConnectionContext connection) = await transport.PairAsync();
        using (client)
        {
            for (int i = 0; i < 3; i++)
            {
                long written = 0;
                Task<FlushResult> flushing;
                do
                {
                    flushing = connection.Transport.Output.WriteAsync(Pattern.From(0)).AsTask();
                    written += Pattern.From(0).Length;
                }
                while (flushing.IsCompleted);
                await client.ReadTextAsync((int)written);
                Assert.False((await flushing.Within()).IsCompleted);
            }
            await connection.DisposeAsync().Within();
        }
    }

    // Each flush then resumes the app on the stack of whoever has sent, and the app flushes more there. A block is half of what may wait.
    [Theory, InlineData(false), InlineData(true)]
    public async Task What_an_app_flushes_when_its_flush_resumes_is_sent(bool randomLengths)
    {
        const long Total = 200 * 32_768L;
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        (RawClient client, ConnectionContext connection) = await transport.PairAsync(receiveBuffer: 4096);
        using (client)
        {
            Task writing = Task.Run(async () =>
            {
                Random random = new(1);
                for (long done = 0; done < Total;)
                {
                    ReadOnlyMemory<byte> part = Pattern.From(done, Math.Min(Total - done, randomLengths ? random.Next(1, 60_000) : 32_768));
                    await connection.Transport.Output.WriteAsync(part).ConfigureAwait(false);
                    done += part.Length;
                }
                await connection.Transport.Output.CompleteAsync().ConfigureAwait(false);
            });
            client.Socket.ReceiveBufferSize = 1024 * 1024; // Now that something is buffered, let it be fast.
            Assert.Equal(Total, await Pattern.CheckAsync(new NetworkStream(client.Socket)).Within());
            await writing.Within();
            await connection.DisposeAsync().Within();
        }
    }

    [Fact]
    public async Task What_an_app_flushes_is_sent_though_it_blocks_where_its_last_flush_resumed_it()
    {
        if (!TTransport.MayBlock) return;
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        (RawClient client, ConnectionContext connection) = await transport.PairAsync(receiveBuffer: 4096);
        using (client)
        using (ManualResetEventSlim received = new())
        {
            long written = 0, expected = long.MaxValue;
            Task<bool> writing = Task.Run(async () =>
            {
                for (bool hasWaited = false; !hasWaited;)
                {
                    ValueTask<FlushResult> flush = WriteAsync(32_768);
                    hasWaited = !flush.IsCompleted;
                    await flush.ConfigureAwait(false);
                }
                Volatile.Write(ref expected, written + 10 * 1000);
                for (int i = 0; i < 10; i++) _ = WriteAsync(1000);
                return received.Wait(Waiting.Patience);
            });
            byte[] buffer = new byte[1024 * 1024];
            for (long total = 0; total < Volatile.Read(ref expected);) total += await client.ReadAsync(buffer);
            received.Set();
            Assert.True(await writing.Within());
            await connection.DisposeAsync().Within();

            ValueTask<FlushResult> WriteAsync(int length)
            {
                written += length;
                return connection.Transport.Output.WriteAsync(new byte[length]);
            }
        }
    }

    [Fact]
    public async Task The_pause_and_the_resume_of_reading_ahead_are_logged()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        (RawClient client, ConnectionContext connection) = await transport.PairAsync();
        using (client)
        {
            Task sending = client.SendAsync(Pattern.Of(4 * 1024 * 1024));
            if (TTransport.ReadsAhead) await transport.Log.TransportLogged(4);
            for (long left = 4 * 1024 * 1024; left > 0;)
            {
                ReadResult read = await connection.Transport.Input.ReadAsync().Within();
                left -= read.Buffer.Length;
                connection.Transport.Input.AdvanceTo(read.Buffer.End);
            }
            await sending.Within();
            if (TTransport.ReadsAhead) await transport.Log.TransportLogged(5);
            else Assert.DoesNotContain(transport.Log.OfTransport, static entry => entry.EventId is 4 or 5);
            await connection.DisposeAsync().Within();
        }
    }
}
