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
}
