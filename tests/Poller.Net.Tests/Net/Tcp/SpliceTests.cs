using System.Net.Sockets;
using System.Security.Cryptography;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// A copy from connection to connection: each byte arrives once, or an exception says how many do not (Go's splice_test.go). Bytes go from
/// Source to In, are copied from In to Out, and arrive at Sink.
/// </summary>
public abstract class SpliceTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_stream_in_random_chunks_passes_both_ways_with_its_ends(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        Chain chain = await Chain.CreateAsync(fixture);
        byte[] there = RandomNumberGenerator.GetBytes(2 << 20);
        byte[] back = RandomNumberGenerator.GetBytes(1 << 20);
        Task<int> forward = PassAsync(chain.In, chain.Out);
        Task<int> backward = PassAsync(chain.Out, chain.In);
        Task sending = Task.WhenAll(SendAsync(chain.Source, there), SendAsync(chain.Sink, back));
        Task<byte[]> arrived = chain.Sink.ReadAllAsync(), returned = chain.Source.ReadAllAsync();
        Gathered.AssertSame(there, await arrived.Within(), "there");
        Gathered.AssertSame(back, await returned.Within(), "back");
        await sending.Within();
        await Task.WhenAll(forward, backward).Within();
        Assert.True(api.Spliced > 0);
        Assert.Equal(0, api.OpenPipeEnds);

        async Task<int> PassAsync(TcpConn from, TcpConn to)
        {
            await from.StartCopy(blocking, to).Task.ConfigureAwait(false);
            to.CloseWrite();
            return 0;
        }

        static Task SendAsync(TcpConn conn, byte[] bytes) => Task.Run(async () =>
        {
            for (int sent = 0; sent < bytes.Length;)
            {
                int count = Math.Min(Random.Shared.Next(1, 60_000), bytes.Length - sent);
                await conn.WriteAsync(bytes.AsMemory(sent, count)).ConfigureAwait(false);
                sent += count;
            }
            conn.CloseWrite();
        });
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_connection_that_is_copied_to_itself_echoes(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> echo = server.StartCopy(blocking, server);
        byte[] buffer = new byte[100];
        for (int i = 1; i < 50; i++)
        {
            await client.WriteAsync(blocking, new byte[i]);
            await client.ReadExactlyAsync(blocking, buffer.AsMemory(0, i));
        }
        client.CloseWrite();
        await echo.Within();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Copies_that_wait_share_one_pipe_and_keep_none_in_the_end(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        List<Operation<int>> copies = [];
        List<TcpConn> sources = [];
        for (int i = 0; i < 5; i++)
        {
            Chain chain = await Chain.CreateAsync(fixture);
            sources.Add(chain.Source);
            copies.Add(chain.In.StartCopy(blocking, chain.Out).Waiting());
        }
        Assert.Equal(1, api.Pipes);
        Assert.Equal(2, api.OpenPipeEnds);
        foreach (TcpConn source in sources) source.CloseWrite();
        foreach (Operation<int> copy in copies) await copy.Within();
        Assert.Equal(0, api.OpenPipeEnds);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_write_that_fails_gives_back_the_bytes_that_it_did_not_write(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        Chain chain = await Chain.CreateAsync(fixture);
        Sent sent = chain.SendMoreThanFits();
        Operation<int> copy = chain.In.StartCopy(blocking, chain.Out);

        // Nobody reads at the sink. The copy fills it, and then waits with bytes in its pipe.
        await chain.WriterWaitsAsync(api);
        chain.Out.SetWriteDeadline(DateTimeOffset.UnixEpoch);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(copy.Within);
        Assert.True(e.IsTimeout);
        Assert.Equal("write", e.Operation);
        Assert.Equal(SocketError.TimedOut, e.SocketErrorCode);
        chain.Out.SetWriteDeadline(null);
        chain.Out.CloseWrite(); // It still is usable.
        await chain.AssertNothingIsLostAsync(sent, UnwrittenOf(e), api);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_that_ends_a_write_gives_back_the_bytes_that_it_did_not_write(NetpollDispatch dispatch)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        Chain chain = await Chain.CreateAsync(fixture);
        Sent sent = chain.SendMoreThanFits();
        using CancellationTokenSource cancel = new();
        Task copy = chain.In.CopyToAsync(chain.Out, cancel.Token);
        await chain.WriterWaitsAsync(api);
        await cancel.CancelAsync();
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => copy.Within());
        Assert.True(copy.IsCanceled);
        Assert.Equal(cancel.Token, e.CancellationToken);
        await chain.AssertNothingIsLostAsync(sent, UnwrittenOf(e), api);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_that_ends_a_copy_without_a_pipe_gives_back_the_bytes_that_it_did_not_write(NetpollDispatch dispatch)
    {
        TransferApi api = new() { PipeFault = Errno.EMFILE };
        using Fixture fixture = new(dispatch, api: api);
        Chain chain = await Chain.CreateAsync(fixture);
        Sent sent = chain.SendMoreThanFits();
        using CancellationTokenSource cancel = new();
        Task copy = chain.In.CopyToAsync(chain.Out, 1 << 20, cancel.Token);
        await chain.WriterWaitsAsync(api);
        await cancel.CancelAsync();
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => copy.Within());
        await chain.AssertNothingIsLostAsync(sent, UnwrittenOf(e), api);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task An_interrupted_write_gives_back_the_bytes_that_it_did_not_write(NetpollDispatch dispatch)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        Chain chain = await Chain.CreateAsync(fixture);
        Sent sent = chain.SendMoreThanFits();
        Operation<int> copy = chain.In.StartCopy(blocking: true, chain.Out);
        await chain.WriterWaitsAsync(api);
        copy.Waiting().Interrupt();
        ThreadInterruptedException e = await Assert.ThrowsAsync<ThreadInterruptedException>(copy.Within);
        await chain.AssertNothingIsLostAsync(sent, UnwrittenOf(e), api);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_close_that_ends_a_write_gives_back_the_bytes_that_it_did_not_write(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        Chain chain = await Chain.CreateAsync(fixture);
        Sent sent = chain.SendMoreThanFits();
        Operation<int> copy = chain.In.StartCopy(blocking, chain.Out);
        await chain.WriterWaitsAsync(api);
        chain.Out.Dispose();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(copy.Within);
        Assert.True(e.IsClosed);
        await chain.AssertNothingIsLostAsync(sent, UnwrittenOf(e), api);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_read_that_ends_loses_nothing(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        Chain chain = await Chain.CreateAsync(fixture);
        byte[] buffer = new byte[8];
        for (byte i = 0; i < 5; i++)
        {
            Operation<int> copy = chain.In.StartCopy(blocking, chain.Out).Waiting();
            chain.Source.Write([i]);
            Assert.Equal(1, await chain.Sink.ReadAsync(blocking, buffer));
            Assert.Equal(i, buffer[0]);
            chain.In.SetReadDeadline(DateTimeOffset.UnixEpoch);
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(copy.Within);
            Assert.True(e.IsTimeout);
            Assert.Equal("read", e.Operation);
            Assert.DoesNotContain("not written", e.Message, StringComparison.Ordinal);
            Assert.True(Conn.UnwrittenBytes(e).IsEmpty);
            chain.In.SetReadDeadline(null);
        }
        using CancellationTokenSource cancel = new();
        Task canceled = chain.In.CopyToAsync(chain.Out, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled.Within());
        Operation<int> last = chain.In.StartCopy(blocking, chain.Out);
        chain.Source.Write([9]);
        chain.Source.CloseWrite();
        await last.Within();
        Assert.Equal(1, await chain.Sink.ReadAsync(blocking, buffer));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Without_a_pipe_or_splice_it_copies(NetpollDispatch dispatch, bool blocking)
    {
        foreach (Errno error in (Errno[])[Errno.EMFILE, Errno.EOPNOTSUPP, Errno.EINVAL, Errno.EINTR])
        {
            TransferApi api = new();
            if (error == Errno.EMFILE || error == Errno.EOPNOTSUPP) api.PipeFault = error;
            for (int i = 0; i < 4; i++) api.SpliceFaults.Enqueue(error);
            using Fixture fixture = new(dispatch, api: api);
            Chain chain = await Chain.CreateAsync(fixture);
            Operation<int> copy = chain.In.StartCopy(blocking, chain.Out);
            byte[] sent = RandomNumberGenerator.GetBytes(200_000);
            Task<int> sending = chain.Source.StartWrite(blocking, sent).Task;
            byte[] received = new byte[sent.Length];
            await chain.Sink.ReadExactlyAsync(blocking, received);
            Gathered.AssertSame(sent, received, error.ToString());
            await sending.Within();
            chain.Source.CloseWrite();
            await copy.Within();
            Assert.Equal(0, api.OpenPipeEnds);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Bytes_behind_an_urgent_one_pass(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket source = await Raw.ConnectAsync(listener.LocalEndPoint);
        using TcpConn into = await listener.AcceptTcpAsync().Within();
        (TcpConn sink, TcpConn outOf) = await fixture.PairAsync();
        Operation<int> copy = into.StartCopy(blocking, outOf);
        byte[] buffer = new byte[8];
        for (int i = 0; i < 5; i++)
        {
            source.Send("ab"u8);
            source.Send("!"u8, SocketFlags.OutOfBand);
            source.Send("cd"u8);

            // The urgent byte is not in the stream.
            await sink.ReadExactlyAsync(blocking, buffer.AsMemory(0, 4));
            Assert.Equal("abcd"u8, buffer.AsSpan(0, 4));
        }
        source.Shutdown(SocketShutdown.Send);
        await copy.Within();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_peer_that_resets_ends_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        Chain chain = await Chain.CreateAsync(fixture);
        Operation<int> copy = chain.In.StartCopy(blocking, chain.Out).Waiting();
        chain.Source.Reset();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(copy.Within);
        Assert.Equal(("read", SocketError.ConnectionReset), (e.Operation, e.SocketErrorCode));

        chain = await Chain.CreateAsync(fixture);
        copy = chain.In.StartCopy(blocking, chain.Out).Waiting();
        chain.Sink.Reset();
        while (!copy.Task.IsCompleted)
        {
            chain.Source.Write([1]);
            await Task.WhenAny(copy.Task, Task.Delay(1));
        }
        e = await Assert.ThrowsAsync<NetOpException>(copy.Within);
        Assert.Equal("write", e.Operation);
        Assert.True(e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown, e.Message);
        Assert.NotEmpty(UnwrittenOf(e));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_close_of_either_connection_ends_it(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        Chain chain = await Chain.CreateAsync(fixture);
        Operation<int> copy = chain.In.StartCopy(blocking, chain.Out).Waiting();
        chain.In.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(copy.Within)).IsClosed);

        chain = await Chain.CreateAsync(fixture);
        copy = chain.In.StartCopy(blocking, chain.Out).Waiting();
        chain.Out.Dispose();
        copy.Waiting(); // It does not write yet.
        chain.Source.Write([1, 2, 3]);
        Assert.Equal([1, 2, 3], UnwrittenOf(await Assert.ThrowsAsync<ObjectDisposedException>(copy.Within)));
        Assert.Throws<ObjectDisposedException>(() => chain.In.CopyTo(chain.Out));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_copy_to_another_stream_is_that_of_any_stream(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using MemoryStream all = new();
        Operation<int> copy = server.StartCopy(blocking, all);
        await client.WriteAsync(blocking, new byte[10_000]);
        client.CloseWrite();
        await copy.Within();
        Assert.Equal(10_000, all.Length);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_stream_passes_from_a_Unix_socket_to_TCP_and_back(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (UnixConn source, UnixConn into) = await fixture.UnixPairAsync();
        (UnixConn sink, UnixConn outOf) = await fixture.UnixPairAsync();
        (TcpConn near, TcpConn far) = await fixture.PairAsync();
        using (source)
        using (into)
        using (sink)
        using (outOf)
        {
            Task<int> first = into.StartCopy(blocking, near).Task, second = far.StartCopy(blocking, outOf).Task;
            byte[] sent = RandomNumberGenerator.GetBytes(300_000);
            Task<int> sending = source.StartWrite(blocking, sent).Task;
            byte[] received = new byte[sent.Length];
            await sink.ReadExactlyAsync(blocking, received);
            Gathered.AssertSame(sent, received, "through two copies");
            await sending.Within();
            source.CloseWrite();
            await first.Within();
            near.CloseWrite();
            await second.Within();
        }
        Assert.Equal(4 * 300_000, api.Spliced);
        Assert.Equal(0, api.OpenPipeEnds);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Messages_as_a_source_are_copied_and_not_spliced(NetpollDispatch dispatch, bool blocking)
    {
        TransferApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        (UnixConn source, UnixConn into) = await fixture.UnixPairAsync("unixpacket");
        (TcpConn outOf, TcpConn sink) = await fixture.PairAsync();
        using (source)
        using (into)
        {
            Operation<int> copy = into.StartCopy(blocking, outOf);
            byte[] sent = RandomNumberGenerator.GetBytes(500);
            for (int i = 0; i < 5; i++) await source.WriteAsync(blocking, sent.AsMemory(100 * i, 100));
            source.Dispose();
            await copy.Within();
            outOf.CloseWrite();
            Gathered.AssertSame(sent, await sink.ReadAllAsync().Within(), "the messages");
            Assert.Equal(0, api.Spliced);
        }
    }

    // Go's issue 25985: the second copy of such a proxy once waited for ever.
    [Theory, InlineData(false, false), InlineData(false, true), InlineData(true, false), InlineData(true, true)]
    public async Task Both_copies_of_a_proxy_end_whose_client_has_closed_at_once(bool unixClient, bool unixServer)
    {
        using Fixture fixture = new();
        (Conn client, Conn front) = await PairAsync(unixClient);
        (Conn back, Conn server) = await PairAsync(unixServer);
        using (client)
        using (front)
        using (back)
        using (server)
        {
            client.Dispose();
            Task up = front.CopyToAsync(back), down = back.CopyToAsync(front);
            await up.Within();
            back.CloseWrite();
            Assert.Equal(0, await server.ReadAsync(new byte[1]).Within());
            server.Dispose();
            await down.Within();
        }

        async Task<(Conn Client, Conn Server)> PairAsync(bool isUnix) =>
            isUnix ? await fixture.UnixPairAsync().ConfigureAwait(false) : await fixture.PairAsync().ConfigureAwait(false);
    }

    // The bytes, and the message says how many they are.
    private static byte[] UnwrittenOf(Exception e)
    {
        byte[] bytes = Conn.UnwrittenBytes(e).ToArray();
        Assert.Contains($"{bytes.Length} bytes were read from the source and not written", e.Message, StringComparison.Ordinal);
        return bytes;
    }

    private sealed record Sent(byte[] Bytes, Operation<int> Sending);

    private sealed record Chain(TcpConn Source, TcpConn In, TcpConn Out, TcpConn Sink)
    {
        public static async Task<Chain> CreateAsync(Fixture fixture)
        {
            (TcpConn source, TcpConn into) = await fixture.PairAsync();
            (TcpConn sink, TcpConn outOf) = await fixture.PairAsync();
            return new Chain(source, into, outOf, sink);
        }

        /// <summary>Begins to send more than the sockets take while nobody reads at the sink.</summary>
        public Sent SendMoreThanFits()
        {
            using (Socket sender = Raw.SocketOf(Out), receiver = Raw.SocketOf(Sink))
            {
                sender.SendBufferSize = receiver.ReceiveBufferSize = 1 << 14;
            }
            byte[] bytes = RandomNumberGenerator.GetBytes(4 << 20);
            return new Sent(bytes, Source.StartWrite(blocking: false, bytes));
        }

        /// <summary>What was sent is what arrived, what was given back, and what still is in the source.</summary>
        public async Task AssertNothingIsLostAsync(Sent sent, byte[] unwritten, TransferApi api)
        {
            Assert.NotEmpty(unwritten);
            Assert.Equal(0, api.OpenPipeEnds);
            Task<byte[]> arriving = Sink.ReadAllAsync(), left = In.ReadAllAsync();
            await sent.Sending.Within().ConfigureAwait(false);
            Source.CloseWrite();
            Out.Dispose();
            byte[] first = await arriving.Within().ConfigureAwait(false), last = await left.Within().ConfigureAwait(false);
            Gathered.AssertSame(sent.Bytes, [.. first, .. unwritten, .. last], "what was sent");
        }

        /// <summary>Comes back once a splice has found the destination full, and no room has come since.</summary>
        public async Task WriterWaitsAsync(TransferApi api)
        {
            using CancellationTokenSource patience = new(Tests.Fixture.Patience);
            (long, int) seen;
            do
            {
                seen = Moved();
                await Task.Delay(5, patience.Token).ConfigureAwait(false);
            }
            while (!api.IsFull(Raw.FdOf(Out)) || Moved() != seen);

            (long, int) Moved() => (Volatile.Read(ref api.Spliced), Volatile.Read(ref api.Sends));
        }
    }
}

internal static class CopyOperation
{
    public static Operation<int> StartCopy(this Conn conn, bool blocking, Stream destination)
    {
        return blocking ? new(Copy) : new(CopyAsync());

        int Copy()
        {
            conn.CopyTo(destination);
            return 0;
        }

        async Task<int> CopyAsync()
        {
            await conn.CopyToAsync(destination).ConfigureAwait(false);
            return 0;
        }
    }
}
