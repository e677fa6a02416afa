using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>A backend that throws: nobody waits for ever, nothing leaks, and the other loops go on. And one that hides a hang-up.</summary>
public sealed class BackendFailureTests : IDisposable
{
    private readonly FaultyNetpollFactory _backend = new();
    private readonly CapturingLogger _log = new();
    private readonly List<Conn> _conns = [];
    private Netpoller? _poller;
    private NetStack? _net;

    public static TheoryData<NetpollDispatch> Dispatches => [NetpollDispatch.Adaptive, NetpollDispatch.Inline, NetpollDispatch.ThreadPool];

    public void Dispose()
    {
        _poller?.Dispose();
        foreach (Conn conn in _conns) conn.Dispose();

        // A loop that could not be woken ends when its poll returns.
        foreach (FaultyNetpoll poll in _backend.Made)
        {
            if (poll.FailsBreak && !poll.IsDisposed) poll.Inner.Break();
        }
    }

    [Theory]
    [MemberData(nameof(Dispatches))]
    public async Task A_poll_that_throws_ends_its_loop_with_the_reason_and_no_other(NetpollDispatch dispatch)
    {
        Start(dispatch, loops: 2);
        List<(TcpConn Client, TcpConn Server)> pairs = [await PairAsync(), await PairAsync(), await PairAsync()];
        FaultyNetpoll failing = _backend.Made.First();
        List<TcpConn> ends = [.. pairs.SelectMany(static pair => new[] { pair.Client, pair.Server })];
        List<Task<int>> reads = [.. ends.Select(static end => end.ReadAsync(new byte[1]).AsTask())];
        failing.FailsPoll = true;
        failing.Break();
        await _log.Logged.WaitAsync(Fixture.Patience);
        Assert.Same(_backend.Fault, _log.Exception);
        Assert.Contains("the loop ends", _log.Entries.First().Text, StringComparison.Ordinal);
        await UntilAsync(() => failing.IsDisposed);

        // The waits were ended before the backend was disposed, and their continuations are on their way.
        Task<int>[] failed = [.. reads.Where((_, i) => Raw.LoopOf(ends[i]) == _poller!.Loops[0])];
        Assert.NotEmpty(failed);
        foreach (Task<int> read in failed)
        {
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => read.WaitAsync(Fixture.Patience));
            Assert.Same(_backend.Fault, e.InnerException);
            Assert.False(e.IsClosed);
            Assert.Contains("its poller has failed: a fault of the backend", e.Message, StringComparison.Ordinal);
        }
        Assert.All(reads.Except(failed), static read => Assert.False(read.IsCompleted));
        Assert.False(_backend.Made.Last().IsDisposed);

