using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;

namespace Poller.Net.Tests;

/// <summary>
/// Dials of a name with addresses of both families: RFC 6555, and the cases of Go's dial_test (TestDialParallel, TestDialerFallbackDelay).
/// </summary>
public abstract class HappyEyeballsTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly TimeSpan Tick = TimeSpan.FromTicks(1);
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(300);
    private static readonly IPAddress Six = IPAddress.IPv6Loopback;
    private static readonly IPAddress Four = IPAddress.Parse("127.0.0.5");
    private static readonly IPAddress OtherFour = IPAddress.Parse("127.0.0.6");

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_other_family_is_dialed_when_the_first_is_silent_for_the_delay(NetpollDispatch dispatch, bool blocking)
    {
        DelayClock clock = new();
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, clock: clock, api: api, names: new FakeNameLookup(Six, Four));
        using FullListener silent = new(new IPEndPoint(Six, 0));
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(Four, silent.EndPoint.Port));
        int open = api.OpenCount;
        Operation<Conn> dial = StartDial(new Dialer(fixture.Net), blocking, silent.EndPoint.Port);
        clock.AwaitDelay();
        clock.Advance(Delay - Tick);
        dial.Waiting();
        Assert.Equal(1, api.ConnectCount);
        clock.Advance(Tick);
        using Conn client = await dial.Within();
        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
        Assert.Equal((2, open + 1), (api.ConnectCount, api.OpenCount)); // The loser's socket is closed when the dial returns.
        client.Dispose();
        Assert.Equal(open, api.OpenCount);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_other_family_is_dialed_at_once_when_the_first_fails(NetpollDispatch dispatch, bool blocking)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, clock: new FakeTimeProvider(), api: api, names: new FakeNameLookup(Four, OtherFour, Six));
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(Six, 0));
        using Socket first = Bound(Four, listener.LocalEndPoint.Port);
        using Socket second = Bound(OtherFour, listener.LocalEndPoint.Port);
        int open = api.OpenCount;
        using Conn client = await StartDial(new Dialer(fixture.Net), blocking, listener.LocalEndPoint.Port).Within();
        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
        Assert.Equal((3, open + 1), (api.ConnectCount, api.OpenCount));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task If_both_families_fail_the_error_is_the_first_ones_with_the_other_attached(NetpollDispatch dispatch, bool blocking)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, clock: new FakeTimeProvider(), api: api, names: new FakeNameLookup(Six, Four, OtherFour));
        using Socket six = Bound(Six, 0);
        int port = ((IPEndPoint)six.LocalEndPoint!).Port;
        using Socket four = Bound(Four, port);
        using Socket other = Bound(OtherFour, port);
        Operation<Conn> dial = StartDial(new Dialer(fixture.Net), blocking, port);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.Equal((SocketError.ConnectionRefused, six.LocalEndPoint), (e.SocketErrorCode, e.RemoteEndPoint));
        Assert.IsType<SocketException>(e.InnerException);
        NetOpException fallback = Assert.IsType<NetOpException>(e.FallbackError);
        Assert.Equal((SocketError.ConnectionRefused, four.LocalEndPoint), (fallback.SocketErrorCode, fallback.RemoteEndPoint));
        Assert.StartsWith("dial tcp ", e.Message, StringComparison.Ordinal);
        Assert.Contains($"[::1]:{port}: ", e.Message, StringComparison.Ordinal);
        Assert.EndsWith($"; and of the other family: {fallback.Message}", e.Message, StringComparison.Ordinal);
        Assert.Equal((3, 0), (api.ConnectCount, api.OpenCount));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task If_the_first_family_is_silent_and_the_other_fails_the_time_out_is_the_error(NetpollDispatch dispatch, bool blocking)
    {
        DelayClock clock = new();
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, clock: clock, api: api, names: new FakeNameLookup(Six, Four));
        (TcpConn, TcpConn) pair = await fixture.PairAsync();
        (int open, int connects, int closes) = (api.OpenCount, api.ConnectCount, api.CloseCount);
        using FullListener silent = new(new IPEndPoint(Six, 0));
        using Socket refusing = Bound(Four, silent.EndPoint.Port);
        Dialer dialer = new(fixture.Net) { Timeout = TimeSpan.FromSeconds(10) };
        Operation<Conn> dial = StartDial(dialer, blocking, silent.EndPoint.Port);
        clock.AwaitDelay();
        clock.Advance(Delay);
        Assert.True(SpinWait.SpinUntil(() => api.CloseCount == closes + 1, Fixture.Patience)); // The fallback has failed.
        dial.Waiting();
        clock.Advance(dialer.Timeout);
        await Fixture.PassAsync(pair);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.True(e.IsTimeout);
        Assert.Equal(SocketError.ConnectionRefused, e.FallbackError!.SocketErrorCode);
        Assert.Equal((connects + 2, open), (api.ConnectCount, api.OpenCount));
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_token_ends_both_families_and_leaves_no_descriptor(NetpollDispatch dispatch)
    {
        DelayClock clock = new();
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, clock: clock, api: api, names: new FakeNameLookup(Six, Four));
        using FullListener six = new(new IPEndPoint(Six, 0));
        using FullListener four = new(new IPEndPoint(Four, six.EndPoint.Port));
        foreach (bool inRace in (bool[])[false, true])
        {
            using CancellationTokenSource cancel = new();
            Task<Conn> dial = new Dialer(fixture.Net).DialAsync("tcp", $"a.name:{six.EndPoint.Port}", cancel.Token).AsTask();
            clock.AwaitDelay();
            if (inRace)
            {
                clock.Advance(Delay);
                Assert.True(SpinWait.SpinUntil(() => api.ConnectCount == 3, Fixture.Patience));
            }
            await cancel.CancelAsync();
            OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => dial.Within());
            Assert.Equal(cancel.Token, e.CancellationToken);
            Assert.Equal(0, api.OpenCount);
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_end_of_the_poller_ends_both_families(NetpollDispatch dispatch, bool blocking)
    {
        DelayClock clock = new();
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, clock: clock, api: api, names: new FakeNameLookup(Six, Four));
        using FullListener six = new(new IPEndPoint(Six, 0));
        using FullListener four = new(new IPEndPoint(Four, six.EndPoint.Port));
        Operation<Conn> dial = StartDial(new Dialer(fixture.Net), blocking, six.EndPoint.Port);
        clock.AwaitDelay();
        clock.Advance(Delay);
        Assert.True(SpinWait.SpinUntil(() => api.ConnectCount == 2, Fixture.Patience));
        fixture.Poller.Dispose();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.True(e.IsClosed);
        Assert.Equal(0, api.OpenCount);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task An_interrupted_blocking_dial_leaves_no_descriptor(NetpollDispatch dispatch)
    {
        DelayClock clock = new();
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, clock: clock, api: api, names: new FakeNameLookup(Six, Four));
        using FullListener silent = new(new IPEndPoint(Six, 0));
        Operation<Conn> dial = StartDial(new Dialer(fixture.Net), blocking: true, silent.EndPoint.Port);
        clock.AwaitDelay();
        dial.Waiting().Interrupt();
        await Assert.ThrowsAsync<ThreadInterruptedException>(dial.Within);
        Assert.True(SpinWait.SpinUntil(() => api.OpenCount == 0, Fixture.Patience), "a descriptor is left.");
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Of_two_that_connect_at_once_one_is_kept(NetpollDispatch dispatch)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, api: api, names: new FakeNameLookup(Six, Four));
        using TcpConnListener six = fixture.Net.ListenTcp(new IPEndPoint(Six, 0));
        using TcpConnListener four = fixture.Net.ListenTcp(new IPEndPoint(Four, six.LocalEndPoint.Port));
        int open = api.OpenCount;
        Dialer dialer = new(fixture.Net) { FallbackDelay = TimeSpan.Zero };
        for (int round = 0; round < 50; round++)
        {
            using (Conn conn = await StartDial(dialer, blocking: round % 2 != 0, six.LocalEndPoint.Port).Within())
            {
                Assert.Equal(open + 1, api.OpenCount);
            }
            Assert.Equal(open, api.OpenCount);
        }
    }

    [Fact]
    public async Task With_a_negative_delay_the_addresses_are_dialed_in_turn()
    {
        DelayClock clock = new();
        FaultySocketApi api = new();
        using Fixture fixture = new(clock: clock, api: api, names: new FakeNameLookup(Six, Four, Six));
        using FullListener silent = new(new IPEndPoint(Six, 0));
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(Four, silent.EndPoint.Port));
        Dialer dialer = new(fixture.Net) { FallbackDelay = Timeout.InfiniteTimeSpan };
        using CancellationTokenSource cancel = new();
        Task<Conn> dial = dialer.DialAsync("tcp", $"a.name:{silent.EndPoint.Port}", cancel.Token).AsTask();
        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal((1, 0, false), (api.ConnectCount, clock.Delays, dial.IsCompleted));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => dial.Within());
    }

    [Theory]
    [InlineData("tcp4")]
    [InlineData("tcp6")]
    public async Task A_network_of_one_family_dials_that_one_alone(string network)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(clock: new FakeTimeProvider(), api: api, names: new FakeNameLookup(Six, Four));
        using Socket six = Bound(Six, 0);
        int port = ((IPEndPoint)six.LocalEndPoint!).Port;
        using Socket four = Bound(Four, port);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => fixture.Net.DialAsync(network, $"a.name:{port}").Within());
        Assert.Equal((1, null), (api.ConnectCount, e.FallbackError));
        Assert.Equal((network == "tcp4" ? four : six).LocalEndPoint, e.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_blocking_dial_in_a_handler_races_too_unless_it_would_wait_for_its_own_thread(NetpollDispatch dispatch)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, api: api, names: new FakeNameLookup(Six, Four));
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(Four, 0));
        using Socket refusing = Bound(Six, listener.LocalEndPoint.Port);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        int open = api.OpenCount;
        Task<Conn> handler = HandleAsync();
        await client.WriteAsync(new byte[1]);
        if (dispatch == NetpollDispatch.Inline)
        {
            await Assert.ThrowsAsync<InvalidOperationException>(() => handler.Within());
            Assert.Equal(open, api.OpenCount);
            return;
        }
        using Conn conn = await handler.Within();
        Assert.Equal(listener.LocalEndPoint, conn.RemoteEndPoint);

        async Task<Conn> HandleAsync()
        {
            await server.ReadAsync(new byte[1]).ConfigureAwait(false);
            return fixture.Net.Dial("tcp", $"a.name:{listener.LocalEndPoint.Port}");
        }
    }

    private static Operation<Conn> StartDial(Dialer dialer, bool blocking, int port) => blocking
        ? new(() => dialer.Dial("tcp", $"a.name:{port}"))
        : new(dialer.DialAsync("tcp", $"a.name:{port}").AsTask());

    // Refuses who connects to it, for it does not listen; and nobody else gets its port.
    private static Socket Bound(IPAddress address, int port)
    {
        Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(address, port));
        return socket;
    }

    // Tells when the head start of a dial is being timed.
    private sealed class DelayClock : FakeTimeProvider
    {
        private int _delays;
        private int _awaited;

        public int Delays => Volatile.Read(ref _delays);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            ITimer timer = base.CreateTimer(callback, state, dueTime, period);
            if (dueTime == Delay) Interlocked.Increment(ref _delays);
            return timer;
        }

        public void AwaitDelay()
        {
            _awaited++;
            Assert.True(SpinWait.SpinUntil(() => Delays >= _awaited, Fixture.Patience), "no dial gave its first addresses a head start.");
        }
    }
}
