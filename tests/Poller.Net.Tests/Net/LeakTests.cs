using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// What is closed is gone: descriptors, and the places of their descs. The count is the process's, so nothing runs beside these.
/// </summary>
[Collection(nameof(Alone))]
public abstract class LeakTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private const int Dialers = 16;
    private static readonly int DialsEach = TestLength.IsLong ? 1250 : 300;

    [Fact, Trait("Tests", "long")]
    public async Task Thousands_of_connections_leave_no_descriptor()
    {
        using Fixture fixture = new(loops: 2);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        _ = await fixture.PairAsync(); // Now the loops exist, and all that is made on first use.
        HashSet<string> before = OpenSockets.Names();

        Task serving = Task.Run(() => ServeAsync(listener));
        IPEndPoint address = (IPEndPoint)listener.LocalEndPoint;
        await Task.WhenAll(Enumerable.Range(0, Dialers).Select(id => Task.Run(() => DialAsync(fixture.Net, address, id)))).Within();
        await serving.Within();

        Assert.Empty(OpenSockets.Since(before));
        int descs = fixture.Poller.Loops.Sum(static loop => loop.Cache.Snapshot().Length);
        Assert.InRange(descs, 1, 1000); // They are recycled, so there are only as many as were open at once.

        static async Task ServeAsync(TcpConnListener listener)
        {
            List<Task> handlers = [];
            for (int i = 0; i < Dialers * DialsEach; i++)
            {
                TcpConn conn = await listener.AcceptTcpAsync().ConfigureAwait(false);
                Task handler = HandleAsync(conn);
                if (!handler.IsCompletedSuccessfully) handlers.Add(handler);
                if (handlers.Count == 1000) handlers.RemoveAll(static h => h.IsCompletedSuccessfully);
            }
            await Task.WhenAll(handlers).ConfigureAwait(false);
        }

        static async Task HandleAsync(TcpConn conn)
        {
            using (conn)
            {
                try
                {
                    await conn.ReadAsync(new byte[1]).ConfigureAwait(false);
                }
                catch (NetOpException e)
                {
                    Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
                }
            }
        }

        // A reset ends each connection, because it leaves the port free at once. Every second one has a read under way.
        static async Task DialAsync(NetStack net, IPEndPoint remote, int id)
        {
            for (int i = 0; i < DialsEach; i++)
            {
                TcpConn conn = await net.DialTcpAsync(remote).ConfigureAwait(false);
                conn.LingerState = new LingerOption(true, 0);
                ValueTask<int> read = (i + id) % 2 == 0 ? conn.ReadAsync(new byte[1]) : ValueTask.FromResult(0);
                conn.Dispose();
                try
                {
                    await read.ConfigureAwait(false);
                }
                catch (NetOpException e)
                {
                    Assert.True(e.IsClosed, e.Message);
                }
            }
        }
    }

    [Fact]
    public async Task What_fails_leaves_no_descriptor()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);

        using Socket silent = Raw.Bind();
        IPEndPoint closed = (IPEndPoint)silent.LocalEndPoint!;
        using Socket full = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(Raw.AnyLoopbackPort);
        full.Listen(0);
        using Socket only = await Raw.ConnectAsync(full.LocalEndPoint!);
        HashSet<string> before = OpenSockets.Names();
        for (int i = 0; i < 200; i++)
        {
            await Assert.ThrowsAsync<NetOpException>(() => fixture.Net.DialTcpAsync(closed).Within());
            Assert.Throws<NetOpException>(() => fixture.Net.DialTcp(closed));
            Assert.Throws<NetOpException>(() => fixture.Net.ListenTcp((IPEndPoint)listener.LocalEndPoint));
            Assert.Throws<NetOpException>(() => fixture.Net.Listen("tcp", "203.0.113.1:0"));
            using CancellationTokenSource cancel = new();
            Task<TcpConn> dial = fixture.Net.DialTcpAsync((IPEndPoint)full.LocalEndPoint!, cancel.Token).AsTask();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => dial.Within());
        }
        Assert.Empty(OpenSockets.Since(before));

        // One poller ends before its first use, and one after it.
        using Fixture unused = new();
        unused.Poller.Dispose();
        Assert.Throws<ObjectDisposedException>(() => unused.Net.ListenTcp(Raw.AnyLoopbackPort));
        Assert.Throws<ObjectDisposedException>(() => unused.Net.DialTcp((IPEndPoint)listener.LocalEndPoint));
        Assert.Empty(OpenSockets.Since(before));
        fixture.Poller.Dispose();
        Assert.Throws<ObjectDisposedException>(() => fixture.Net.ListenTcp(Raw.AnyLoopbackPort));
        Assert.Throws<ObjectDisposedException>(() => fixture.Net.DialTcp((IPEndPoint)listener.LocalEndPoint));
        Assert.Empty(OpenSockets.Since(before));
    }

    [Fact]
    public void The_timers_of_descriptors_that_are_closed_leave_no_memory()
    {
        PollTimers timers = new();
        PollDesc[] descs = new PollDesc[100_000];
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int i = 0; i < descs.Length; i++)
        {
            descs[i] = new PollDesc((uint)i);
            descs[i].Open(3);
            timers.SetDeadline(descs[i], PollMode.Read, 1_000_000 - i, out _, out _);
        }
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, descs.Length * 24L, long.MaxValue);
        foreach (PollDesc desc in descs) timers.Evict(desc, out _, out _);
        Array.Clear(descs);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 500_000);
        Assert.Equal(PollTimers.Never, timers.Next);
    }

    [Fact]
    public async Task A_connection_that_was_dropped_is_closed_by_its_finalizer()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using TcpConn server = DialAndDrop(fixture.Net, listener);
        Task<int> end = server.ReadAsync(new byte[1]).AsTask();
        Assert.True(CollectUntil(() => end.IsCompleted), "the peer of a connection that was dropped saw no end.");
        Assert.Equal(0, await end);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static TcpConn DialAndDrop(NetStack net, TcpConnListener listener)
        {
            TcpConn client = net.DialTcp((IPEndPoint)listener.LocalEndPoint);
            TcpConn server = listener.AcceptTcp();

            // The connection has all that is made on first use, and a deadline for which nobody will wait.
            client.SetDeadline(DateTimeOffset.UtcNow.AddHours(1));
            server.WriteByte(1);
            Assert.Equal(1, client.ReadAsync(new byte[8]).AsTask().GetAwaiter().GetResult());
            ValueTask<int> read = client.ReadAsync(new byte[8]);
            server.WriteByte(1);
            Assert.Equal(1, read.AsTask().GetAwaiter().GetResult());
            return server;
        }
    }

    [Fact]
    public void A_listener_that_was_dropped_is_closed_by_its_finalizer()
    {
        using Fixture fixture = new();
        IPEndPoint address = ListenAndDrop(fixture.Net);
        Assert.True(CollectUntil(() => Refuses(address)), "a listener that was dropped still took connections.");

        [MethodImpl(MethodImplOptions.NoInlining)]
        static IPEndPoint ListenAndDrop(NetStack net) => (IPEndPoint)net.ListenTcp(Raw.AnyLoopbackPort).LocalEndPoint;

        static bool Refuses(IPEndPoint address)
        {
            using Socket client = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                client.Connect(address);
                return false;
            }
            catch (SocketException e)
            {
                Assert.Equal(SocketError.ConnectionRefused, e.SocketErrorCode);
                return true;
            }
        }
    }

    private static bool CollectUntil(Func<bool> done) => SpinWait.SpinUntil(() =>
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return done();
    }, Fixture.Patience);
}
