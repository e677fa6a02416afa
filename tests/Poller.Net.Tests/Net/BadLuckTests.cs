using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>What the system answers once in a blue moon: signals, shortages, connections that died in the queue.</summary>
public abstract class BadLuckTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_accept_goes_on_after_a_signal_and_a_connection_that_was_aborted(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        rig.Api.Accepts.Enqueue(Errno.EINTR);
        rig.Api.Accepts.Enqueue(Errno.ECONNABORTED);
        rig.Api.Accepts.Enqueue(Errno.EINTR);
        Operation<Conn> accepting = rig.Listener.StartAccept(blocking).Waiting();
        rig.Api.Accepts.Enqueue(Errno.ECONNABORTED);
        using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        using Conn server = await accepting.Within();
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        Assert.Equal(4, rig.Api.FaultyAccepts);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_accept_goes_on_after_an_error_that_was_pending_on_the_new_socket(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        Errno[] errors =
        [
            Errno.EPROTO, Errno.ENOPROTOOPT, Errno.EOPNOTSUPP,
            Errno.ENETDOWN, Errno.ENETUNREACH, Errno.ENONET,
            Errno.EHOSTDOWN, Errno.EHOSTUNREACH,
            Errno.ECONNABORTED, Errno.ECONNRESET, Errno.ETIMEDOUT,
        ];
        foreach (Errno error in errors)
        {
            rig.Api.Accepts.Enqueue(error);
            using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
            using Conn server = await rig.Listener.StartAccept(blocking).Within();
            Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        }
        Assert.Equal(errors.Length, rig.Api.FaultyAccepts);
        Assert.Empty(rig.Log.Entries);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Reads_and_writes_go_on_after_signals_and_spurious_readiness(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        using Conn server = await rig.Listener.StartAccept(blocking).Within();
        byte[] buffer = new byte[8];

        rig.Api.Receives.Enqueue(Errno.EINTR);
        rig.Api.Receives.Enqueue(Errno.EINTR);
        Operation<int> reading = server.StartRead(blocking, buffer).Waiting();
        rig.Api.Receives.Enqueue(Errno.EINTR);
        client.Send([1]);
        Assert.Equal(1, await reading.Within());

        rig.Api.Sends.Enqueue(Errno.EINTR);
        rig.Api.MaxSend = 3; // A kernel whose buffer is almost full takes as little.
        await server.WriteAsync(blocking, new byte[] { 1, 2, 3, 4, 5, 6, 7, 8 });
        Assert.Equal(8, await client.ReceiveAsync(new byte[16]).Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_error_of_the_system_is_told_by_its_code(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        using Conn server = await rig.Listener.StartAccept(blocking).Within();
        (Errno Errno, SocketError Code)[] errors =
        [
            (Errno.ETIMEDOUT, SocketError.TimedOut),
            (Errno.EHOSTUNREACH, SocketError.HostUnreachable),
            (Errno.ENOBUFS, SocketError.NoBufferSpaceAvailable),
            (new Errno(999), SocketError.SocketError),
        ];
        foreach ((Errno errno, SocketError code) in errors)
        {
            rig.Api.Receives.Enqueue(errno);
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(blocking, new byte[1]));
            Assert.Equal(code, e.SocketErrorCode);
            Assert.False(e.IsTimeout || e.IsClosed); // TCP's own time-out is no deadline, because the connection is gone.
            rig.Api.Sends.Enqueue(errno);
            e = await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(blocking, new byte[1]));
            Assert.Equal((code, "write"), (e.SocketErrorCode, e.Operation));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_connect_that_a_signal_interrupts_goes_on_behind_it(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        foreach (Errno errno in (Errno[])[Errno.EINTR, Errno.EALREADY, Errno.EINPROGRESS])
        {
            rig.Api.Connects.Enqueue(errno);
            using TcpConn conn = await rig.StartDial(blocking).Within();
            Assert.Equal(rig.Listener.LocalEndPoint, conn.RemoteEndPoint);
        }
        rig.Api.Connects.Enqueue(Errno.ENETUNREACH);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => rig.StartDial(blocking).Within());
        Assert.Equal((SocketError.NetworkUnreachable, "dial"), (e.SocketErrorCode, e.Operation));
        rig.Api.Sockets.Enqueue(Errno.EMFILE);
        e = await Assert.ThrowsAsync<NetOpException>(() => rig.StartDial(blocking).Within());
        Assert.Equal((SocketError.TooManyOpenSockets, "dial"), (e.SocketErrorCode, e.Operation));
        Assert.Equal(rig.Listener.LocalEndPoint, e.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_dial_that_meets_itself_is_tried_again_twice(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        rig.Api.SelfConnects = 2;
        using TcpConn client = await rig.StartDial(blocking).Within();
        Assert.NotEqual(client.LocalEndPoint, client.RemoteEndPoint);
        Assert.Equal((3, 2), (rig.Api.ConnectCount, rig.Api.CloseCount));
        foreach (bool closed in (bool[])[true, true, false])
        {
            using TcpConn server = await rig.Listener.AcceptTcpAsync().Within();
            if (closed) Assert.Equal(0, await server.ReadAsync(new byte[1]).Within());
            else Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        }

        // The user gets the third error, whichever operation met it.
        (rig.Api.ConnectCount, rig.Api.CloseCount) = (0, 0);
        rig.Api.SelfConnects = 3;
        using TcpConn self = await rig.StartDial(blocking).Within();
        Assert.Equal(self.LocalEndPoint, self.RemoteEndPoint);
        Assert.Equal((3, 2), (rig.Api.ConnectCount, rig.Api.CloseCount));
        await self.WriteAsync(blocking, new byte[1]);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_shortage_is_waited_out_and_logged_once(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        Errno[] shortages = [Errno.EMFILE, Errno.EMFILE, Errno.ENFILE, Errno.ENOBUFS, Errno.ENOMEM];
        foreach (Errno errno in shortages) rig.Api.Accepts.Enqueue(errno);
        using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint); // The queue is never empty in this shortage.
        Operation<Conn> accepting = rig.Listener.StartAccept(blocking);
        using (Conn server = await accepting.Within()) Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        Assert.Equal(5, rig.Api.FaultyAccepts);
        await rig.Log.NextAsync();
        (LogLevel level, string text, Exception? _) = Assert.Single(rig.Log.Entries);
        Assert.Equal(LogLevel.Warning, level);
        string reason = Errno.EMFILE.Message;
        Assert.StartsWith($"accept tcp {rig.Listener.LocalEndPoint}: {reason}", text, StringComparison.Ordinal);

        // While a connection is still in the queue, the shortage is the same one.
        using Socket second = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        rig.Api.Accepts.Enqueue(Errno.EMFILE);
        (await rig.Listener.StartAccept(blocking).Within()).Dispose();
        Assert.Single(rig.Log.Entries);

        // After the queue was empty, it is another shortage.
        accepting = rig.Listener.StartAccept(blocking).Waiting();
        rig.Api.Accepts.Enqueue(Errno.EMFILE);
        using Socket third = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        (await accepting.Within()).Dispose();
        await rig.Log.NextAsync();
        Assert.Equal(2, rig.Log.Entries.Count);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_pauses_of_a_shortage_are_doubled_up_to_a_second(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Rig rig = new(dispatch, clock);
        (TcpConn, TcpConn) other = await rig.Fixture.PairAsync();
        rig.Api.EveryAccept = Errno.EMFILE;
        Operation<Conn> accepting = rig.Listener.StartAccept(blocking);
        int accepts = 0;
        foreach (int milliseconds in (int[])[5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000])
        {
            TimeSpan pause = TimeSpan.FromMilliseconds(milliseconds);
            Assert.Equal(pause, rig.NextPause());
            Assert.Equal(++accepts, Volatile.Read(ref rig.Api.FaultyAccepts));
            clock.Advance(pause - TimeSpan.FromTicks(1));
            await Fixture.PassAsync(other);
            await Fixture.PassAsync(other);
            Assert.Equal(accepts, Volatile.Read(ref rig.Api.FaultyAccepts));
            clock.Advance(TimeSpan.FromTicks(1));
            await Fixture.PassAsync(other);
        }
        TimeSpan last = rig.NextPause();
        rig.Api.EveryAccept = Errno.None;
        using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        clock.Advance(last);
        using Conn server = await accepting.Within();
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_ends_an_accept_in_a_shortage(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Rig rig = new(dispatch, clock);
        rig.Api.EveryAccept = Errno.EMFILE;
        rig.Listener.SetDeadline(clock.GetUtcNow() + TimeSpan.FromMilliseconds(8));
        Operation<Conn> accepting = rig.Listener.StartAccept(blocking);
        foreach ((int pause, int advance) in ((int, int)[])[(5, 5), (10, 3)])
        {
            Assert.Equal(TimeSpan.FromMilliseconds(pause), rig.NextPause());
            clock.Advance(TimeSpan.FromMilliseconds(advance));
        }
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(accepting.Within);
        Assert.True(e.IsTimeout, e.Message);
        Assert.Equal(2, rig.Api.FaultyAccepts);
        await rig.Log.NextAsync();
        Assert.Single(rig.Log.Entries);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_that_is_set_during_a_pause_ends_it(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Rig rig = new(dispatch, clock);
        rig.Api.EveryAccept = Errno.EMFILE;
        foreach (TimeSpan left in (TimeSpan[])[TimeSpan.Zero, TimeSpan.FromMilliseconds(1)])
        {
            Operation<Conn> accepting = rig.Listener.StartAccept(blocking);
            Assert.True(rig.NextPause() > left);
            rig.Listener.SetDeadline(left);
            clock.Advance(left);
            Assert.True((await Assert.ThrowsAsync<NetOpException>(accepting.Within)).IsTimeout);
            rig.Listener.SetDeadline(Timeout.InfiniteTimeSpan);
        }
    }

    // The clock stands still, so nothing else ends the pause.
    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_cancellation_ends_an_accept_that_pauses(NetpollDispatch dispatch)
    {
        using Rig rig = new(dispatch, new FakeTimeProvider());
        rig.Api.EveryAccept = Errno.EMFILE;
        using CancellationTokenSource cancel = new();
        Task<Conn> accepting = rig.Listener.AcceptAsync(cancel.Token).AsTask();
        rig.NextPause();
        await cancel.CancelAsync();
        Assert.Equal(cancel.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.Within())).CancellationToken);
    }

    // The accept runs on the loop's thread, which therefore does not get to the deadline by itself.
    [Fact]
    public async Task A_deadline_that_passed_unnoticed_ends_an_accept_in_a_shortage()
    {
        FakeTimeProvider clock = new();
        using Rig rig = new(NetpollDispatch.Inline, clock);
        (TcpConn client, TcpConn server) = await rig.Fixture.PairAsync();
        rig.Api.EveryAccept = Errno.EMFILE;
        Task accepting = AcceptAsync();
        client.Write([1]);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => accepting.Within())).IsTimeout);
        await Task.Yield();

        async Task AcceptAsync()
        {
            await server.ReadAsync(new byte[1]).ConfigureAwait(false);
            rig.Listener.SetDeadline(clock.GetUtcNow() + TimeSpan.FromSeconds(1));
            clock.Advance(TimeSpan.FromSeconds(2));
            (await rig.Listener.AcceptAsync().ConfigureAwait(false)).Dispose();
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public void A_host_without_IPv4_listens(NetpollDispatch dispatch)
    {
        FaultySocketApi api = new() { NoIPv4 = true };
        using Fixture fixture = new(dispatch, api: api);
        using ConnListener listener = fixture.Net.Listen("tcp6", "[::1]:0");
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_close_ends_an_accept_in_a_shortage(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        rig.Api.EveryAccept = Errno.EMFILE;
        Operation<Conn> accepting = rig.Listener.StartAccept(blocking);
        await rig.Log.Logged.Within();
        Operation<Conn> queued = rig.Listener.StartAccept(blocking).Waiting();
        rig.Listener.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(accepting.Within)).IsClosed);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(queued.Within)).IsClosed);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_an_accept_in_a_shortage(NetpollDispatch dispatch)
    {
        using Rig rig = new(dispatch);
        using CancellationTokenSource cancel = new();
        rig.Api.EveryAccept = Errno.ENFILE;
        Task<TcpConn> accepting = rig.Listener.AcceptTcpAsync(cancel.Token).AsTask();
        await rig.Log.Logged.Within();
        await cancel.CancelAsync();
        Assert.Equal(cancel.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.Within())).CancellationToken);
        rig.Api.EveryAccept = Errno.None;
        using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        using TcpConn server = await rig.Listener.AcceptTcpAsync().Within();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_poller_that_is_full_costs_the_new_connections_and_not_the_listener(NetpollDispatch dispatch, bool blocking)
    {
        FullPoll.Factory full = new(TBackend.Factory);
        CapturingLogger log = new();
        using Netpoller poller = new(full, new NetpollerOptions { Dispatch = dispatch, LoggerFactory = log });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(Raw.AnyLoopbackPort);
        using Socket lost = await Raw.ConnectAsync(listener.LocalEndPoint);
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
        full.Refusals = 1;
        using Conn server = await listener.StartAccept(blocking).Within();
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        Assert.Equal(0, await lost.ReceiveAsync(new byte[1]).Within());
        await log.NextAsync();
        Assert.Single(log.Entries);

        full.Refusals = 1;
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => net.StartDial(blocking, listener.LocalEndPoint).Within());
        Assert.Equal(("dial", listener.LocalEndPoint), (e.Operation, e.RemoteEndPoint));
        full.Refusals = 1;
        Assert.Equal("listen", Assert.Throws<NetOpException>(() => net.ListenTcp(Raw.AnyLoopbackPort)).Operation);
        await server.WriteAsync(blocking, new byte[] { 1 });
        Assert.Equal(1, await client.ReceiveAsync(new byte[8]).Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_poller_that_is_full_does_not_empty_the_backlog_of_a_listener_with_a_limit(NetpollDispatch dispatch, bool blocking)
    {
        const int Clients = 6;
        FullPoll.Factory full = new(TBackend.Factory);
        CapturingLogger log = new();
        FakeTimeProvider clock = new();
        using Netpoller poller = new(full, new NetpollerOptions { Dispatch = dispatch, LoggerFactory = log, TimeProvider = clock });
        using TcpConnListener listener = new NetStack(poller).ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { MaxConnections = 1 });
        List<Socket> clients = [];
        try
        {
            while (clients.Count < Clients) clients.Add(await Raw.ConnectAsync(listener.LocalEndPoint));
            full.Refusals = Clients;
            Operation<Conn> accepting = listener.StartAccept(blocking);
            await log.NextAsync();
            accepting.Waiting();
            Assert.Equal(Clients - 1, Volatile.Read(ref full.Refusals)); // One is lost. The next try comes after the pause.

            full.Refusals = 0;
            clock.Advance(TimeSpan.FromMilliseconds(5));
            using Conn server = await accepting.Within();
            Assert.Equal(clients[1].LocalEndPoint, server.RemoteEndPoint);
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_listener_that_is_closed_in_a_shortage_ends_its_accept_as_any_close_does(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        rig.Log.OnLog = () => Operation.OnOwnThread(rig.Listener.Dispose).Wait(Fixture.Patience);
        rig.Api.Accepts.Enqueue(Errno.EMFILE);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => rig.Listener.StartAccept(blocking).Within());
        Assert.True(e.IsClosed);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_accept_whose_poller_is_disposed_meanwhile_ends_as_by_a_close(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        int closed = rig.Api.CloseCount;
        rig.Api.Accepted = rig.Fixture.Poller.Dispose;
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => rig.Listener.StartAccept(blocking).Within());
        Assert.True(e.IsClosed);
        Assert.Equal(closed + 1, rig.Api.CloseCount);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_accept_that_the_system_refuses_for_good_fails_and_the_next_may_succeed(NetpollDispatch dispatch, bool blocking)
    {
        using Rig rig = new(dispatch);
        rig.Api.Accepts.Enqueue(Errno.EPERM); // A firewall's rule (accept(2)).
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => rig.Listener.StartAccept(blocking).Within());
        Assert.Equal((SocketError.AccessDenied, "accept"), (e.SocketErrorCode, e.Operation));
        using Socket client = await Raw.ConnectAsync(rig.Listener.LocalEndPoint);
        (await rig.Listener.StartAccept(blocking).Within()).Dispose();
        Assert.Empty(rig.Log.Entries);
    }

    /// <summary>A listener, what it accepts and what dials it, over socket calls that can be told to fail.</summary>
    private sealed class Rig : IDisposable
    {
        private readonly PollDesc _desc;
        private long _pauseEnd;

        public Rig(NetpollDispatch dispatch, TimeProvider? clock = null)
        {
            Fixture = new Fixture(dispatch, clock: clock, api: Api, log: Log);
            Listener = Fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
            _desc = Fixture.Poller.Loops[0].Cache.Snapshot()[0];
        }

        public Fixture Fixture { get; }

        public FaultySocketApi Api { get; } = new();

        public CapturingLogger Log { get; } = new();

        public TcpConnListener Listener { get; }

        private long PauseEnd => _desc.Deadlines?.TimeoutOf(Direction.Write) ?? PollDeadlines.None;

        public Operation<TcpConn> StartDial(bool blocking) => Fixture.Net.StartDial(blocking, Listener.LocalEndPoint);

        /// <summary>Comes back once the accept pauses again, and says how long.</summary>
        public TimeSpan NextPause()
        {
            // An accept pauses by the time-out of the listener's write side.
            bool paused = SpinWait.SpinUntil(() => PauseEnd > _pauseEnd, Fixture.Patience);
            Assert.True(paused, $"no pause came after {Volatile.Read(ref Api.FaultyAccepts)} accepts.");
            _pauseEnd = PauseEnd;
            return TimeSpan.FromTicks((_pauseEnd - Fixture.Poller.Loops[0].Clock.Now) / TimeSpan.NanosecondsPerTick);
        }

        public void Dispose()
        {
            Listener.Dispose();
            Fixture.Dispose();
        }
    }
}
