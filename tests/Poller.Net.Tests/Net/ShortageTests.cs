using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Poller.Epoll;

namespace Poller.Net.Tests;

/// <summary>A process that has run out of descriptors for real. The limit is the process's, so nothing runs beside these.</summary>
[Collection(nameof(Alone))]
public sealed class ShortageTests
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_listener_without_descriptors_waits_and_serves_on_when_they_are_back(NetpollDispatch dispatch, bool blocking)
    {
        const int Waiting = 3;
        CapturingLogger log = new();
        using Netpoller poller = new(new EpollNetpollFactory(), new NetpollerOptions { Dispatch = dispatch, LoggerFactory = log });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(Raw.AnyLoopbackPort);
        using TcpConn client = net.DialTcp((IPEndPoint)listener.LocalEndPoint);
        using Conn server = await listener.StartAccept(blocking).Within();
        Play(client, server);
        Refused(net, listener); // Once before, so that what it needs is loaded: that takes descriptors, as the start of a thread does.
        TcpConn[] waiting = [.. Enumerable.Range(0, Waiting).Select(_ => net.DialTcp((IPEndPoint)listener.LocalEndPoint))];
        using ManualResetEventSlim go = new();
        Operation<Conn>? accepting = blocking ? new(() => { go.Wait(); return listener.Accept(); }) : null;
        accepting?.Waiting();

        using (new NoDescriptors())
        {
            go.Set();
            accepting ??= listener.StartAccept(blocking);
            Assert.True(SpinWait.SpinUntil(() => log.Logged.IsCompleted, Fixture.Patience));
            for (int i = 0; i < 20; i++) Play(client, server);
            accepting.Waiting();
            Assert.Equal(SocketError.TooManyOpenSockets, Assert.Throws<NetOpException>(() => net.DialTcp((IPEndPoint)listener.LocalEndPoint)).SocketErrorCode);
            Assert.Equal(SocketError.TooManyOpenSockets, Assert.Throws<NetOpException>(() => net.Listen("tcp", ":0")).SocketErrorCode);
        }

        HashSet<EndPoint> served = [];
        for (int i = 0; i < Waiting; i++)
        {
            using Conn late = await (i == 0 ? accepting : listener.StartAccept(blocking)).Within();
            served.Add(late.RemoteEndPoint);
            Play(waiting.First(w => w.LocalEndPoint.Equals(late.RemoteEndPoint)), late);
        }
        Assert.Equal(waiting.Select(static w => w.LocalEndPoint).ToHashSet<EndPoint>(), served);
        Play(client, server);
        foreach (TcpConn conn in waiting) conn.Dispose();
        Assert.Single(log.Entries);
    }

    [Fact]
    public async Task A_handler_that_blocks_while_no_thread_can_be_started_holds_up_the_others_only_until_one_can()
    {
        const int Blockers = 8; // More than the loop has idle threads.
        using Fixture fixture = new();
        (TcpConn Client, TcpConn Server)[] blockers = [.. await Task.WhenAll(Enumerable.Range(0, Blockers).Select(_ => fixture.PairAsync()))];
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Play(client, server);
        using ManualResetEventSlim entered = new();
        using ManualResetEventSlim release = new();
        Task[] handlers = [.. blockers.Select(pair => BlockAsync(pair.Server))];
        using (new NoDescriptors())
        {
            foreach ((TcpConn blocker, TcpConn _) in blockers) blocker.WriteByte(1);
            Assert.True(entered.Wait(Fixture.Patience));
            Thread.Sleep(50); // The monitor looks every millisecond, and nothing tells that it had no thread.
        }
        await Operation.OnOwnThread(() => Play(client, server)).Within();
        Assert.All(handlers, static h => Assert.False(h.IsCompleted));
        release.Set();
        await Task.WhenAll(handlers).Within();

        async Task BlockAsync(TcpConn conn)
        {
            await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            entered.Set();
            release.Wait();
        }
    }

    private static void Play(Conn client, Conn server)
    {
        byte[] buffer = new byte[8];
        client.Write([1, 2]);
        Assert.Equal(2, server.Read(buffer));
    }

    private static void Refused(NetStack net, TcpConnListener listener)
    {
        Assert.Throws<NetOpException>(() => net.ListenTcp((IPEndPoint)listener.LocalEndPoint));
        Assert.Throws<NetOpException>(() => net.DialTcp(new IPEndPoint(IPAddress.Loopback, 1)));
    }

    /// <summary>Lowers the limit to the descriptors that are open, and raises it again.</summary>
    private sealed class NoDescriptors : IDisposable
    {
        private readonly ulong _limit = LibC.DescriptorLimit;

        public NoDescriptors()
        {
            nint lowestFree;
            using (SafeFileHandle probe = Open()) lowestFree = probe.DangerousGetHandle();
            LibC.DescriptorLimit = (ulong)lowestFree;
            Assert.ThrowsAny<IOException>(Open);
        }

        public void Dispose() => LibC.DescriptorLimit = _limit;

        private static SafeFileHandle Open() => File.OpenHandle("/dev/null");
    }
}
