using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>The probes of a connection that is open.</summary>
public sealed class KeepAliveTests : NetTest<EpollBackend>
{
    [Fact]
    public async Task A_connection_tells_and_changes_its_probes()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        foreach (TcpConn conn in (TcpConn[])[client, server])
        {
            Assert.Equal(new KeepAliveConfig(), conn.KeepAlive); // Go's defaults.
            KeepAliveConfig config = new() { Idle = TimeSpan.FromMilliseconds(6_001), Interval = TimeSpan.FromSeconds(8), Count = 3 };
            conn.KeepAlive = config;
            Assert.Equal(config with { Idle = TimeSpan.FromSeconds(7) }, conn.KeepAlive);
            using Socket socket = Raw.SocketOf(conn);
            Assert.Equal(7, (int)socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime)!);
            Assert.Equal(8, (int)socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval)!);
            Assert.Equal(3, (int)socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount)!);

            // Null leaves what is there.
            conn.KeepAlive = new KeepAliveConfig { Enable = false, Idle = null, Interval = null, Count = 4 };
            Assert.Equal((false, TimeSpan.FromSeconds(7), 4), (conn.KeepAlive.Enable, conn.KeepAlive.Idle, conn.KeepAlive.Count));
            Assert.Equal(0, (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive)!);
        }
        client.Dispose();
        Assert.Throws<ObjectDisposedException>(() => client.KeepAlive);
        Assert.Throws<ObjectDisposedException>(() => client.KeepAlive = KeepAliveConfig.Off);
        Assert.Throws<ArgumentNullException>(() => server.KeepAlive = null!);
    }

    [Fact]
    public async Task An_option_that_the_system_lacks_is_refused_and_a_dial_does_without_its_times()
    {
        using Fixture fixture = new(api: new LacksOptions());
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        foreach (TcpConn conn in (TcpConn[])[client, server])
        {
            Assert.Equal(new KeepAliveConfig { Idle = null, Interval = null, Count = null }, conn.KeepAlive);
            conn.KeepAlive = conn.KeepAlive with { Enable = false };
            Refused(() => conn.KeepAlive = new KeepAliveConfig());
            Refused(() => conn.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3));
        }
        using UdpConn packets = fixture.Net.ListenUdp(Raw.AnyLoopbackPort);
        Refused(() => packets.ReceivesPacketInfo = true);
        Refused(() => fixture.Net.ListenTcp(Raw.AnyLoopbackPort, new ListenOptions { ReusePort = true }));

        static void Refused(Action set) =>
            Assert.Equal(SocketError.ProtocolOption, Assert.Throws<NetOpException>(set).SocketErrorCode);
    }

    /// <summary>A system that has neither times of keep-alive, as OpenBSD, nor some other options.</summary>
    private sealed class LacksOptions : ForwardingSocketApi
    {
        private readonly BsdSocketApi _none = new(SocketNumbers.Linux with
        {
            TCP_KEEPIDLE = 0,
            TCP_KEEPINTVL = 0,
            TCP_KEEPCNT = 0,
            SO_REUSEPORT = 0,
            IP_PKTINFO = 0,
        });

        public override IoResult SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value) =>
            _none.SetOption(fd, level, name, value);

        public override IoResult GetOption(nint fd, SocketOptionLevel level, SocketOptionName name, out int value) =>
            _none.GetOption(fd, level, name, out value);
    }
}
