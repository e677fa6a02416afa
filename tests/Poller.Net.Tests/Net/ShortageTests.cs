using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Poller.Net.Tests;

/// <summary>A process that has run out of descriptors for real. The limit is the process's, so nothing runs beside these.</summary>
[Collection(nameof(Alone))]
public abstract class ShortageTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    // How many descriptors may come and go beside a test. The runtime takes some for a moment, and the poller of an earlier test gives its
    // own back when its threads end.
    private const int OfOthers = 8;

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_listener_without_descriptors_waits_and_serves_on_when_they_are_back(NetpollDispatch dispatch, bool blocking)
    {
        const int Free = 4;
        const int Clients = Free + OfOthers + 4; // More than there are descriptors.
        CapturingLogger log = new();
        using Netpoller poller = new(TBackend.Factory, new NetpollerOptions { Dispatch = dispatch, LoggerFactory = log });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(Raw.AnyLoopbackPort);
        TcpConn[] clients = [.. Enumerable.Range(0, Clients).Select(_ => net.DialTcp((IPEndPoint)listener.LocalEndPoint))];
        Dictionary<EndPoint, TcpConn> clientOf = clients.ToDictionary(static c => (EndPoint)c.LocalEndPoint);
        List<Conn> served = [await listener.StartAccept(blocking).Within()];
        await PlayAllAsync();

        Channel<Conn> accepted = Channel.CreateUnbounded<Conn>();
        TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task accepting = Operation.Run(blocking, AcceptAsync);
        using (DescriptorLimit.Leaving(DescriptorReserve.Size + Free))
        {
            go.SetResult();
            await log.Logged.Within();
            while (accepted.Reader.TryRead(out Conn? conn)) served.Add(conn);
            Assert.InRange(served.Count, 1, 1 + Free + OfOthers);
            for (int i = 0; i < 20; i++) await PlayAllAsync();
            Assert.False(accepting.IsCompleted);
        }
        await accepting.Within();
        while (accepted.Reader.TryRead(out Conn? conn)) served.Add(conn);
        await PlayAllAsync();
        Assert.Equal(clientOf.Keys.ToHashSet(), served.Select(static s => s.RemoteEndPoint).ToHashSet());
        foreach (Conn conn in (Conn[])[.. clients, .. served]) conn.Dispose();
        Assert.Single(log.Entries);

        async Task PlayAllAsync()
        {
            foreach (Conn server in served) await PlayAsync(clientOf[server.RemoteEndPoint], server).Within();
        }

        async Task AcceptAsync()
        {
            await go.Task.ConfigureAwait(false);
            for (int i = 1; i < Clients; i++)
            {
                Conn conn = blocking ? listener.Accept() : await listener.AcceptAsync().ConfigureAwait(false);
                Assert.True(accepted.Writer.TryWrite(conn));
            }
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Listeners_dials_and_accepts_leave_the_last_descriptors_to_the_runtime(NetpollDispatch dispatch, bool blocking)
    {
        const int Free = 3;
        CapturingLogger log = new();
        using Fixture fixture = new(dispatch, log: log);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        TcpConn[] clients = [.. Enumerable.Range(0, Free + OfOthers + 2).Select(_ => fixture.Net.DialTcp(listener.LocalEndPoint))];
        List<Conn> served = [];
        Operation<Conn> accepting;
        using (DescriptorLimit.Leaving(DescriptorReserve.Size + Free))
        {
            accepting = listener.StartAccept(blocking);
            while (await Task.WhenAny(accepting.Task, log.Logged) == accepting.Task)
            {
                served.Add(await accepting.Task);
                accepting = listener.StartAccept(blocking);
            }
            Assert.InRange(served.Count, 1, Free + OfOthers);

            NetOpException e = await RefusedAsync(() => fixture.Net.StartDial(blocking, listener.LocalEndPoint).Within());
            Assert.Equal((SocketError.TooManyOpenSockets, "dial"), (e.SocketErrorCode, e.Operation));
            Assert.EndsWith(DescriptorReserve.Expected, e.Message, StringComparison.Ordinal);
            e = await RefusedAsync(() => Task.FromResult(fixture.Net.ListenTcp(Raw.AnyLoopbackPort)));
            Assert.Equal((SocketError.TooManyOpenSockets, "listen"), (e.SocketErrorCode, e.Operation));
            AssertReserveIsLeft();

            // One below the reserve that is free again serves one client more, as does each that others give back meanwhile.
            served[0].Dispose();
            do
            {
                served.Add(await accepting.Within());
                accepting = listener.StartAccept(blocking);
            }
            while (!accepting.Waits());
            Assert.InRange(served.Count, 2, 1 + Free + OfOthers);
            AssertReserveIsLeft();
        }
        served.Add(await accepting.Within());
        foreach (Conn conn in (Conn[])[.. clients, .. served]) conn.Dispose();

        static void AssertReserveIsLeft() =>
            Assert.InRange(DescriptorLimit.CountFree(), DescriptorReserve.Size - OfOthers, DescriptorReserve.Size + OfOthers);
    }

    [Fact]
    public async Task A_listener_takes_one_descriptor_and_gives_it_back()
    {
        using Fixture fixture = new();
        await fixture.PairAsync(); // The poller's own descriptors.
        HashSet<string> before = OpenSockets.Names();
        TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Assert.Single(OpenSockets.Since(before));
        listener.Dispose();
        Assert.Empty(OpenSockets.Since(before));
        using (DescriptorLimit.Leaving(DescriptorReserve.Size))
        {
            await RefusedAsync(() => Task.FromResult(fixture.Net.ListenTcp(Raw.AnyLoopbackPort)));
        }
        Assert.Empty(OpenSockets.Since(before));
    }

    [Fact]
    public async Task A_handler_that_blocks_while_no_thread_can_be_started_holds_up_the_others_only_until_one_can()
    {
        const int Blockers = 8; // More than the loop has idle threads.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] blockers = await Task.WhenAll(Enumerable.Range(0, Blockers).Select(_ => fixture.PairAsync()));
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        await PlayAsync(client, server).Within();
        using ManualResetEventSlim release = new();
        Task[] handlers = [.. blockers.Select(pair => BlockAsync(pair.Server))];

        LoopThreads threads = fixture.Poller.Loops[0].Threads;
        Action<Thread> start = threads.StartThread;
        TaskCompletionSource refused = new(TaskCreationOptions.RunContinuationsAsynchronously);
        threads.StartThread = _ =>
        {
            refused.TrySetResult();
            throw new InsufficientMemoryException(); // The OutOfMemoryException of .NET when fewer than four descriptors are free.
        };
        foreach ((TcpConn blocker, TcpConn _) in blockers) blocker.WriteByte(1);
        await refused.Task.Within();
        threads.StartThread = start;

        await PlayAsync(client, server).Within();
        Assert.All(handlers, static h => Assert.False(h.IsCompleted));
        release.Set();
        await Task.WhenAll(handlers).Within();

        async Task BlockAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            release.Wait();
        }
    }

    // Others give back the descriptors that they took for a moment, so an attempt or two may still find one. Each keeps what it found.
    private static async Task<NetOpException> RefusedAsync<T>(Func<Task<T>> take) where T : IDisposable
    {
        List<T> taken = [];
        try
        {
            while (taken.Count <= OfOthers) taken.Add(await take());
            throw new InvalidOperationException($"{taken.Count} descriptors came out of the reserve");
        }
        catch (NetOpException e)
        {
            return e;
        }
        finally
        {
            foreach (T one in taken) one.Dispose();
        }
    }

    private static async Task PlayAsync(Conn client, Conn server)
    {
        byte[] buffer = new byte[8];
        await client.WriteAsync(new byte[] { 1, 2 }).ConfigureAwait(false);
        Assert.Equal(2, await server.ReadAsync(buffer).ConfigureAwait(false));
    }
}
