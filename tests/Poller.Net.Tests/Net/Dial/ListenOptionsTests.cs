using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>The options of a listener, and the tables of Go's listen_test (TestDualStackTCPListener).</summary>
public abstract class ListenOptionsTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    /// <summary>Two networks with their hosts, first without the kind of network, and whether they share a port.</summary>
    public static TheoryData<string, string, string, string, bool> Pairs()
    {
        (string Family1, string Host1, string Family2, string Host2, bool Share)[] pairs =
        [
            ("", "", "", "", false),
            ("", "", "", "0.0.0.0", false),
            ("", "0.0.0.0", "", "", false),
            ("", "", "", "[::]", false),
            ("", "[::]", "", "", false),
            ("", "", "4", "", false),
            ("4", "", "", "", false),
            ("", "", "6", "", false),
            ("6", "", "", "", false),
            ("", "0.0.0.0", "", "[::]", false),
            ("", "[::]", "", "0.0.0.0", false),
            ("", "[::ffff:0.0.0.0]", "", "[::]", false),
            ("", "[::]", "", "[::ffff:0.0.0.0]", false),
            ("4", "", "6", "", true),
            ("6", "", "4", "", true),
            ("4", "0.0.0.0", "6", "[::]", true),
            ("6", "[::]", "4", "0.0.0.0", true),
            ("", "127.0.0.1", "", "[::1]", true),
            ("", "[::1]", "", "127.0.0.1", true),
            ("4", "127.0.0.1", "6", "[::1]", true),
            ("6", "[::1]", "4", "127.0.0.1", true),
        ];
        TheoryData<string, string, string, string, bool> all = [];
        foreach (string kind in (string[])["tcp", "udp"])
        {
            foreach ((string family1, string host1, string family2, string host2, bool share) in pairs)
            {
                all.Add(kind + family1, host1, kind + family2, host2, share);
            }
        }
        return all;
    }

    [Theory, MemberData(nameof(Pairs))]
    public void Two_listeners_share_a_port_if_their_addresses_do_not_overlap(
        string network1, string host1, string network2, string host2, bool share)
    {
        using Fixture fixture = new();
        for (int tries = 1; ; tries++)
        {
            using IDisposable first = Open(network1, $"{host1}:0", out EndPoint local);
            try
            {
                using IDisposable second = Open(network2, $"{host2}:{((IPEndPoint)local).Port}", out _);
                Assert.True(share, "the second listener was expected to be refused.");
                return;
            }
            catch (NetOpException e)
            {
                Assert.Equal(SocketError.AddressAlreadyInUse, e.SocketErrorCode);
                if (!share) return;
                Assert.True(tries < 20, e.Message); // Somebody else may have the other family's port.
            }
        }

        IDisposable Open(string network, string address, out EndPoint local)
        {
            if (network.StartsWith("tcp", StringComparison.Ordinal))
            {
                ConnListener listener = fixture.Net.Listen(network, address);
                local = listener.LocalEndPoint;
                return listener;
            }
            IPacketConn conn = fixture.Net.ListenPacket(network, address);
            local = conn.LocalEndPoint;
            return conn;
        }
    }

    [Theory]
    [InlineData(null, "[::]:0", true)]
    [InlineData(true, "[::]:0", true)]
    [InlineData(false, "[::]:0", false)]
    [InlineData(null, "[::1]:0", false)]
    public void A_listener_on_IPv6_is_dual_stack_by_its_address_or_as_it_is_told(bool? asked, string address, bool expected)
    {
        using Fixture fixture = new();
        ListenOptions options = new() { DualStack = asked };
        using TcpConnListener one = fixture.Net.ListenTcp(IPEndPoint.Parse(address), options);
        using TcpConnListener two = (TcpConnListener)fixture.Net.Listen("tcp", address, options);
        foreach (TcpConnListener listener in (TcpConnListener[])[one, two])
        {
            using Socket socket = Raw.SocketOf(listener);
            Assert.Equal(expected, socket.DualMode);
        }
    }

    [Fact]
    public async Task A_wildcard_end_point_takes_both_families_unless_it_is_told_otherwise()
    {
        using Fixture fixture = new();
        using TcpConnListener both = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.IPv6Any, 0));
        using TcpConn four = await fixture.Net.DialTcpAsync(new IPEndPoint(IPAddress.Loopback, both.LocalEndPoint.Port)).Within();
        using TcpConn six = await fixture.Net.DialTcpAsync(new IPEndPoint(IPAddress.IPv6Loopback, both.LocalEndPoint.Port)).Within();

        using TcpConnListener alone = fixture.Net.ListenTcp(new IPEndPoint(IPAddress.IPv6Any, 0), new ListenOptions { DualStack = false });
        int port = alone.LocalEndPoint.Port;
        IPEndPoint nobody = new(IPAddress.Parse("127.0.0.13"), port); // Another test may listen on the same port of 127.0.0.1.
        await Assert.ThrowsAsync<NetOpException>(() => fixture.Net.DialTcpAsync(nobody).Within());
        using TcpConn taken = await fixture.Net.DialTcpAsync(new IPEndPoint(IPAddress.IPv6Loopback, port)).Within();
    }

    [Theory]
    [InlineData("tcp4")]
    [InlineData("tcp6")]
    public void A_network_of_one_family_is_never_dual_stack(string network)
    {
        using Fixture fixture = new();
        ListenOptions both = new() { DualStack = true };
        ArgumentException e = Assert.Throws<ArgumentException>(() => fixture.Net.Listen(network, ":0", both));
        string text = $"DualStack: a network of both families was expected; {network} is one family.";
        Assert.StartsWith(text, e.Message, StringComparison.Ordinal);
        using ConnListener listener = fixture.Net.Listen(network, ":0", new ListenOptions { DualStack = false });
    }

    [Fact]
    public void A_backlog_is_the_systems_most_or_what_it_is_told()
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        foreach (int? backlog in (int?[])[null, 1, int.MaxValue])
        {
            using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { Backlog = backlog });
        }
        int most = SystemSocketApi.Current.MaxBacklog;
        Assert.Equal([most, 1, most], api.Backlogs);
    }

    [Fact]
    public async Task A_port_is_shared_by_those_who_all_ask_for_it_and_by_no_others()
    {
        using Fixture fixture = new();
        ListenOptions shared = new() { ReusePort = true };
        using TcpConnListener one = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, shared);
        using TcpConnListener two = fixture.Net.ListenTcp(one.LocalEndPoint, shared);
        NetOpException e = Assert.Throws<NetOpException>(() => fixture.Net.ListenTcp(one.LocalEndPoint));
        Assert.Equal(SocketError.AddressAlreadyInUse, e.SocketErrorCode);

        // A connection goes to one of them.
        ValueTask<TcpConn> first = one.AcceptTcpAsync(), second = two.AcceptTcpAsync();
        using TcpConn client = await fixture.Net.DialTcpAsync(one.LocalEndPoint).Within();
        Task<TcpConn> accepted = await Task.WhenAny(first.AsTask(), second.AsTask()).Within();
        using TcpConn server = await accepted.Within();
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);

        using TcpConnListener alone = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Assert.Throws<NetOpException>(() => fixture.Net.ListenTcp(alone.LocalEndPoint, shared));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Further_connections_wait_while_the_most_are_open(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { MaxConnections = 2 });
        using TcpConn one = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn two = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn three = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using Conn first = await listener.StartAccept(blocking).Within();
        Conn second = await listener.StartAccept(blocking).Within();
        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();

        // Bytes and other closes are no reason to accept.
        one.Dispose();
        await second.WriteAsync(new byte[1]);
        Assert.Equal(1, await two.ReadAsync(new byte[1]).Within()); // The loop has passed.
        accepting.Waiting();

        second.Dispose();
        using Conn third = await accepting.Within();
        Assert.Equal(three.LocalEndPoint, third.RemoteEndPoint);

        // The end of a connection that comes before the accept waits is not missed.
        third.Dispose();
        first.Dispose();
        using TcpConn four = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using Conn fourth = await listener.StartAccept(blocking).Within();
        Assert.Equal(four.LocalEndPoint, fourth.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_accept_that_waits_for_a_close_ends_by_its_deadline_and_by_a_close(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { MaxConnections = 1 });
        using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn next = await fixture.Net.DialTcpAsync(listener.LocalEndPoint).Within();
        TcpConn only = await listener.AcceptTcpAsync().Within();

        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
        listener.SetDeadline(DateTimeOffset.UnixEpoch);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(accepting.Within)).IsTimeout);
        listener.SetDeadline(null);

        if (!blocking)
        {
            using CancellationTokenSource cancel = new();
            ValueTask<Conn> canceled = listener.AcceptAsync(cancel.Token);
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled.Within());
        }

        accepting = listener.StartAccept(blocking).Waiting();
        listener.Dispose();
        Assert.True((await Assert.ThrowsAsync<NetOpException>(accepting.Within)).IsClosed);
        only.Dispose(); // Its listener is gone.
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Never_more_than_the_most_are_open_and_everybody_has_their_turn(NetpollDispatch dispatch)
    {
        const int Most = 3, Clients = 8, Rounds = 10;
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { MaxConnections = Most });
        int open = 0, peak = 0;
        Task serving = ServeAsync();
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(async () =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                using TcpConn client = await fixture.Net.DialTcpAsync(listener.LocalEndPoint);
                await client.WriteAsync(new byte[] { 1 });
                Assert.Equal(1, await client.ReadAsync(new byte[1]));
            }
        }))).Within();
        listener.Dispose();
        await serving.Within();
        Assert.InRange(peak, 1, Most);

        async Task ServeAsync()
        {
            await foreach (Conn conn in listener.AcceptAllAsync())
            {
                peak = Math.Max(peak, Interlocked.Increment(ref open));
                _ = EchoAsync(conn);
            }
        }

        async Task EchoAsync(Conn conn)
        {
            byte[] buffer = new byte[1];
            for (int n = await conn.ReadAsync(buffer); n > 0; n = await conn.ReadAsync(buffer)) await conn.WriteAsync(buffer);
            Interlocked.Decrement(ref open);
            conn.Dispose();
        }
    }

    [Fact]
    public async Task A_listener_for_each_loop_keeps_its_connections_there()
    {
        using Fixture fixture = new(loops: 2);
        int hooks = 0;
        IReadOnlyList<TcpConnListener> listeners =
            fixture.Net.ListenPerLoop("tcp", "127.0.0.1:0", new ListenOptions { Control = (_, _, _) => hooks++ });
        Assert.Equal((2, 2), (listeners.Count, hooks));
        Assert.Equal(listeners[0].LocalEndPoint, listeners[1].LocalEndPoint);
        int[] counts = new int[2];
        Task[] serving = [ServeAsync(0), ServeAsync(1)];
        for (int i = 0; i < 40; i++)
        {
            using TcpConn client = await fixture.Net.DialTcpAsync(listeners[0].LocalEndPoint).Within();
            Assert.Equal(1, await client.ReadAsync(new byte[1]).Within());
        }
        foreach (TcpConnListener listener in listeners) listener.Dispose();
        await Task.WhenAll(serving).Within();
        Assert.Equal(40, counts.Sum());
        Assert.All(counts, static count => Assert.True(count > 0, "the system spreads the connections.")); // All on one: 1 in 10^12.

        async Task ServeAsync(int index)
        {
            await foreach (Conn conn in listeners[index].AcceptAllAsync())
            {
                using (conn)
                {
                    Assert.Same(fixture.Poller.Loops[index], Raw.LoopOf((TcpConn)conn));
                    counts[index]++;
                    await conn.WriteAsync(new byte[1]);
                }
            }
        }
    }

    [Fact]
    public void Listeners_for_each_loop_are_all_or_none()
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(loops: 2, api: api);
        using TcpConnListener taken = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        int open = api.OpenCount;
        Assert.Throws<NetOpException>(() => fixture.Net.ListenPerLoop("tcp", $"127.0.0.1:{taken.LocalEndPoint.Port}"));
        api.Binds.Enqueue(0); // The first one is not bound, so listen(2) gives it another port than the second asks for.
        api.Binds.Enqueue(Abstractions.Errno.EADDRINUSE);
        Assert.Throws<NetOpException>(() => fixture.Net.ListenPerLoop("tcp", "127.0.0.1:0"));
        Assert.Equal(open, api.OpenCount);
        Assert.Throws<ArgumentException>(() => fixture.Net.ListenPerLoop("udp", ":0"));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task Multipath_TCP_is_spoken_if_both_ask_for_it_and_the_system_has_it(bool listens, bool dials)
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { MultipathTcp = listens });
        using TcpConn client = await new Dialer(fixture.Net) { MultipathTcp = dials }.DialTcpAsync(listener.LocalEndPoint).Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        await client.WriteAsync(new byte[] { 1, 2, 3 });
        byte[] buffer = new byte[8];
        Assert.Equal(3, await server.ReadAsync(buffer).Within());
        bool hasIt = File.Exists("/proc/sys/net/mptcp/enabled") && File.ReadAllText("/proc/sys/net/mptcp/enabled").Trim() == "1";
        Assert.Equal(hasIt && dials ? 262 : 6, ProtocolOf(client));
        foreach (TcpConn conn in (TcpConn[])[client, server])
        {
            using Socket socket = Raw.SocketOf(conn);
            Assert.True(socket.NoDelay);
            Assert.Equal(15, socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime));
        }
    }

    [Theory]
    [InlineData(93)] // EPROTONOSUPPORT
    [InlineData(92)] // ENOPROTOOPT: it is switched off (net.mptcp.enabled).
    [InlineData(1)] // EPERM
    public async Task Without_multipath_TCP_it_is_TCP(int errno)
    {
        FaultySocketApi api = new();
        using Fixture fixture = new(api: api);
        api.Sockets.Enqueue(new Abstractions.Errno(errno));
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { MultipathTcp = true });
        api.Sockets.Enqueue(new Abstractions.Errno(errno));
        using TcpConn client = await new Dialer(fixture.Net) { MultipathTcp = true }.DialTcpAsync(listener.LocalEndPoint).Within();
        Assert.Equal(6, ProtocolOf(client));
    }

    private static int ProtocolOf(TcpConn conn)
    {
        const int Socket = 1, Protocol = 38; // SOL_SOCKET and SO_PROTOCOL.
        byte[] value = new byte[sizeof(int)];
        using Socket socket = Raw.SocketOf(conn);
        socket.GetRawSocketOption(Socket, Protocol, value);
        return BitConverter.ToInt32(value);
    }
}
