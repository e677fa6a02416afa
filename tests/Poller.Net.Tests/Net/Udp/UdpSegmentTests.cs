using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>A buffer that the system splits into datagrams, and datagrams that it joins.</summary>
public abstract class UdpSegmentTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_buffer_is_split_into_datagrams_of_one_size(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        using UdpConn free = fixture.Net.ListenUdp(Udp.Any);
        byte[] sent = new byte[2500];
        Random.Shared.NextBytes(sent);

        await client.SendSegmentsAsync(blocking, sent, 1000);
        await free.SendSegmentsAsync(blocking, sent, 1000, server.LocalEndPoint.Serialize());
        for (int round = 0; round < 2; round++)
        {
            byte[] received = new byte[3000];
            int length = 0;
            foreach (int expected in (int[])[1000, 1000, 500])
            {
                int n = (await server.ReceiveAsync(blocking, received.AsMemory(length))).ReceivedBytes;
                Assert.Equal(expected, n);
                length += n;
            }
            Assert.Equal(sent, received[..length]);
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task Datagrams_that_are_joined_come_with_their_size(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        Assert.False(server.ReceivesSegments);
        server.ReceivesSegments = true;
        Assert.True(server.ReceivesSegments);
        byte[] sent = new byte[2500], received = new byte[65_536];
        Random.Shared.NextBytes(sent);
        foreach (byte[] control in (byte[][])[[], new byte[64]])
        {
            await client.SendSegmentsAsync(blocking, sent, 1000);
            ReceivedMessage message = await server.ReceiveMessageAsync(blocking, received, control);
            Assert.Equal((2500, 1000), (message.Bytes, message.SegmentSize));
            Assert.Equal((false, false), (message.IsTruncated, message.IsControlTruncated));
            Assert.Equal(control.Length != 0, message.ControlBytes != 0);
            Assert.Equal(sent, received[..2500]);

            await client.WriteAsync(blocking, "alone"u8.ToArray());
            ReceivedMessage alone = await server.ReceiveMessageAsync(blocking, received, control);
            Assert.Equal((5, 0), (alone.Bytes, alone.SegmentSize));
        }
        server.ReceivesSegments = false;
        await client.SendSegmentsAsync(blocking, sent, 1000);
        Assert.Equal(1000, (await server.ReceiveMessageAsync(blocking, received)).Bytes);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task The_size_comes_beside_what_the_sockets_options_add(bool blocking)
    {
        if (!OperatingSystem.IsLinux()) return;
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        server.ReceivesSegments = true;
        server.ReceivesPacketInfo = true;

        // SO_TIMESTAMPNS, SO_TIMESTAMPING (of received packets, by software) and SO_RXQ_OVFL come before the size; IP_RECVTTL after it.
        foreach ((int level, int name, int value) in ((int, int, int)[])[(1, 35, 1), (1, 37, 24), (1, 40, 1), (0, 12, 1)])
        {
            server.SetRawSocketOption(level, name, BitConverter.GetBytes(value));
        }
        byte[] received = new byte[65_536];
        await client.SendSegmentsAsync(blocking, new byte[1050], 100);
        ReceivedMessage message = await server.ReceiveMessageAsync(blocking, received);
        Assert.Equal((1050, 100, false), (message.Bytes, message.SegmentSize, message.IsControlTruncated));

        UdpBatch batch = new(capacity: 2, maxBytes: 65_536);
        await client.SendSegmentsAsync(blocking, new byte[1050], 100);
        Operation<int> receiving = blocking ? new(() => server.ReceiveBatch(batch)) : new(server.ReceiveBatchAsync(batch).AsTask());
        Assert.Equal(1, await receiving.Within());
        Assert.Equal((1050, 100), (batch[0].Bytes.Length, batch[0].SegmentSize));
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_size_that_the_system_cut_off_is_told(bool blocking)
    {
        using Fixture fixture = new(api: new CutControl());
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        foreach (bool joins in (bool[])[true, false])
        {
            server.ReceivesSegments = joins;
            await client.WriteAsync(blocking, new byte[10]);
            ReceivedMessage message = await server.ReceiveMessageAsync(blocking, new byte[16]);
            Assert.Equal((10, 0, true), (message.Bytes, message.SegmentSize, message.IsControlTruncated));

            UdpBatch batch = new(capacity: 2, maxBytes: 16);
            await client.WriteAsync(blocking, new byte[10]);
            Operation<int> receiving = blocking ? new(() => server.ReceiveBatch(batch)) : new(server.ReceiveBatchAsync(batch).AsTask());
            Assert.Equal(1, await receiving.Within());
            Assert.Equal((0, joins), (batch[0].SegmentSize, batch[0].IsControlTruncated)); // Without segments it takes no control data.
        }
    }

    [Fact]
    public void The_default_datagram_says_what_was_expected()
    {
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => default(UdpDatagram).Bytes.Length);
        Assert.Contains("one of a batch was expected", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_system_cannot_split_is_refused_with_the_limits()
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        Assert.Throws<ArgumentOutOfRangeException>(() => client.SendSegments(new byte[9], 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => client.SendSegments(new byte[9], 65_536));
        foreach ((int length, int size) in ((int, int)[])[(65_508, 1000), (2000, 1)])
        {
            NetOpException error = Assert.Throws<NetOpException>(() => client.SendSegments(new byte[length], size));
            Assert.Equal("send segments", error.Operation);
            Assert.Contains($"{length} bytes in segments of {size}: at most 65507 bytes in all", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_system_that_cannot_split_or_join_says_so_and_sends_nothing()
    {
        foreach (ISocketApi api in (ISocketApi[])[new NoOffload(), new OldKernel()])
        {
            using Fixture fixture = new(api: api);
            using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
            using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
            NetOpException split = Assert.Throws<NetOpException>(() => client.SendSegments(new byte[2000], 1000));
            Assert.Equal(SocketError.OperationNotSupported, split.SocketErrorCode);
            Assert.Contains("UDP_SEGMENT, needs Linux 4.18", split.Message, StringComparison.Ordinal);
            NetOpException join = Assert.Throws<NetOpException>(() => server.ReceivesSegments = true);
            Assert.Equal(SocketError.OperationNotSupported, join.SocketErrorCode);
            Assert.Contains("UDP_GRO, needs Linux 5.0", join.Message, StringComparison.Ordinal);
            Assert.False(server.ReceivesSegments);
            client.Write([1]);
            Assert.Equal(1, server.Read(new byte[4000]));
        }
    }

    /// <summary>A system that has more control data than there is room for.</summary>
    private sealed class CutControl : ForwardingSocketApi
    {
        public override IoResult ReceiveMessage(nint fd, Span<byte> buffer, Span<byte> address, Span<byte> control, out MessageInfo info)
        {
            IoResult result = base.ReceiveMessage(fd, buffer, address, control, out info);
            info.ControlLength = 0;
            info.IsControlTruncated = true;
            return result;
        }

        public override IoResult ReceiveMessages(nint fd, MessageBatch batch)
        {
            IoResult result = base.ReceiveMessages(fd, batch);
            for (int i = 0; i < result.Value; i++)
            {
                batch.Slots[i].ControlLength = 0;
                batch.Slots[i].IsControlTruncated = true;
            }
            return result;
        }
    }

    /// <summary>A system without the options.</summary>
    private sealed class NoOffload : ForwardingSocketApi
    {
        public override UdpOffload? UdpOffload => null;
    }

    /// <summary>A kernel from before the options.</summary>
    private sealed class OldKernel : ForwardingSocketApi
    {
        public override IoResult GetRawOption(nint fd, int level, int name, Span<byte> value) =>
            name == UdpOffload?.Segment ? Errno.ENOPROTOOPT : base.GetRawOption(fd, level, name, value);

        public override IoResult SetRawOption(nint fd, int level, int name, ReadOnlySpan<byte> value) =>
            name == UdpOffload?.Gro ? Errno.ENOPROTOOPT : base.SetRawOption(fd, level, name, value);
    }
}