        // The other loop serves what is opened from now on.
        for (int i = 0; i < 3; i++)
        {
            (TcpConn client, TcpConn server) = await PairAsync();
            ValueTask<int> read = server.ReadAsync(new byte[1]);
            await client.WriteAsync(new byte[1]); // A blocking write is refused on the loop's own thread, where this may go on.
            Assert.Equal(1, await read.Within());
        }
        await Assert.ThrowsAsync<NetOpException>(async () => await ends[reads.IndexOf(failed[0])].ReadAsync(new byte[1]));
    }

    [Fact]
    public async Task When_every_loop_has_failed_nothing_is_opened_any_more()
    {
        Start(NetpollDispatch.Adaptive, loops: 2);
        using TcpConnListener listener = _net!.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        foreach (FaultyNetpoll poll in _backend.Made)
        {
            poll.FailsPoll = true;
            poll.Break();
        }
        await UntilAsync(() => _backend.Made.All(static poll => poll.IsDisposed));
        IOException e = await Assert.ThrowsAsync<IOException>(async () => await _net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint));
        Assert.Contains("every loop", e.Message, StringComparison.Ordinal);
        Assert.Same(_backend.Fault, e.InnerException);
        await Assert.ThrowsAsync<NetOpException>(async () => await listener.AcceptAsync());
    }

    // The loops start at first use, whichever that is.
    [Fact]
    public void A_backend_that_cannot_start_fails_each_first_use_with_the_reason()
    {
        _backend.InitFault = new NetpollException("epoll_create1", Errno.EMFILE);
        _poller = new Netpoller(_backend, new NetpollerOptions { Loops = 2, LoggerFactory = _log });
        _net = new NetStack(_poller);
        IPEndPoint any = new(IPAddress.Loopback, 0);
        Func<object>[] uses =
        [
            () => _net.ListenPerLoop("tcp", "127.0.0.1:0"),
            () => _net.ListenTcp(any),
            () => _net.ListenUdp(any),
            () => _net.DialUdp(new IPEndPoint(IPAddress.Loopback, 9)),
        ];
        Assert.All(uses, static use =>
        {
            NetOpException e = Assert.Throws<NetOpException>(use);
            Assert.Equal(SocketError.TooManyOpenSockets, e.SocketErrorCode);
            Assert.Contains("epoll_create1", e.Message, StringComparison.Ordinal);
        });
        _backend.InitFault = null;
        foreach (TcpConnListener listener in _net.ListenPerLoop("tcp", "127.0.0.1:0")) listener.Dispose();
    }

    // While a peer resets a connection, a poll may see its error before its hang-up.
    [Theory]
    [MemberData(nameof(Dispatches))]
    public async Task After_a_report_of_an_error_alone_a_read_says_what_the_socket_says(NetpollDispatch dispatch)
    {
        Start(dispatch);
        _backend.Made.Single().HidesHangups = true;
        (TcpConn client, TcpConn server) = await PairAsync();
        ValueTask<int> reading = server.ReadAsync(new byte[1]);
        client.LingerState = new LingerOption(true, 0);
        client.Dispose();

        NetOpException reset = await Assert.ThrowsAsync<NetOpException>(() => reading.Within());
        Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
        Assert.Equal(0, await server.ReadAsync(new byte[1]).Within());
    }

    // Thread-pool dispatch: the open waits for the end of a loop, whose thread it must not hold up.
    [Theory]
    [InlineData("listen")]
    [InlineData("dial")]
    [InlineData("accept")]
    public async Task A_descriptor_whose_loop_fails_as_it_is_opened_goes_to_the_next(string operation)
    {
        Start(NetpollDispatch.ThreadPool, loops: 4);
        FaultyNetpoll[] polls = [.. _backend.Made];
        using TcpConnListener listener = _net!.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0)); // On the first loop.
        using Socket client = await Raw.ConnectAsync(listener.LocalEndPoint);
        foreach (FaultyNetpoll poll in polls[1..3]) poll.Opening = () => End(poll);
        switch (operation)
        {
            case "listen": _net.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0)).Dispose(); break;
            case "dial": _conns.Add(await _net.DialTcpAsync(listener.LocalEndPoint)); break;
            default: _conns.Add(await listener.AcceptTcpAsync()); break;
        }
        Assert.Equal([false, true, true, false], polls.Select(static poll => poll.IsDisposed));

        void End(FaultyNetpoll poll)
        {
            poll.FailsPoll = true;
            poll.Break();
            Assert.True(SpinWait.SpinUntil(() => poll.IsDisposed, Fixture.Patience), "the loop did not end.");
        }
    }

    [Fact]
    public async Task A_blocking_call_that_waits_ends_when_the_poll_throws()
    {
        Start(NetpollDispatch.Adaptive);
        (TcpConn _, TcpConn server) = await PairAsync();
        Task<NetOpException> blocked = Task.Factory.StartNew(
            () => Assert.Throws<NetOpException>(() => server.ReadByte()),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        FaultyNetpoll poll = _backend.Made.Single();
        poll.FailsPoll = true;
        poll.Break();
        Assert.Same(_backend.Fault, (await blocked.WaitAsync(Fixture.Patience)).InnerException);
    }

    [Theory]
    [MemberData(nameof(Dispatches))]
    public async Task A_break_that_throws_leaves_nobody_waiting(NetpollDispatch dispatch)
    {
        Start(dispatch);
        (TcpConn client, TcpConn server) = await PairAsync();
        Task<int> reading = server.ReadAsync(new byte[1]).AsTask();
        Task<int> other = client.ReadAsync(new byte[1]).AsTask();
        _backend.Made.Single().FailsBreak = true;

        // Each deadline is earlier than the one before, so it ends the loop's sleep. At the first one the loop may be awake.
        DateTimeOffset deadline = DateTimeOffset.UtcNow.AddHours(1);
        await Operation.OnOwnThread(() => Assert.True(SpinWait.SpinUntil(
            () =>
            {
                deadline -= TimeSpan.FromMilliseconds(1);
                server.SetReadDeadline(deadline);
                return other.IsCompleted;
            },
            Fixture.Patience)));
        Assert.Same(_backend.Fault, (await Assert.ThrowsAsync<NetOpException>(() => reading.WaitAsync(Fixture.Patience))).InnerException);
        Assert.Same(_backend.Fault, (await Assert.ThrowsAsync<NetOpException>(() => other)).InnerException);
    }

    [Theory]
    [InlineData("poll")]
    [InlineData("open")]
    [InlineData("arm")]
    public async Task A_connection_that_lingers_over_a_backend_that_fails_is_closed_at_once(string verb)
    {
        Start(NetpollDispatch.Adaptive);
        (TcpConn client, TcpConn server) = await PairAsync();
        using Socket peer = Raw.SocketOf(client);
        server.SetWriteDeadline(TimeSpan.FromMilliseconds(50));
        await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(new byte[64 << 20]).AsTask().WaitAsync(Fixture.Patience));
        server.LingerState = new LingerOption(true, 60);
        FaultyNetpoll poll = _backend.Made.Single();
        if (verb == "poll")
        {
            poll.FailsPoll = true;
            poll.Break();
            await UntilAsync(() => poll.IsDisposed);
        }
        poll.FailsOpen = verb == "open";
        poll.FailsArm = verb == "arm";
        server.Dispose();
        poll.FailsOpen = poll.FailsArm = false;
        await _log.Logged.WaitAsync(Fixture.Patience);
        Assert.Contains(_log.Entries, entry => ReferenceEquals(_backend.Fault, entry.Exception?.InnerException ?? entry.Exception));

        // The system sends the rest in the background, and then the end.
        byte[] buffer = new byte[1 << 16];
        do Assert.True(peer.Poll(Fixture.Patience, SelectMode.SelectRead));
        while (LinuxSocketApi.Instance.Receive(Raw.FdOf(client), buffer).Value > 0);
    }

    [Fact]
    public async Task A_close_that_throws_is_reported_and_ends_its_waits()
    {
        Start(NetpollDispatch.Adaptive);
        (TcpConn client, TcpConn server) = await PairAsync();
        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        int descs = _poller!.Loops[0].Cache.Snapshot().Length;
        _backend.Made.Single().FailsClose = true;
        server.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => read.WaitAsync(Fixture.Patience))).IsClosed);
        await _log.Logged.WaitAsync(Fixture.Patience);
        Assert.Same(_backend.Fault, _log.Exception);
        Assert.Equal(0, await client.ReadAsync(new byte[1]).Within()); // The descriptor was closed all the same.
        _backend.Made.Single().FailsClose = false;
        await PairAsync();
        Assert.InRange(_poller.Loops[0].Cache.Snapshot().Length, 1, descs + 1);
    }

    [Fact]
    public async Task An_open_that_throws_fails_the_dial_and_keeps_no_desc()
    {
        Start(NetpollDispatch.Adaptive);
        using TcpConnListener listener = _net!.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        FaultyNetpoll poll = _backend.Made.Single();
        poll.FailsOpen = true;
        for (int i = 0; i < 3; i++)
        {
            Exception e = await Assert.ThrowsAnyAsync<Exception>(async () => await _net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint));
            Assert.Same(_backend.Fault, e);
        }
        Assert.Equal(2, _poller!.Loops[0].Cache.Snapshot().Length); // One is the listener's. The other was used three times.
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_arm_that_throws_fails_the_operation_and_no_other(bool blocking)
    {
        Start(NetpollDispatch.Adaptive);
        (TcpConn client, TcpConn server) = await PairAsync();
        FaultyNetpoll poll = _backend.Made.Single();
        poll.FailsArm = true;
        IOException e = blocking
            ? Assert.Throws<IOException>(() => server.ReadByte())
            : await Assert.ThrowsAsync<IOException>(async () => await server.ReadAsync(new byte[1]));
        Assert.Same(_backend.Fault, e.InnerException);
        poll.FailsArm = false;
        ValueTask<int> read = server.ReadAsync(new byte[1]);
        client.Write([1]);
        Assert.Equal(1, await read.Within());
    }

    private void Start(NetpollDispatch dispatch, int loops = 1)
    {
        _poller = new Netpoller(_backend, new NetpollerOptions { Dispatch = dispatch, Loops = loops, LoggerFactory = _log });
        _net = new NetStack(_poller);
        Assert.Equal(loops, _poller.Loops.Length);
    }

    private async Task<(TcpConn Client, TcpConn Server)> PairAsync()
    {
        using TcpConnListener listener = _net!.ListenTcp(new IPEndPoint(IPAddress.Loopback, 0));
        ValueTask<TcpConn> accepting = listener.AcceptTcpAsync();
        TcpConn client = await _net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint);
        TcpConn server = await accepting;
        _conns.Add(client);
        _conns.Add(server);
        return (client, server);
    }

    private static async Task UntilAsync(Func<bool> done) =>
        await Operation.OnOwnThread(() => Assert.True(SpinWait.SpinUntil(done, Fixture.Patience)));
}
