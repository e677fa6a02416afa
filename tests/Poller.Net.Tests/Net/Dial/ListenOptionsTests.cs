using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>The options of a listener, and the tables of Go's listen_test (TestDualStackTCPListener).</summary>
public abstract class ListenOptionsTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory]
    [InlineData("tcp", "", "tcp", "", false)]
    [InlineData("tcp", "", "tcp", "0.0.0.0", false)]
    [InlineData("tcp", "0.0.0.0", "tcp", "", false)]
    [InlineData("tcp", "", "tcp", "[::]", false)]
    [InlineData("tcp", "[::]", "tcp", "", false)]
    [InlineData("tcp", "0.0.0.0", "tcp", "[::]", false)]
    [InlineData("tcp", "[::]", "tcp", "0.0.0.0", false)]
    [InlineData("tcp", "[::ffff:0.0.0.0]", "tcp", "[::]", false)]
    [InlineData("tcp", "[::]", "tcp", "[::ffff:0.0.0.0]", false)]
    [InlineData("tcp4", "", "tcp6", "", true)]
    [InlineData("tcp6", "", "tcp4", "", true)]
    [InlineData("tcp4", "0.0.0.0", "tcp6", "[::]", true)]
    [InlineData("tcp6", "[::]", "tcp4", "0.0.0.0", true)]
    [InlineData("tcp", "127.0.0.1", "tcp", "[::1]", true)]
    [InlineData("tcp", "[::1]", "tcp", "127.0.0.1", true)]
    [InlineData("tcp4", "127.0.0.1", "tcp6", "[::1]", true)]
    [InlineData("tcp6", "[::1]", "tcp4", "127.0.0.1", true)]
    public void Two_listeners_share_a_port_if_their_addresses_do_not_overlap(
        string network1, string host1, string network2, string host2, bool share)
    {
        using Fixture fixture = new();
        for (int tries = 1; ; tries++)
        {
            using ConnListener first = fixture.Net.Listen(network1, $"{host1}:0");
            int port = ((IPEndPoint)first.LocalEndPoint).Port;
            try
            {
                using ConnListener second = fixture.Net.Listen(network2, $"{host2}:{port}");
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
        await Assert.ThrowsAsync<NetOpException>(() => fixture.Net.DialTcpAsync(new IPEndPoint(IPAddress.Loopback, port)).Within());
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
}
