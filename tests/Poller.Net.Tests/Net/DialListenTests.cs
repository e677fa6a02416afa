using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;

namespace Poller.Net.Tests;

/// <summary>Connections come about: networks, addresses, who is told what of whom.</summary>
public abstract class DialListenTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_echo_comes_back(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using ConnListener listener = fixture.Net.Listen("tcp", "127.0.0.1:0");
        Operation<Conn> accepting = listener.StartAccept(blocking).Waiting();
        using Conn client = await fixture.Net.StartDial(blocking, "tcp", listener.LocalEndPoint.ToString()!).Within();
        using Conn server = await accepting.Within();
        byte[] message = "hello"u8.ToArray();
        byte[] buffer = new byte[64];

        await client.WriteAsync(blocking, message);
        int n = await server.ReadAsync(blocking, buffer);
        await server.WriteAsync(blocking, buffer.AsMemory(0, n));
        n = await client.ReadAsync(blocking, buffer);

        Assert.Equal(message, buffer[..n]);
    }

    [Theory]
    [InlineData("tcp", "127.0.0.1:0", "127.0.0.1:{0}")]
    [InlineData("tcp", "[::1]:0", "[::1]:{0}")]
    [InlineData("tcp", "localhost:0", "localhost:{0}")]
    [InlineData("tcp", ":0", ":{0}")]
    [InlineData("tcp", "0.0.0.0:0", "0.0.0.0:{0}")]
    [InlineData("tcp", "[::]:0", "[::]:{0}")]
    [InlineData("tcp", ":0", "[::ffff:127.0.0.1]:{0}")]
    [InlineData("tcp4", "127.0.0.1:0", "localhost:{0}")]
    [InlineData("tcp4", ":0", ":{0}")]
    [InlineData("tcp6", "[::1]:0", "[::1]:{0}")]
    [InlineData("tcp6", ":0", ":{0}")]
    public async Task Both_ends_agree_on_their_addresses_also_after_a_reset(string network, string listen, string dial)
    {
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen(network, listen);
        int port = ((IPEndPoint)listener.LocalEndPoint).Port;
        Assert.NotEqual(0, port);
        using TcpConn client = (TcpConn)await fixture.Net.DialAsync(network, string.Format(null, dial, port)).Within();
        using TcpConn server = (TcpConn)await listener.AcceptAsync().Within();

        client.Reset();
        await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).Within());

        // This is the first question for the end point. After a reset the system no longer knows the peer.
        IPEndPoint remote = Assert.IsType<IPEndPoint>(server.RemoteEndPoint);
        Assert.Equal(port, ((IPEndPoint)server.LocalEndPoint).Port);
        Assert.True(IPAddress.IsLoopback(remote.Address), $"{remote} was expected to be a loopback address.");
        Assert.False(remote.Address.IsIPv4MappedToIPv6);

        using TcpConn again = (TcpConn)await fixture.Net.DialAsync(network, string.Format(null, dial, port)).Within();
        using TcpConn accepted = (TcpConn)await listener.AcceptAsync().Within();
        Assert.Equal(again.LocalEndPoint, accepted.RemoteEndPoint);
        Assert.Equal(again.RemoteEndPoint, accepted.LocalEndPoint);
    }

    [Fact]
    public async Task A_wildcard_of_tcp_takes_both_families_and_tells_them_apart()
    {
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen("tcp", ":0");
        int port = ((IPEndPoint)listener.LocalEndPoint).Port;
        foreach (IPAddress address in (IPAddress[])[IPAddress.Loopback, IPAddress.IPv6Loopback])
        {
            using TcpConn client = await fixture.Net.DialTcpAsync(new IPEndPoint(address, port)).AsTask().Within();
            using Conn server = await listener.AcceptAsync().Within();
            Assert.Equal(address, ((IPEndPoint)server.RemoteEndPoint).Address);
            Assert.Equal(address, ((IPEndPoint)server.LocalEndPoint).Address);
        }
    }

    [Theory]
    [InlineData("tcp4", "127.0.0.1", "[::1]")]
    [InlineData("tcp6", "[::1]", "127.0.0.1")]
    public async Task A_wildcard_of_one_family_holds_no_other(string network, string taken, string refused)
    {
        using Fixture fixture = new();
        using ConnListener listener = Listen(out Socket bound);
        using Socket held = bound;
        int port = ((IPEndPoint)listener.LocalEndPoint).Port;
        using Conn client = await fixture.Net.DialAsync("tcp", $"{taken}:{port}").Within();
        using Conn server = await listener.AcceptAsync().Within();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => fixture.Net.DialAsync("tcp", $"{refused}:{port}").Within());
        Assert.Equal(SocketError.ConnectionRefused, e.SocketErrorCode);

        // Bind the other family's address, without a listen. Otherwise another test could listen there, and the dial would reach it.
        ConnListener Listen(out Socket socket)
        {
            for (int tries = 1; ; tries++)
            {
                ConnListener listener = fixture.Net.Listen(network, ":0");
                IPEndPoint other = new(IPAddress.Parse(refused), ((IPEndPoint)listener.LocalEndPoint).Port);
                socket = new Socket(other.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                try
                {
                    socket.Bind(other);
                    return listener;
                }
                catch (SocketException) when (tries < 20)
                {
                    socket.Dispose();
                    listener.Dispose();
                }
            }
        }
    }

    public static TheoryData<string, string, bool> WildcardDials()
    {
        TheoryData<string, string, bool> data = [];
        foreach (string listens in (string[])["127.0.0.1", "[::1]", "[::]", "0.0.0.0"])
        {
            foreach (string dials in (string[])["", "[::]", "[0:0::0]", "0.0.0.0"]) data.Add(listens, dials, false);
            foreach (string dials in (string[])["::", "0.0.0.0", "::ffff:0.0.0.0"]) data.Add(listens, dials, true);
        }
        return data;
    }

    [Theory, MemberData(nameof(WildcardDials))]
    public async Task A_dial_of_a_wildcard_finds_a_listener_of_either_family(string listens, string dials, bool typed)
    {
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen("tcp", $"{listens}:0");
        int port = ((IPEndPoint)listener.LocalEndPoint).Port;
        using Conn client = typed
            ? await fixture.Net.DialTcpAsync(new IPEndPoint(IPAddress.Parse(dials), port)).Within()
            : await fixture.Net.DialAsync("tcp", $"{dials}:{port}").Within();
        using Conn server = await listener.AcceptAsync().Within();
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        Assert.True(IPAddress.IsLoopback(((IPEndPoint)client.RemoteEndPoint).Address), $"{client.RemoteEndPoint}");
    }

    [Theory]
    [InlineData("tcp4", "", "127.0.0.1")]
    [InlineData("tcp4", "0.0.0.0", "127.0.0.1")]
    [InlineData("tcp6", "", "::1")]
    [InlineData("tcp6", "[::]", "::1")]
    [InlineData("udp", "", "127.0.0.1")]
    [InlineData("udp", "0.0.0.0", "127.0.0.1")]
    [InlineData("udp", "[::]", "::1")]
    [InlineData("udp4", "", "127.0.0.1")]
    [InlineData("udp4", "0.0.0.0", "127.0.0.1")]
    [InlineData("udp6", "", "::1")]
    [InlineData("udp6", "[::]", "::1")]
    public async Task A_dial_of_a_wildcard_stays_in_the_family_of_its_network(string network, string host, string expected)
    {
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen("tcp", ":0");
        int port = ((IPEndPoint)listener.LocalEndPoint).Port;
        using Conn conn = await fixture.Net.DialAsync(network, $"{host}:{port}").Within();
        Assert.Equal(new IPEndPoint(IPAddress.Parse(expected), port), conn.RemoteEndPoint);
    }

    [Theory]
    [InlineData("udp", "")]
    [InlineData("udp", "[::]")]
    [InlineData("udp4", "")]
    [InlineData("udp4", "0.0.0.0")]
    [InlineData("udp6", "")]
    [InlineData("udp6", "[::]")]
    public async Task A_socket_of_datagrams_hears_who_dials_its_own_address(string network, string host)
    {
        using Fixture fixture = new();
        using IPacketConn heard = fixture.Net.ListenPacket(network, $"{host}:0");
        using Conn conn = await fixture.Net.DialAsync(network, heard.LocalEndPoint.ToString()!).Within();
        await conn.WriteAsync(new byte[] { 7 });
        SocketReceiveFromResult received = await heard.ReceiveFromAsync(new byte[4]).Within();
        Assert.Equal((1, conn.LocalEndPoint), (received.ReceivedBytes, received.RemoteEndPoint));
    }

    [LinkLocalTheory, InlineData(false), InlineData(true)]
    public async Task A_link_local_address_with_its_zone_is_listened_on_and_dialed(bool byName)
    {
        (IPAddress address, string name) = LinkLocal.Found!.Value;
        string host = byName ? $"[{address.ToString().Split('%')[0]}%{name}]" : $"[{address}]";
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen("tcp", $"{host}:0");
        using Conn client = await fixture.Net.DialAsync("tcp", $"{host}:{((IPEndPoint)listener.LocalEndPoint).Port}").Within();
        using Conn server = await listener.AcceptAsync().Within();
        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        Assert.Equal(address, ((IPEndPoint)client.RemoteEndPoint).Address);

        using IPacketConn heard = fixture.Net.ListenPacket("udp", $"{host}:0");
        using Conn conn = await fixture.Net.DialAsync("udp", heard.LocalEndPoint.ToString()!).Within();
        await conn.WriteAsync(new byte[] { 7 });
        SocketReceiveFromResult received = await heard.ReceiveFromAsync(new byte[4]).Within();
        Assert.Equal((1, conn.LocalEndPoint), (received.ReceivedBytes, received.RemoteEndPoint));
    }

    [Fact]
    public void Localhost_is_listened_on_by_IPv4()
    {
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen("tcp", "localhost:0");
        Assert.Equal(IPAddress.Loopback, ((IPEndPoint)listener.LocalEndPoint).Address);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_name_is_looked_up_and_dialed(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using ConnListener listener = fixture.Net.Listen("tcp4", "127.0.0.1:0");
        string address = $"localhost:{((IPEndPoint)listener.LocalEndPoint).Port}";
        using Conn client = await fixture.Net.StartDial(blocking, "tcp", address).Within();
        Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_refused_dial_names_the_operation_the_network_and_the_address(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);

        // Bound and not listening: nobody else on this machine can take the port meanwhile.
        using Socket silent = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        silent.Bind(Raw.AnyLoopbackPort);
        int port = ((IPEndPoint)silent.LocalEndPoint!).Port;
        Operation<Conn> dial = fixture.Net.StartDial(blocking, "tcp4", $"127.0.0.1:{port}");
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.Equal(SocketError.ConnectionRefused, e.SocketErrorCode);
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(e.InnerException).SocketErrorCode);
        Assert.Equal(("dial", "tcp4"), (e.Operation, e.Network));
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, port), e.RemoteEndPoint);
        Assert.Contains("dial tcp4", e.Message, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{port}: ", e.Message, StringComparison.Ordinal);
        Assert.False(e.IsTimeout || e.IsClosed);
    }

    [Fact]
    public void A_port_in_use_is_refused_and_said_to_be()
    {
        using Fixture fixture = new();
        using ConnListener listener = fixture.Net.Listen("tcp", "127.0.0.1:0");
        NetOpException e = Assert.Throws<NetOpException>(() => fixture.Net.Listen("tcp", listener.LocalEndPoint.ToString()!));
        Assert.Equal(SocketError.AddressAlreadyInUse, e.SocketErrorCode);
        Assert.StartsWith($"listen tcp {listener.LocalEndPoint}: ", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("a port that nobody uses was expected, or 0", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_that_is_not_local_is_refused_and_said_to_be()
    {
        using Fixture fixture = new();

        // RFC 5737 keeps this address for documentation. Nobody has it.
        NetOpException e = Assert.Throws<NetOpException>(() => fixture.Net.Listen("tcp", "203.0.113.1:0"));
        Assert.Equal(SocketError.AddressNotAvailable, e.SocketErrorCode);
        Assert.StartsWith("listen tcp 203.0.113.1:0: ", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("an address of this machine was expected", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_is_free_again_at_once_after_a_close()
    {
        using Fixture fixture = new();
        EndPoint address;
        using (ConnListener first = fixture.Net.Listen("tcp", "127.0.0.1:0"))
        {
            address = first.LocalEndPoint;
            using Conn client = await fixture.Net.DialAsync("tcp", address.ToString()!).Within();
            using Conn server = await first.AcceptAsync().Within();
            server.Dispose(); // First, so that the listener's port is the one in TIME_WAIT.
        }
        using ConnListener second = fixture.Net.Listen("tcp", address.ToString()!);
        Assert.Equal(address, second.LocalEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task An_unknown_name_is_not_found(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);

        // RFC 6761: no such name. Without a name server the resolver says that it cannot tell.
        Operation<Conn> dial = fixture.Net.StartDial(blocking, "tcp", "nosuch.invalid:80");
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.Contains(e.SocketErrorCode, (SocketError[])[SocketError.HostNotFound, SocketError.TryAgain, SocketError.NoData]);
        Assert.Equal("dial", e.Operation);
        Assert.Contains("nosuch.invalid:80", e.Message, StringComparison.Ordinal);
        Assert.Equal("listen", Assert.Throws<NetOpException>(() => fixture.Net.Listen("tcp", "nosuch.invalid:80")).Operation);
    }

    [Fact]
    public async Task A_dial_ends_by_its_token()
    {
        using Fixture fixture = new();
        using FullListener full = new();
        using CancellationTokenSource cancel = new();
        Task<TcpConn> dial = fixture.Net.DialTcpAsync(full.EndPoint, cancel.Token).AsTask();
        Assert.False(dial.IsCompleted);
        await cancel.CancelAsync();
        OperationCanceledException e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => dial.Within());
        Assert.Equal(cancel.Token, e.CancellationToken);

        e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fixture.Net.DialTcpAsync(full.EndPoint, cancel.Token).Within());
        Assert.Equal(cancel.Token, e.CancellationToken);
        ValueTask<Conn> byName = fixture.Net.DialAsync("tcp", full.EndPoint.ToString(), cancel.Token);
        e = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => byName.Within());
        Assert.Equal(cancel.Token, e.CancellationToken);
    }

    [Fact]
    public async Task A_dial_that_finds_a_full_backlog_connects_when_there_is_room()
    {
        // All forms at once, because each waits a second for its second SYN.
        await Task.WhenAll(Forms.All.Select(static form => DialAsync((NetpollDispatch)form[0], (bool)form[1])));

        static async Task DialAsync(NetpollDispatch dispatch, bool blocking)
        {
            using Fixture fixture = new(dispatch);
            using FullListener full = new();
            Operation<TcpConn> dial = fixture.Net.StartDial(blocking, full.EndPoint).Waiting();
            full.AcceptOne();
            using TcpConn client = await dial.Within();
            using Socket server = full.AcceptOne();
            client.Write([7]);
            byte[] buffer = new byte[1];
            Assert.Equal(1, await server.ReceiveAsync(buffer).Within());
            Assert.Equal(7, buffer[0]);
        }
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task A_blocking_dial_ends_by_its_time_out_and_never_early(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        using FullListener full = new();
        Dialer dialer = new(fixture.Net) { Timeout = TimeSpan.FromMilliseconds(30) };
        Func<Conn>[] dials =
        [
            () => dialer.DialTcp(full.EndPoint),
            () => dialer.Dial("tcp", full.EndPoint.ToString()),
        ];
        foreach (Func<Conn> dial in dials)
        {
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(new Operation<Conn>(dial).Within);
            Assert.True(e.IsTimeout, e.Message);
            Assert.Equal(("dial", SocketError.TimedOut), (e.Operation, e.SocketErrorCode));
            Assert.Equal(full.EndPoint, e.RemoteEndPoint);
        }
        long start = Stopwatch.GetTimestamp();
        await Assert.ThrowsAsync<NetOpException>(() => new Operation<Conn>(() => dialer.DialTcp(full.EndPoint)).Within());
        Assert.True(Stopwatch.GetElapsedTime(start) >= dialer.Timeout - TimeSpan.FromTicks(1));
    }

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task The_time_out_of_a_dial_ends_with_it(NetpollDispatch dispatch)
    {
        FakeTimeProvider clock = new();
        using Fixture fixture = new(dispatch, clock: clock);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        IPEndPoint address = (IPEndPoint)listener.LocalEndPoint;
        Dialer dialer = new(fixture.Net) { Timeout = TimeSpan.FromSeconds(1) };
        using TcpConn client = await new Operation<TcpConn>(() => dialer.DialTcp(address)).Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        clock.Advance(TimeSpan.FromHours(1));
        await client.WriteAsync(new byte[] { 1 }).Within();
        Assert.Equal(1, await server.ReadAsync(new byte[1]).Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_dial_ends_with_its_poller(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using FullListener full = new();
        Operation<TcpConn> dial = fixture.Net.StartDial(blocking, full.EndPoint).Waiting();
        fixture.Poller.Dispose();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(dial.Within);
        Assert.True(e.IsClosed);
        Assert.Equal("dial", e.Operation);
        Assert.Equal(full.EndPoint, e.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Two_hundred_dials_at_once_all_connect(NetpollDispatch dispatch, bool blocking)
    {
        const int Count = 200;
        using Fixture fixture = new(dispatch);
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        Task<HashSet<EndPoint>> accepting = AcceptAllAsync(listener);
        Operation<TcpConn>[] dials = [.. Enumerable.Range(0, Count).Select(_ => fixture.Net.StartDial(blocking, listener.LocalEndPoint))];
        TcpConn[] clients = await Task.WhenAll(dials.Select(static d => d.Task)).Within();
        HashSet<EndPoint> seen = await accepting.Within();
        Assert.Equal(clients.Select(static c => c.LocalEndPoint).ToHashSet<EndPoint>(), seen);
        foreach (TcpConn client in clients) client.Dispose();

        static async Task<HashSet<EndPoint>> AcceptAllAsync(TcpConnListener listener)
        {
            HashSet<EndPoint> peers = [];
            for (int i = 0; i < Count; i++)
            {
                using TcpConn conn = await listener.AcceptTcpAsync().ConfigureAwait(false);
                peers.Add(conn.RemoteEndPoint);
            }
            return peers;
        }
    }

    [Fact]
    public async Task Options_of_dialed_and_accepted_connections_are_Gos()
    {
        using Fixture fixture = new();
        using TcpConnListener listener = fixture.Net.ListenTcp(Raw.AnyLoopbackPort);
        using TcpConn client = await fixture.Net.DialTcpAsync((IPEndPoint)listener.LocalEndPoint).Within();
        using TcpConn server = await listener.AcceptTcpAsync().Within();
        foreach (TcpConn conn in (TcpConn[])[client, server])
        {
            using Socket socket = Raw.SocketOf(conn);
            Assert.True(socket.NoDelay);
            Assert.NotEqual(0, socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
            Assert.Equal(15, socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime));
            Assert.Equal(15, socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval));
            Assert.Equal(9, socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount));
            Assert.False(Raw.IsInherited(conn), "a descriptor that is closed on exec was expected.");
        }
        using Socket listening = Raw.SocketOf(listener);
        byte[] reuse = new byte[sizeof(int)];
        const int Socket = 1, ReuseAddress = 2; // The BCL's ReuseAddress means SO_REUSEPORT as well.
        listening.GetRawSocketOption(Socket, ReuseAddress, reuse);
        Assert.NotEqual(0, BitConverter.ToInt32(reuse));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Options_are_set_and_read_on_what_a_dial_and_an_accept_give(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using ConnListener listener = fixture.Net.Listen("tcp", "127.0.0.1:0");
        using Conn client = await fixture.Net.StartDial(blocking, "tcp", listener.LocalEndPoint.ToString()!).Within();
        using Conn server = await listener.StartAccept(blocking).Within();
        foreach (Conn conn in (Conn[])[client, server])
        {
            using Socket socket = Raw.SocketOf((TcpConn)conn);
            Assert.True(conn.NoDelay);
            Assert.False(conn.LingerState.Enabled);
            foreach (bool noDelay in (bool[])[false, true])
            {
                conn.NoDelay = noDelay;
                Assert.Equal((noDelay, noDelay), (socket.NoDelay, conn.NoDelay));
            }
            foreach (LingerOption linger in (LingerOption[])[new(true, 7), new(true, 65535), new(true, 0), new(false, 9)])
            {
                conn.LingerState = linger;
                LingerOption read = conn.LingerState;
                Assert.Equal((linger.Enabled, linger.Enabled ? linger.LingerTime : 0), (read.Enabled, read.LingerTime));
                Assert.Equal((read.Enabled, read.LingerTime), (socket.LingerState!.Enabled, socket.LingerState.LingerTime));
            }
        }
    }

    [Fact]
    public async Task Options_that_cannot_be_are_refused_and_a_closed_connection_has_none()
    {
        using Fixture fixture = new();
        (TcpConn conn, TcpConn peer) = await fixture.PairAsync();
        Assert.Throws<ArgumentOutOfRangeException>(() => conn.LingerState = new LingerOption(true, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => conn.LingerState = new LingerOption(true, 65536));
        Assert.Throws<ArgumentNullException>(() => conn.LingerState = null!);
        conn.Dispose();
        (string, Action)[] uses =
        [
            ("set NoDelay", () => conn.NoDelay = true),
            ("get NoDelay", () => _ = conn.NoDelay),
            ("set LingerState", () => conn.LingerState = new LingerOption(true, 0)),
            ("get LingerState", () => _ = conn.LingerState),
        ];
        Assert.All(uses, static use =>
        {
            ObjectDisposedException e = Assert.Throws<ObjectDisposedException>(use.Item2);
            Assert.StartsWith(use.Item1, e.Message, StringComparison.Ordinal);
        });
        Assert.Equal(0, await peer.ReadAsync(new byte[1]).Within()); // The connection ends without a reset.
    }
}

/// <summary>A link-local address of this machine and its interface.</summary>
internal static class LinkLocal
{
    public static (IPAddress Address, string Interface)? Found { get; } = Find();

    private static (IPAddress, string)? Find()
    {
        foreach (NetworkInterface one in NetworkInterface.GetAllNetworkInterfaces())
        {
            if (one.OperationalStatus is not (OperationalStatus.Up or OperationalStatus.Unknown)) continue;
            foreach (UnicastIPAddressInformation unicast in one.GetIPProperties().UnicastAddresses)
            {
                if (unicast.Address.IsIPv6LinkLocal) return (unicast.Address, one.Name);
            }
        }
        return null;
    }
}

/// <summary>A test that needs a link-local address.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LinkLocalTheoryAttribute : TheoryAttribute
{
    public LinkLocalTheoryAttribute() => Skip = LinkLocal.Found is null ? "no interface has a link-local address" : null;
}
