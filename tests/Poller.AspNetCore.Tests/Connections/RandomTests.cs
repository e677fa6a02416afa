using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Poller.AspNetCore.Tests;

/// <summary>Both ends read and write in random steps at once; what one sends is what the other gets.</summary>
public abstract class RandomTests<TTransport>(SharedTransport<TTransport> shared) : IClassFixture<SharedTransport<TTransport>>
    where TTransport : ITestTransport
{
    private static readonly int Rounds = TestLength.IsLong ? 400 : 20;

    private enum Ending
    {
        /// <summary>Both ends send all, and then their end.</summary>
        Graceful,

        /// <summary>The client resets in the middle.</summary>
        Reset,

        /// <summary>The server aborts in the middle.</summary>
        Abort,
    }

    [Fact, Trait("Tests", "long")]
    public async Task Any_sequence_of_steps_loses_and_doubles_nothing()
    {
        int first = Seed.Next();
        for (int round = 0; round < Rounds; round++)
        {
            int seed = unchecked(first + round);
            try
            {
                await RunAsync(new Random(seed)).Within($"the round of seed {seed}");
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
            }
        }
    }

    private async Task RunAsync(Random random)
    {
        Ending ending = random.Next(4) switch { 0 => Ending.Reset, 1 => Ending.Abort, _ => Ending.Graceful };
        long toServer = random.Next(1_000_000), toClient = random.Next(1_000_000);
        (RawClient client, ConnectionContext connection) = await shared.Transport.PairAsync();
        Random[] randoms = [.. Enumerable.Range(0, 5).Select(_ => new Random(random.Next()))];
        TaskCompletionSource middle = new(TaskCreationOptions.RunContinuationsAsynchronously);
        CancellationToken closed = connection.ConnectionClosed;
        Task fired = closed.Fired();
        bool isEnding = ending != Ending.Graceful;
        using (client)
        {
            Task<long> serverReads = Task.Run(() => ReadAsync(connection, randoms[0], isEnding ? middle : null));
            Task<long> clientReads = Task.Run(() => Tolerating(isEnding, () => ReceiveAsync(client, randoms[1])));
            Task serverWrites = Task.Run(() => WriteAsync(connection, toClient, randoms[2], serverReads));
            Task<long> clientWrites = Task.Run(() => Tolerating(isEnding, () => SendAsync(client, toServer, randoms[3])));
            if (isEnding)
            {
                await Task.WhenAny(middle.Task, Task.WhenAll(serverWrites, clientWrites));
                if (ending == Ending.Reset) client.Reset();
                else connection.Abort(new ConnectionAbortedException("the middle"));
            }
            await Task.WhenAll(serverReads, clientReads, serverWrites, clientWrites);
            if (!isEnding) Assert.Equal((toServer, toClient), (await serverReads, await clientReads));
            await connection.DisposeAsync();
            await fired;
        }
    }

    // Reads until the end, or until the connection is broken, and checks each byte.
    private static async Task<long> ReadAsync(ConnectionContext connection, Random random, TaskCompletionSource? middle)
    {
        PipeReader input = connection.Transport.Input;
        long total = 0;
        try
        {
            while (true)
            {
                if (random.Next(20) == 0) input.CancelPendingRead();
                ReadResult read = await input.ReadAsync();
                int step = (int)Math.Min(read.Buffer.Length, random.Next(3) == 0 ? random.Next(100) : 40_000);
                byte[] bytes = new byte[step];
                read.Buffer.Slice(0, step).CopyTo(bytes);
                Assert.True(Pattern.From(total, step).Span.SequenceEqual(bytes), $"a byte after {total} is not the one that was sent.");
                total += step;
                bool isLast = read.IsCompleted && step == read.Buffer.Length;

                // What is examined and not consumed waits for more, and after the end there is none.
                SequencePosition consumed = read.Buffer.GetPosition(step);
                if (read.IsCompleted || random.Next(2) == 0) input.AdvanceTo(consumed);
                else input.AdvanceTo(consumed, read.Buffer.End);
                if (total > 20_000) middle?.TrySetResult();
                if (isLast) return total;
                if (random.Next(10) == 0) await Task.Yield();
            }
        }
        catch (Exception e) when (middle is not null && e is (ConnectionAbortedException or ConnectionResetException))
        {
            return total;
        }
        finally
        {
            middle?.TrySetResult();
        }
    }

    // Its end would end the connection in both directions, so it waits for the reader.
    private static async Task WriteAsync(ConnectionContext connection, long length, Random random, Task reader)
    {
        PipeWriter output = connection.Transport.Output;
        for (long done = 0; done < length;)
        {
            int step = (int)Math.Min(length - done, random.Next(3) == 0 ? random.Next(1, 100) : random.Next(1, 30_000));
            ReadOnlyMemory<byte> part = Pattern.From(done, step);
            part.CopyTo(output.GetMemory(step));
            output.Advance(step);
            done += step;
            if (random.Next(3) != 0) continue;
            if (random.Next(10) == 0) output.CancelPendingFlush();
            FlushResult flush = await output.FlushAsync();
            if (flush.IsCompleted) break;
        }
        await output.FlushAsync();
        await reader;
        await output.CompleteAsync();
    }

    private static async Task<long> ReceiveAsync(RawClient client, Random random)
    {
        byte[] buffer = new byte[65_000];
        long total = 0;
        while (await client.ReadAsync(buffer.AsMemory(0, random.Next(1, buffer.Length))) is > 0 and int count)
        {
            bool isRight = Pattern.From(total, count).Span.SequenceEqual(buffer.AsSpan(0, count));
            Assert.True(isRight, $"a byte after {total} is not the one that was sent.");
            total += count;
            if (random.Next(10) == 0) await Task.Yield();
        }
        return total;
    }

    private static async Task<long> SendAsync(RawClient client, long length, Random random)
    {
        for (long done = 0; done < length;)
        {
            ReadOnlyMemory<byte> part = Pattern.From(done, Math.Min(length - done, random.Next(1, 50_000)));
            await client.SendAsync(part);
            done += part.Length;
            if (random.Next(10) == 0) await Task.Yield();
        }
        client.EndSending();
        return length;
    }

    private static async Task<long> Tolerating(bool breaks, Func<Task<long>> act)
    {
        try
        {
            return await act();
        }
        catch (Exception e) when (breaks && e is (SocketException or ObjectDisposedException))
        {
            return -1;
        }
    }
}
