using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Dials of names: their addresses in turn, within one time-out; and what a dial that fails leaves behind.</summary>
public abstract class DialTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private static readonly IPAddress First = IPAddress.Parse("127.0.0.2");
    private static readonly IPAddress Second = IPAddress.Parse("127.0.0.3");
    private static readonly IPAddress Third = IPAddress.Parse("127.0.0.4");

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task The_addresses_of_a_name_are_dialed_in_turn(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch, names: new FakeNameLookup(First, Second, Third));
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(Second, 0));
        using Socket refusing = Bound(First, listener.LocalEndPoint.Port);
        using TcpConnListener last = fixture.Net.ListenTcp(new IPEndPoint(Third, listener.LocalEndPoint.Port));
        using Conn client = await fixture.Net.StartDial(blocking, "tcp", $"a.name:{listener.LocalEndPoint.Port}").Within();
        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Of_addresses_that_all_refuse_the_first_one_is_named(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch, names: new FakeNameLookup(First, Second));
        using Socket first = Bound(First, 0);
        int port = ((IPEndPoint)first.LocalEndPoint!).Port;
        using Socket second = Bound(Second, port);
        Operation<Conn> dial = fixture.Net.StartDial(blocking, "tcp", $"a.name:{port}");
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.Equal((SocketError.ConnectionRefused, first.LocalEndPoint), (e.SocketErrorCode, e.RemoteEndPoint));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_address_that_does_not_answer_leaves_the_next_its_share_of_the_time(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock, names: new FakeNameLookup(First, Second));
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        using FullListener silent = new(new IPEndPoint(First, 0));
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(Second, silent.EndPoint.Port));
        Operation<Conn> dial = StartDial(fixture.Net, blocking, $"a.name:{silent.EndPoint.Port}", TimeSpan.FromSeconds(30));
        AwaitShare(fixture);
        await Fixture.PassAsync(other);
        clock.Advance(TimeSpan.FromSeconds(15) - TimeSpan.FromTicks(1));
        await Fixture.PassAsync(other);
        dial.Waiting();
        clock.Advance(TimeSpan.FromTicks(1));
        using Conn client = await dial.Within();
        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Where_no_address_answers_the_time_out_is_the_end(NetpollDispatch dispatch, bool blocking)
    {
        FakeTimeProvider clock = new();
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, clock: clock, api: api, names: new FakeNameLookup(First, Second, Third));
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        using FullListener first = new(new IPEndPoint(First, 0));
        using FullListener second = new(new IPEndPoint(Second, first.EndPoint.Port));
        int before = api.ConnectCount;

        // Two seconds for the first, as a third of it would be too little, and one for the second; the third is not tried.
        Operation<Conn> dial = StartDial(fixture.Net, blocking, $"a.name:{first.EndPoint.Port}", TimeSpan.FromSeconds(3));
        AwaitShare(fixture);
        await Fixture.PassAsync(other);
        clock.Advance(TimeSpan.FromSeconds(2));
        await Fixture.PassAsync(other); // The deadline of the first has passed.
        AwaitShare(fixture);
        await Fixture.PassAsync(other);
        clock.Advance(TimeSpan.FromSeconds(1) - TimeSpan.FromTicks(1));
        await Fixture.PassAsync(other);
        dial.Waiting();
        clock.Advance(TimeSpan.FromTicks(1));
        await Fixture.PassAsync(other);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.True(e.IsTimeout);
        Assert.Equal(first.EndPoint, e.RemoteEndPoint);
        Assert.EndsWith(": the time-out of 2000 ms passed", e.Message, StringComparison.Ordinal);
        Assert.Equal(before + 2, api.ConnectCount);
    }

    [Fact]
    public void The_time_that_is_left_is_shared_with_two_seconds_for_each_at_the_least()
    {
        FakeTimeProvider clock = new();
        DialMode mode = new(blocking: false, TimeSpan.FromSeconds(30), clock, CancellationToken.None);
        Assert.Equal(TimeSpan.FromSeconds(10), mode.Share(3));
        Assert.Equal(TimeSpan.FromSeconds(2), mode.Share(20));
        clock.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal(TimeSpan.FromSeconds(1), mode.Share(3));
        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal((TimeSpan.Zero, TimeSpan.Zero), (mode.Left, mode.Share(1)));
        Assert.Null(new DialMode(blocking: false, null, clock, CancellationToken.None).Share(1));
    }

    [Fact]
    public async Task A_time_of_day_that_is_put_back_prolongs_no_dial()
    {
        SteppedClock clock = new();
        using Fixture fixture = new(clock: clock);
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        using FullListener full = new();
        Task<TcpConn> dial = new Dialer(fixture.Net) { Timeout = TimeSpan.FromSeconds(10) }.DialTcpAsync(full.EndPoint).AsTask();
        clock.Step = -TimeSpan.FromHours(1);
        await Fixture.PassAsync(other);
        clock.Advance(TimeSpan.FromSeconds(10));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => dial.Within())).IsTimeout);
    }

    [Fact]
    public async Task A_look_up_that_takes_too_long_ends_by_the_time_out()
    {
        TaskCompletionSource<IPAddress[]> never = new();
        FakeTimeProvider clock = new();
        using Fixture fixture = new(clock: clock, names: new FakeNameLookup(never.Task));
        Task<Conn> dial = new Dialer(fixture.Net) { Timeout = TimeSpan.FromSeconds(5) }.DialAsync("tcp", "a.name:80").AsTask();
        clock.Advance(TimeSpan.FromSeconds(5));
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => dial.Within());
        Assert.True(e.IsTimeout);
        Assert.Equal(new DnsEndPoint("a.name", 80), e.RemoteEndPoint);
        Assert.Equal("dial tcp a.name:80: the time-out of 5000 ms passed", e.Message);

        // The blocking form, on its own clock.
        Dialer hasty = new(fixture.Net) { Timeout = TimeSpan.FromMilliseconds(20) };
        Operation<Conn> blocking = new(() => hasty.Dial("tcp", "a.name:80"));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(blocking.Within)).IsTimeout);
        never.SetResult([]);
    }

    [Fact]
    public async Task A_look_up_ends_by_the_token()
    {
        TaskCompletionSource<IPAddress[]> never = new();
        using Fixture fixture = new(names: new FakeNameLookup(never.Task));
        using CancellationTokenSource cancel = new();
        Task<TcpConn> dial = fixture.Net.DialTcpAsync(new DnsEndPoint("a.name", 80), cancel.Token).AsTask();
        await cancel.CancelAsync();
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => dial.Within());
        Assert.Equal(cancel.Token, e.CancellationToken);
    }

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("localhost", "127.0.0.1")]
    [InlineData("::ffff:127.0.0.1", "127.0.0.1")]
    [InlineData("::1", "::1")]
    public async Task A_host_and_a_port_are_dialed(string host, string address)
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.Parse(address), 0));
        DnsEndPoint remote = new(host, listener.LocalEndPoint.Port);
        Dialer patient = new(fixture.Net) { Timeout = TimeSpan.FromMinutes(1) };
        using TcpConn one = await fixture.Net.DialTcpAsync(remote).Within();
        using TcpConn two = await patient.DialTcpAsync(remote).Within();
        using TcpConn three = await new Operation<TcpConn>(() => fixture.Net.DialTcp(remote)).Within();
        DnsEndPoint ofOneFamily = new(host, remote.Port, three.LocalEndPoint.AddressFamily);
        using TcpConn four = await new Operation<TcpConn>(() => patient.DialTcp(ofOneFamily)).Within();
        Assert.All((TcpConn[])[one, two, three, four], c => Assert.Equal(listener.LocalEndPoint, c.RemoteEndPoint));
    }

    [Fact]
    public async Task A_host_or_an_end_point_that_cannot_be_dialed_is_refused()
    {
        using Fixture fixture = new();
        NetStack net = fixture.Net;
        foreach (string host in (string[])["127.0.0.1\0.example.org", "[::1]", "127.1", " localhost", "::1%nosuch", "a:b"])
        {
            FormatException e = await Assert.ThrowsAsync<FormatException>(() => net.DialTcpAsync(new DnsEndPoint(host, 80)).Within());
            Assert.Contains("a name or an address, without brackets and port, was expected", e.Message, StringComparison.Ordinal);
        }
        DnsEndPoint six = new("127.0.0.1", 80, AddressFamily.InterNetworkV6);
        FormatException other = await Assert.ThrowsAsync<FormatException>(() => net.DialTcpAsync(six).Within());
        Assert.Contains("127.0.0.1 is not an address of tcp6", other.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>("remote", () => net.DialTcpAsync(new UnixDomainSocketEndPoint("/nosuch")).Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_refused_dial_whose_error_somebody_else_took_ends(NetpollDispatch dispatch, bool blocking)
    {
        FaultySocketApi api = new() { ErrorsAreTaken = true };
        using Fixture fixture = new(dispatch, api: api);
        using Socket refusing = Bound(IPAddress.Loopback, 0);
        Operation<TcpConn> dial = fixture.Net.StartDial(blocking, refusing.LocalEndPoint!);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.Equal((SocketError.NotConnected, refusing.LocalEndPoint), (e.SocketErrorCode, e.RemoteEndPoint));
        Assert.Contains("its error was read elsewhere", e.Message, StringComparison.Ordinal);
        Assert.Equal(1, api.CloseCount);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_connection_whose_name_the_system_forgot_is_open_and_not_lost(NetpollDispatch dispatch, bool blocking)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        int closed = api.CloseCount;
        api.LocalNames.Enqueue(Errno.EINVAL); // As macOS answers after a reset.
        TcpConn client = await fixture.Net.StartDial(blocking, listener.LocalEndPoint).Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        api.LocalNames.Enqueue(Errno.EINVAL);
        NetOpException e = Assert.Throws<NetOpException>(() => client.LocalEndPoint);
        Assert.Equal(("get LocalEndPoint", SocketError.InvalidArgument, false), (e.Operation, e.SocketErrorCode, e.IsClosed));
        await client.WriteAsync(blocking, new byte[] { 1 });
        Assert.Equal(1, await server.ReadAsync(blocking, new byte[1]));
        Assert.Equal(server.RemoteEndPoint, client.LocalEndPoint);
        client.Dispose();
        Assert.Equal(closed + 1, api.CloseCount);
    }

    [Fact]
    public async Task A_dial_that_has_no_local_address_yet_does_not_name_one()
    {
        using Fixture fixture = new();

        // RFC 919: the broadcast address, which no stream goes to. The system refuses it before it chooses an address of ours.
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => fixture.Net.DialAsync("tcp", "255.255.255.255:80").Within());
        Assert.StartsWith("dial tcp 255.255.255.255:80: ", e.Message, StringComparison.Ordinal);
        Assert.Null(e.LocalEndPoint);
    }

    [Fact]
    public async Task An_end_point_that_was_handed_over_is_its_receivers_to_change()
    {
        using Fixture fixture = new();
        IPEndPoint given = new(IPAddress.Parse("127.0.0.1"), 0);
        using TcpConnListener listener = fixture.Net.ListenTcp(given);
        Spoil(given);
        IPEndPoint address = listener.LocalEndPoint;
        string text = address.ToString();
        IPEndPoint dialed = listener.LocalEndPoint;
        ValueTask<TcpConn> dialing = fixture.Net.DialTcpAsync(dialed);
        Spoil(dialed);
        using TcpConn client = await dialing.Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        Assert.Equal(text, client.RemoteEndPoint.ToString());

        string local = client.LocalEndPoint.ToString();
        Spoil(listener.LocalEndPoint);
        Spoil(client.LocalEndPoint);
        Spoil(client.RemoteEndPoint);
        Spoil(server.LocalEndPoint);
        Spoil(server.RemoteEndPoint);
        Assert.Equal((text, local, text), ($"{listener.LocalEndPoint}", $"{client.LocalEndPoint}", $"{client.RemoteEndPoint}"));
        Assert.Equal((text, local), ($"{server.LocalEndPoint}", $"{server.RemoteEndPoint}"));

        server.SetReadDeadline(DateTimeOffset.UnixEpoch);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).Within());
        Spoil((IPEndPoint)e.LocalEndPoint!);
        Spoil((IPEndPoint)e.RemoteEndPoint!);
        Assert.Equal((text, local), ($"{server.LocalEndPoint}", $"{server.RemoteEndPoint}"));

        static void Spoil(IPEndPoint endPoint)
        {
            endPoint.Port ^= 1;
#pragma warning disable CS0618 // Obsolete, and the one way to change an IPv4 address.
            endPoint.Address.Address ^= 1;
#pragma warning restore CS0618
            endPoint.Address = IPAddress.Broadcast;
        }
    }

    private static Operation<Conn> StartDial(NetStack net, bool blocking, string address, TimeSpan timeout) => blocking
        ? new(() => new Dialer(net) { Timeout = timeout }.Dial("tcp", address))
        : new(new Dialer(net) { Timeout = timeout }.DialAsync("tcp", address).AsTask());

    // A dial counts its share from when it sets its time-out, which is after the connect.
    private static void AwaitShare(Fixture fixture)
    {
        bool HasTimeout() =>
            fixture.Poller.Loops[0].Cache.Snapshot().Any(static desc => desc.Deadlines?.TimeoutOf(Direction.Write) > PollDeadlines.Past);
        Assert.True(SpinWait.SpinUntil(HasTimeout, Fixture.Patience), "no address was dialed.");
    }

    // Refuses who connects to it, for it does not listen; and nobody else gets its port.
    private static Socket Bound(IPAddress address, int port)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(address, port));
        return socket;
    }
}
