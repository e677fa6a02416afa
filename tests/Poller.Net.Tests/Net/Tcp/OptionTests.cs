using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Poller.Net.Tests;

/// <summary>Options by the BCL's names and by the system's numbers, and what the system tells of a connection.</summary>
public sealed class OptionTests : NetTest<EpollBackend>
{
    private const int SolSocket = 1, SoReceiveBuffer = 8, SoReceiveLowWater = 18, IpProtoTcp = 6, TcpUserTimeout = 18;

    [Fact]
    public async Task An_option_of_the_BCL_is_set_and_read()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, 0);
        Assert.False(client.NoDelay);
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 77);
        Assert.Equal(77, client.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime));
        using Socket socket = Raw.SocketOf(client);
        Assert.Equal(77, (int)socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime)!);
    }

    [Fact]
    public async Task An_option_of_the_system_is_set_and_read_by_its_number()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        int value = 12_345;
        client.SetRawSocketOption(IpProtoTcp, TcpUserTimeout, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in value)));
        byte[] read = new byte[8];
        Assert.Equal(sizeof(int), client.GetRawSocketOption(IpProtoTcp, TcpUserTimeout, read));
        Assert.Equal(value, BitConverter.ToInt32(read));
    }

    [Fact]
    public async Task What_the_system_or_the_library_does_not_know_is_an_error_that_names_it()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        NetOpException e = Assert.Throws<NetOpException>(() => client.GetRawSocketOption(IpProtoTcp, 9_999, new byte[4]));
        Assert.Equal("get option 9999 of level 6", e.Operation);
        e = Assert.Throws<NetOpException>(() => client.SetRawSocketOption(IpProtoTcp, 9_999, new byte[4]));
        Assert.Equal("set option 9999 of level 6", e.Operation);
        ArgumentOutOfRangeException unknown = Assert.Throws<ArgumentOutOfRangeException>(
            () => client.SetSocketOption(SocketOptionLevel.Tcp, (SocketOptionName)12_345, 1));
        Assert.Contains("Tcp/12345", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("SetRawSocketOption", unknown.Message, StringComparison.Ordinal);
        client.Dispose();
        Assert.Throws<ObjectDisposedException>(() => client.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay));
        Assert.Throws<ObjectDisposedException>(() => client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, 1));
        Assert.Throws<ObjectDisposedException>(() => client.GetRawSocketOption(SolSocket, SoReceiveBuffer, new byte[4]));
        Assert.Throws<ObjectDisposedException>(() => client.SetRawSocketOption(SolSocket, SoReceiveLowWater, new byte[4]));
        Assert.Throws<ObjectDisposedException>(() => client.GetTcpInfo());
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_linger_time_that_is_set_as_an_option_blocks_no_close(bool raw)
    {
        // close(2) of such a socket blocks until the peer has acknowledged all. This peer reads nothing.
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Operation<int> writing = client.StartWrite(blocking: false, new byte[16 << 20]).Waiting();
        if (raw) client.SetRawSocketOption(SolSocket, 13, MemoryMarshal.AsBytes<int>([1, 240]));
        else client.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Linger, 240);
        Assert.Equal(new LingerOption(true, 240), client.LingerState);
        Task closing = Operation.OnOwnThread(() =>
        {
            client.Dispose();
            while (!writing.Task.IsCompleted) Thread.Yield(); // The last operation to leave closes the descriptor.
        });
        await closing.WaitAsync(Fixture.Patience);
        await Assert.ThrowsAsync<NetOpException>(writing.Within);
        await Fixture.PassAsync(await fixture.PairAsync()).Within(); // The loop's thread does not hang in it.
        server.Dispose();
    }

    [Fact]
    public async Task The_system_tells_what_it_knows_of_a_connection()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        for (int i = 0; i < 10; i++)
        {
            client.Write(new byte[10_000]);
            byte[] received = new byte[10_000];
            server.ReadExactly(received);
            server.Write([1]);
            client.ReadExactly(received.AsSpan(0, 1));
        }
        TcpInfo info = client.GetTcpInfo();
        Assert.Equal(TcpState.Established, info.State);
        Assert.InRange(info.RoundTripTime, TimeSpan.FromTicks(1), TimeSpan.FromSeconds(10));

        // It begins at half of the time, and may be less than a microsecond, which the kernel calls 0. Not for all connections, though.
        List<TimeSpan> variations = [info.RoundTripTimeVariation];
        for (int i = 0; i < 20; i++) variations.Add((await fixture.PairAsync()).Client.GetTcpInfo().RoundTripTimeVariation);
        Assert.InRange(variations.Max(), TimeSpan.FromTicks(1), TimeSpan.FromSeconds(10));
        Assert.InRange(info.RetransmitTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(2));
        Assert.InRange(info.MinRoundTripTime!.Value, TimeSpan.FromTicks(1), TimeSpan.FromSeconds(10));
        Assert.InRange(info.PathMtu, 1_280, 65_536);
        Assert.InRange(info.SendSegmentSize, 500, info.PathMtu);
        Assert.InRange(info.CongestionWindow, 1, 100_000);
        Assert.Equal(100_001, info.BytesAcknowledged); // With the SYN.
        Assert.Equal(10, info.BytesReceived);
        Assert.InRange(info.BytesSent!.Value, 100_000, long.MaxValue);
        Assert.True(info.DeliveryRate > 0);
        Assert.Equal(0, info.UnsentBytes);
        Assert.Equal(100_000, server.GetTcpInfo().BytesReceived);
        server.CloseWrite();
        Assert.Equal(0, client.Read(new byte[1]));
        Assert.Equal(TcpState.CloseWait, client.GetTcpInfo().State);
    }

    [Fact]
    public async Task What_an_older_kernel_does_not_tell_is_null()
    {
        using Fixture fixture = new(api: new OldKernel());
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        TcpInfo info = client.GetTcpInfo();
        Assert.Equal(TcpState.Established, info.State);
        Assert.NotEqual(0, info.CongestionWindow);
        Assert.Null(info.BytesAcknowledged);
        Assert.Null(info.MinRoundTripTime);
        Assert.Null(info.DeliveryRate);
        Assert.Null(info.SendWindow);
    }

    [Fact]
    public async Task A_system_other_than_Linux_refuses_to_tell_of_a_connection()
    {
        using Fixture fixture = new(api: new MacOS());
        (TcpConn client, TcpConn _) = await fixture.PairAsync();
        NetOpException e = Assert.Throws<NetOpException>(() => client.GetTcpInfo());
        Assert.Equal(("get TcpInfo", SocketError.ProtocolOption), (e.Operation, e.SocketErrorCode));
        Assert.EndsWith("only Linux tells it", e.Message, StringComparison.Ordinal);
    }

    private sealed class OldKernel : ForwardingSocketApi
    {
        // The struct of Linux 2.6: it ends behind tcpi_total_retrans.
        public override IoResult TcpInfo(nint fd, Span<byte> info) => base.TcpInfo(fd, info[..104]);
    }

    private sealed class MacOS : ForwardingSocketApi
    {
        private readonly BsdSocketApi _mac = new(SocketNumbers.MacOS);

        public override IoResult TcpInfo(nint fd, Span<byte> info) => _mac.TcpInfo(fd, info);
    }
}
