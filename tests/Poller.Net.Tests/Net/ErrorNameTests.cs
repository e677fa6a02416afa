using System.Collections.Concurrent;

namespace Poller.Net.Tests;

/// <summary>Errors name the addresses of their socket, and the system may be asked for these.</summary>
public sealed class ErrorNameTests : NetTest<EpollBackend>
{
    [Fact]
    public void A_half_close_of_packets_asks_for_no_name_of_a_number_that_is_given_back()
    {
        AsksForNames api = new();
        using Fixture fixture = new(api: api);
        UdpConn conn = fixture.Net.ListenUdp(Raw.AnyLoopbackPort);
        api.OnAsked = conn.Dispose;
        Assert.Throws<NetOpException>(conn.CloseWrite);
        Assert.False(api.WasClosed);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_send_that_times_out_in_a_pause_asks_for_no_name_of_a_number_that_is_given_back(bool blocking)
    {
        using SocketDirectory directory = new();
        AsksForNames api = new();
        using Fixture fixture = new(api: api);
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        UnixConn client = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        client.WriteTimeout = 20;
        api.OnAsked = client.Dispose;
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(async () =>
        {
            while (true) await client.SendToAsync(blocking, new byte[10], server.LocalEndPoint).Within();
        });
        Assert.True(e.IsTimeout, e.Message);
        Assert.False(api.WasClosed);
    }

    /// <summary>Lets a test close a socket while its peer's name is asked for.</summary>
    private sealed class AsksForNames : ForwardingSocketApi
    {
        private readonly ConcurrentDictionary<nint, byte> _closed = new();
        private bool _wasClosed;

        public Action? OnAsked;

        /// <summary>Whether the number was closed by then, and so may have been another socket's.</summary>
        public bool WasClosed => Volatile.Read(ref _wasClosed);

        public override IoResult PeerName(nint fd, Span<byte> address, out int addressLength)
        {
            Interlocked.Exchange(ref OnAsked, null)?.Invoke();
            if (_closed.ContainsKey(fd)) Volatile.Write(ref _wasClosed, true);
            return base.PeerName(fd, address, out addressLength);
        }

        public override IoResult Close(nint fd)
        {
            _closed[fd] = 0;
            return base.Close(fd);
        }
    }
}
