using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>
/// The options of a <see cref="Dialer"/>: Go's TestDialerLocalAddr, TestDialerKeepAlive and TestDialerControl, and bad input.
/// </summary>
public abstract class DialOptionsTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory]
    [InlineData("tcp4", "127.0.0.1", null, null)]
    [InlineData("tcp4", "127.0.0.1", "0.0.0.0:0", null)]
    [InlineData("tcp4", "127.0.0.1", "[::]:0", null)]
    [InlineData("tcp4", "127.0.0.1", "127.0.0.7:0", null)]
    [InlineData("tcp4", "127.0.0.1", "[::ffff:127.0.0.7]:0", null)]
    [InlineData("tcp4", "127.0.0.1", "[::1]:0", "an address of the family of the local address was expected")]
    [InlineData("tcp6", "[::1]", "[::]:0", null)]
    [InlineData("tcp6", "[::1]", "0.0.0.0:0", null)]
    [InlineData("tcp6", "[::1]", "[::1]:0", null)]
    [InlineData("tcp6", "[::1]", "127.0.0.1:0", "an address of the family of the local address was expected")]
    [InlineData("tcp", "127.0.0.1", "[::1]:0", "an address of the family of the local address was expected")]
    [InlineData("tcp", "[::1]", "127.0.0.7:0", "an address of the family of the local address was expected")]
    [InlineData("tcp", "127.0.0.1", "192.0.2.1:0", "an address of this machine was expected")]
    public async Task A_dial_is_from_its_local_address(string network, string host, string? local, string? error)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        using ConnListener listener = fixture.Net.Listen(network, $"{host}:0");
        Dialer dialer = new(fixture.Net) { LocalEndPoint = local is null ? null : IPEndPoint.Parse(local) };
        string remote = $"{host}:{((IPEndPoint)listener.LocalEndPoint).Port}";
        int open = api.OpenCount;
        if (error is not null)
        {
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => dialer.DialAsync(network, remote).Within());
            Assert.Equal($"dial {network} {local}->{remote}: ", e.Message[..(e.Message.IndexOf(": ", StringComparison.Ordinal) + 2)]);
            Assert.EndsWith(error, e.Message, StringComparison.Ordinal);
            Assert.Equal(open, api.OpenCount);
            return;
        }
        using Conn conn = await dialer.DialAsync(network, remote).Within();
        using Conn accepted = await listener.AcceptAsync().Within();
        Assert.Equal(conn.LocalEndPoint, accepted.RemoteEndPoint);
        if (local is not null && local.Contains('7')) Assert.Equal(IPAddress.Parse("127.0.0.7"), ((IPEndPoint)conn.LocalEndPoint).Address);
    }

    [Fact]
    public async Task Of_a_name_the_addresses_of_the_local_ones_family_are_dialed()
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api, names: new FakeNameLookup(IPAddress.IPv6Loopback, IPAddress.Loopback));
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Dialer dialer = new(fixture.Net) { LocalEndPoint = new IPEndPoint(IPAddress.Parse("127.0.0.8"), 0) };
        using TcpConn conn = await dialer.DialTcpAsync(new DnsEndPoint("a.name", listener.LocalEndPoint.Port)).Within();
        Assert.Equal((dialer.LocalEndPoint, 1), (new IPEndPoint(conn.LocalEndPoint.Address, 0), api.ConnectCount));
    }

    [Fact]
    public async Task A_local_port_in_use_or_of_another_kind_is_named()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Dialer taken = new(fixture.Net) { LocalEndPoint = listener.LocalEndPoint };
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => taken.DialTcpAsync(listener.LocalEndPoint).Within());
        Assert.Equal(SocketError.AddressAlreadyInUse, e.SocketErrorCode);
        Assert.EndsWith("a port that nobody uses was expected, or 0", e.Message, StringComparison.Ordinal);

        Dialer unix = taken with { LocalEndPoint = new UnixDomainSocketEndPoint("/nosuch") };
        ArgumentException wrong = await Assert.ThrowsAsync<ArgumentException>(() => unix.DialTcpAsync(listener.LocalEndPoint).Within());
        Assert.Contains("IPEndPoint was expected to dial tcp; it was /nosuch", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_local_end_point_is_copied()
    {
        using Fixture fixture = new();
        IPEndPoint given = new(IPAddress.Loopback, 1);
        Dialer dialer = new(fixture.Net) { LocalEndPoint = given };
        given.Port = 2;
        ((IPEndPoint)dialer.LocalEndPoint!).Port = 3;
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 1), dialer.LocalEndPoint);
    }

    [Theory]
    [InlineData(false, 30d, 20d, 4)]
    [InlineData(true, 30d, 20d, 4)]
    [InlineData(true, 0.001, 1.5, 127)]
    [InlineData(true, 32767d, 32767d, 1)]
    [InlineData(true, null, null, null)]
    public async Task Keep_alive_is_as_it_was_asked_for_on_both_ends(bool enable, double? idle, double? interval, int? count)
    {
        using Fixture fixture = new();
        KeepAliveConfig asked = new()
        {
            Enable = enable,
            Idle = idle is { } i ? TimeSpan.FromSeconds(i) : null,
            Interval = interval is { } n ? TimeSpan.FromSeconds(n) : null,
            Count = count,
        };
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { KeepAlive = asked });
        using TcpConn client = await new Dialer(fixture.Net) { KeepAlive = asked }.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        using Socket untouched = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        foreach (TcpConn conn in (TcpConn[])[client, server])
        {
            using Socket socket = Raw.SocketOf(conn);
            Assert.Equal(enable, OptionOf(socket, SocketOptionLevel.Socket, SocketOptionName.KeepAlive) != 0);
            Check(SocketOptionName.TcpKeepAliveTime, idle);
            Check(SocketOptionName.TcpKeepAliveInterval, interval);
            Check(SocketOptionName.TcpKeepAliveRetryCount, count);

            void Check(SocketOptionName name, double? expected) => Assert.Equal(
                enable && expected is { } value ? (int)Math.Ceiling(value) : OptionOf(untouched, SocketOptionLevel.Tcp, name),
                OptionOf(socket, SocketOptionLevel.Tcp, name));
        }

        static int OptionOf(Socket socket, SocketOptionLevel level, SocketOptionName name) => (int)socket.GetSocketOption(level, name)!;
    }

    [Theory]
    [InlineData("tcp", "127.0.0.1:0", "tcp4")]
    [InlineData("tcp4", "127.0.0.1:0", "tcp4")]
    [InlineData("tcp", "[::1]:0", "tcp6")]
    public async Task A_control_hook_sees_the_descriptor_before_it_is_bound_or_connected(string network, string address, string expected)
    {
        using Fixture fixture = new();
        List<(string Network, EndPoint? Address, bool IsBound, nint Fd)> seen = [];
        SocketControl control = (fd, network, address) =>
        {
            using Socket socket = new(new SafeSocketHandle(fd, ownsHandle: false));
            socket.ReceiveBufferSize = 1 << 15;
            seen.Add((network, address, socket.LocalEndPoint is IPEndPoint { Port: > 0 }, fd));
        };
        using ConnListener listener = fixture.Net.Listen(network, address, new ListenOptions { Control = control });
        IPEndPoint local = (IPEndPoint)listener.LocalEndPoint;
        Dialer dialer = new(fixture.Net) { Control = control, LocalEndPoint = new IPEndPoint(local.Address, 0) };
        using TcpConn conn = (TcpConn)await dialer.DialAsync(network, local.ToString()).Within();
        nint listening = Raw.FdOf((TcpConnListener)listener);
        Assert.Equal([(expected, IPEndPoint.Parse(address), false, listening), (expected, local, false, Raw.FdOf(conn))], seen);
        using Socket socket = Raw.SocketOf(conn);
        Assert.Equal(1 << 16, socket.ReceiveBufferSize); // Linux doubles it (socket(7)).
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_control_hook_that_throws_fails_its_address_and_leaves_no_descriptor(NetpollDispatch dispatch, bool blocking)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(dispatch, api: api, names: new FakeNameLookup(IPAddress.Parse("10.0.0.1"), IPAddress.Loopback));
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        int open = api.OpenCount;
        int port = listener.LocalEndPoint.Port;
        Dialer careful = new(fixture.Net)
        {
            Control = static (_, _, address) =>
            {
                if (!IPAddress.IsLoopback(((IPEndPoint)address).Address)) throw new UnauthorizedAccessException("not there");
            },
        };
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(StartDial("10.0.0.1").Within);
        Assert.Equal("dial tcp 10.0.0.1:" + port + ": the control hook threw UnauthorizedAccessException: not there", e.Message);
        Assert.IsType<UnauthorizedAccessException>(e.InnerException);
        Assert.Equal(open, api.OpenCount);
        using (Conn conn = await StartDial("a.name").Within()) Assert.Equal(listener.LocalEndPoint, conn.RemoteEndPoint);

        ListenOptions options = new() { Control = static (_, _, _) => throw new InvalidDataException("no") };
        e = Assert.Throws<NetOpException>(() => fixture.Net.Listen("tcp", "127.0.0.1:0", options));
        Assert.Equal("listen tcp 127.0.0.1:0: the control hook threw InvalidDataException: no", e.Message);
        Assert.Equal(open, api.OpenCount);

        Operation<Conn> StartDial(string host) => blocking
            ? new(() => careful.Dial("tcp", $"{host}:{port}"))
            : new(careful.DialAsync("tcp", $"{host}:{port}").AsTask());
    }

    [Fact]
    public async Task A_dialer_dials_every_network()
    {
        using Fixture fixture = new();
        List<(string, EndPoint?)> seen = [];
        SocketControl control = (_, network, address) => seen.Add((network, address));
        ListenOptions options = new() { Control = control };
        IPEndPoint from = new(IPAddress.Parse("127.0.0.10"), 0);
        Dialer dialer = new(fixture.Net) { Control = control, LocalEndPoint = from };

        using UdpConn server = fixture.Net.ListenUdp(Raw.AnyLoopbackPort, options);
        using UdpConn one = await dialer.DialUdpAsync(server.LocalEndPoint).Within();
        using UdpConn two = await new Operation<UdpConn>(() => dialer.DialUdp(server.LocalEndPoint)).Within();
        using Conn three = await dialer.DialAsync("udp", server.LocalEndPoint.ToString()!).Within();
        Assert.All((Conn[])[one, two, three], conn => Assert.Equal(from.Address, ((IPEndPoint)conn.LocalEndPoint).Address));
        EndPoint udp = server.LocalEndPoint;
        Assert.Equal([("udp4", Raw.AnyLoopbackPort), ("udp4", udp), ("udp4", udp), ("udp4", udp)], seen);
        seen.Clear();

        string name = $"poller-{Guid.NewGuid():N}";
        UnixDomainSocketEndPoint path = new($"\0{name}");
        using UnixConnListener listener = fixture.Net.ListenUnix(path, options);
        Dialer unix = dialer with { LocalEndPoint = new UnixDomainSocketEndPoint($"\0{name}-client") };
        using UnixConn client = await unix.DialUnixAsync(path).Within();
        using UnixConn accepted = await listener.AcceptUnixAsync().Within();
        Assert.Equal((unix.LocalEndPoint, unix.LocalEndPoint), (client.LocalEndPoint, accepted.RemoteEndPoint));
        foreach (Func<Dialer, Conn> dial in (Func<Dialer, Conn>[])[d => d.Dial("unix", $"@{name}"), d => d.DialUnix(path)])
        {
            Dialer next = unix with { LocalEndPoint = new UnixDomainSocketEndPoint($"\0{Guid.NewGuid():N}") };
            using Conn another = await new Operation<Conn>(() => dial(next)).Within();
            Assert.Equal(next.LocalEndPoint, another.LocalEndPoint);
        }
        Assert.Equal([("unix", path), ("unix", path), ("unix", path), ("unix", path)], seen);

        ArgumentException e = await Assert.ThrowsAsync<ArgumentException>(() => dialer.DialUnixAsync(path).Within());
        Assert.Contains("UnixDomainSocketEndPoint was expected to dial unix; it was 127.0.0.10:0", e.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentException>(() => unix.DialUdpAsync(udp).Within());
    }

    [Fact]
    public async Task A_dial_that_meets_itself_on_a_local_port_of_the_users_is_kept()
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Dialer dialer = new(fixture.Net) { LocalEndPoint = new IPEndPoint(IPAddress.Parse("127.0.0.9"), FreePort()) };
        api.SelfConnects = 1;
        using TcpConn conn = await dialer.DialTcpAsync(listener.LocalEndPoint).Within();
        Assert.Equal(1, api.ConnectCount);

        static int FreePort()
        {
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.9"), 0));
            return ((IPEndPoint)socket.LocalEndPoint!).Port;
        }
    }

    [Fact]
    public void Options_out_of_range_are_refused_by_name()
    {
        using Fixture fixture = new();
        Dialer dialer = new(fixture.Net);
        Assert.Throws<ArgumentNullException>("stack", () => new Dialer(null!));
        Assert.Throws<ArgumentNullException>(() => dialer with { KeepAlive = null! });
        Assert.Throws<ArgumentOutOfRangeException>(() => dialer with { Timeout = TimeSpan.Zero });
        Assert.Throws<ArgumentOutOfRangeException>(() => dialer with { Timeout = TimeSpan.FromMilliseconds(-2) });
        Assert.Throws<ArgumentOutOfRangeException>(() => new ListenOptions { Backlog = 0 });
        Assert.Throws<ArgumentNullException>(() => new ListenOptions { KeepAlive = null! });
        foreach (TimeSpan time in (TimeSpan[])[TimeSpan.Zero, -TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(32_768), TimeSpan.MaxValue])
        {
            Exception e = Assert.Throws<ArgumentOutOfRangeException>(() => new KeepAliveConfig { Idle = time });
            Assert.StartsWith("Idle: ", e.Message, StringComparison.Ordinal);
            Assert.Throws<ArgumentOutOfRangeException>(() => new KeepAliveConfig { Interval = time });
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => new KeepAliveConfig { Count = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new KeepAliveConfig { Count = 128 });
        Assert.Equal(new KeepAliveConfig { Enable = false }, KeepAliveConfig.Off);
    }

    [Fact]
    public async Task A_right_that_this_user_lacks_is_said_to_be_missing()
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        api.Binds.Enqueue(Errno.EACCES);
        NetOpException e = Assert.Throws<NetOpException>(() => fixture.Net.Listen("tcp", "127.0.0.1:http"));
        Assert.StartsWith("listen tcp 127.0.0.1:80: ", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("a port that this user may take was expected, from 1024 up", e.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.AccessDenied, e.SocketErrorCode);

        api.Binds.Enqueue(Errno.EACCES);
        Dialer dialer = new(fixture.Net) { LocalEndPoint = new IPEndPoint(IPAddress.Loopback, 80) };
        e = await Assert.ThrowsAsync<NetOpException>(() => dialer.DialAsync("tcp", "127.0.0.1:https").Within());
        Assert.StartsWith("dial tcp 127.0.0.1:80->127.0.0.1:443: ", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("from 1024 up", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, api.OpenCount);
    }
}
