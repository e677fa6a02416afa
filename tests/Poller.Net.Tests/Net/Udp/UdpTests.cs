using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>UDP sockets: packets, addresses and errors. The ideas are those of Go's udpsock_test.go and packetconn_test.go.</summary>
public abstract class UdpTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_packet_arrives_with_its_senders_address_and_may_be_answered(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.ListenUdp(Udp.Any);
        byte[] buffer = new byte[64];
        SocketAddress sender = Udp.NewAddress();

        Operation<int> receive = server.StartReceiveFrom(blocking, buffer, sender).Waiting();
        await client.SendToAsync(blocking, "question"u8.ToArray(), server.LocalEndPoint);
        int length = await receive.Within();

        Assert.Equal("question"u8, buffer.AsSpan(0, length));
        Assert.Equal(client.LocalEndPoint, sender.ToEndPoint());

        Operation<SocketReceiveFromResult> answer = client.StartReceiveFrom(blocking, buffer).Waiting();
        await server.SendToAsync(blocking, "answer"u8.ToArray(), sender);
        SocketReceiveFromResult answered = await answer.Within();
        Assert.Equal("answer"u8, buffer.AsSpan(0, answered.ReceivedBytes));
        Assert.Equal(server.LocalEndPoint, answered.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Packets_keep_their_borders_and_an_empty_one_is_a_packet(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = await fixture.Net.DialUdpAsync(server.LocalEndPoint);
        await Task.Yield();
        byte[] buffer = new byte[64];

        Operation<SocketReceiveFromResult> waits = server.StartReceiveFrom(blocking, buffer).Waiting();
        await client.WriteAsync(blocking, ReadOnlyMemory<byte>.Empty);
        SocketReceiveFromResult empty = await waits.Within();
        Assert.Equal(0, empty.ReceivedBytes);
        Assert.Equal(client.LocalEndPoint, empty.RemoteEndPoint);

        foreach (int length in (int[])[3, 0, 5]) await client.WriteAsync(blocking, new byte[length]);
        foreach (int length in (int[])[3, 0, 5]) Assert.Equal(length, (await server.ReceiveAsync(blocking, buffer)).ReceivedBytes);

        await server.SendToAsync(blocking, ReadOnlyMemory<byte>.Empty, client.LocalEndPoint);
        Assert.True(await client.StartWaitToRead(blocking).Within());
        Assert.Equal(0, await client.ReadAsync(blocking, buffer));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_packet_that_is_too_long_is_cut_and_a_message_says_so(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        byte[] buffer = new byte[4];
        for (int i = 0; i < 4; i++) await client.WriteAsync(blocking, "12345678"u8.ToArray());
        await client.WriteAsync(blocking, "1234"u8.ToArray());

        Assert.Equal(4, (await server.ReceiveAsync(blocking, buffer)).ReceivedBytes);
        Assert.Equal("1234"u8, buffer);
        SocketAddress sender = Udp.NewAddress();
        ReceivedMessage cut = await server.ReceiveMessageAsync(blocking, buffer, address: sender);
        Assert.Equal(new ReceivedMessage { Bytes = 4, IsTruncated = true }, cut);
        Assert.Equal(client.LocalEndPoint, sender.ToEndPoint());
        Assert.Equal(4, await server.ReadAsync(blocking, buffer));
        Assert.Equal(new ReceivedMessage { IsTruncated = true }, await server.ReceiveMessageAsync(blocking, Memory<byte>.Empty));
        Assert.Equal(new ReceivedMessage { Bytes = 4 }, await server.ReceiveMessageAsync(blocking, buffer));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_socket_with_a_peer_receives_from_it_alone_and_sends_to_no_other(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn stranger = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        Assert.Equal(server.LocalEndPoint, client.RemoteEndPoint);
        byte[] buffer = new byte[16];

        await stranger.SendToAsync(blocking, "stranger"u8.ToArray(), client.LocalEndPoint);
        await server.SendToAsync(blocking, "peer"u8.ToArray(), client.LocalEndPoint);
        SocketReceiveFromResult received = await client.ReceiveAsync(blocking, buffer);
        Assert.Equal("peer"u8, buffer.AsSpan(0, received.ReceivedBytes));
        Assert.Equal(server.LocalEndPoint, received.RemoteEndPoint);

        NetOpException error = await Assert.ThrowsAsync<NetOpException>(
            () => client.SendToAsync(blocking, "x"u8.ToArray(), stranger.LocalEndPoint));
        Assert.Equal(SocketError.IsConnected, error.SocketErrorCode);
        Assert.Equal(("send to", "udp", (EndPoint)client.LocalEndPoint), (error.Operation, error.Network, error.LocalEndPoint));
        Assert.Equal(stranger.LocalEndPoint, error.RemoteEndPoint);
        Assert.Contains("Write", error.Message, StringComparison.Ordinal);
        await client.SendMessageAsync(blocking, "to the peer"u8.ToArray(), default, null);
        Assert.Equal(11, (await server.ReceiveAsync(blocking, buffer)).ReceivedBytes);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_peer_that_is_not_there_refuses_and_the_socket_stays_usable(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        UdpConn gone = fixture.Net.ListenUdp(Udp.Any);
        IPEndPoint address = gone.LocalEndPoint;
        gone.Dispose();
        Udp.AwaitNobody(address);
        using UdpConn client = fixture.Net.DialUdp(address);
        byte[] buffer = new byte[16];
        for (int round = 0; round < 3; round++)
        {
            // One that waits, and one that finds the error.
            Operation<int>? waits = round == 1 ? null : client.StartRead(blocking, buffer).Waiting();
            await client.WriteAsync(blocking, "x"u8.ToArray());
            NetOpException error = await Assert.ThrowsAsync<NetOpException>(
                () => (waits ?? client.StartRead(blocking, buffer)).Within());
            Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
            Assert.Equal((client.LocalEndPoint, address), (error.LocalEndPoint, error.RemoteEndPoint));
        }

        using UdpConn back = fixture.Net.ListenUdp(address);
        Operation<int> read = client.StartRead(blocking, buffer).Waiting();
        await client.WriteAsync(blocking, "hello"u8.ToArray());
        SocketReceiveFromResult received = await back.ReceiveAsync(blocking, new byte[16]);
        Assert.Equal(5, received.ReceivedBytes);
        await back.SendToAsync(blocking, "here"u8.ToArray(), received.RemoteEndPoint);
        Assert.Equal(4, await read.Within());
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_socket_without_a_peer_has_no_address_of_one_and_no_write(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn conn = fixture.Net.ListenUdp(Udp.Any);
        Assert.Equal(SocketError.NotConnected, Assert.Throws<NetOpException>(() => conn.RemoteEndPoint).SocketErrorCode);

        NetOpException write = await Assert.ThrowsAsync<NetOpException>(() => conn.WriteAsync(blocking, new byte[1]));
        Assert.Equal(SocketError.DestinationAddressRequired, write.SocketErrorCode);
        Assert.Contains("SendTo was expected", write.Message, StringComparison.Ordinal);
        NetOpException message = await Assert.ThrowsAsync<NetOpException>(
            () => conn.SendMessageAsync(blocking, new byte[1], default, null));
        Assert.Equal(SocketError.DestinationAddressRequired, message.SocketErrorCode);
        Assert.Contains("an address was expected", message.Message, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_packet_that_is_too_long_to_send_is_refused_with_its_length(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        using UdpConn free = fixture.Net.ListenUdp(Udp.Any);
        byte[] tooLong = new byte[65_508];
        NetOpException[] errors =
        [
            await Assert.ThrowsAsync<NetOpException>(() => client.WriteAsync(blocking, tooLong)),
            await Assert.ThrowsAsync<NetOpException>(() => free.SendToAsync(blocking, tooLong, server.LocalEndPoint)),
        ];
        Assert.All(errors, error =>
        {
            Assert.Equal(SocketError.MessageSize, error.SocketErrorCode);
            Assert.Equal(server.LocalEndPoint, error.RemoteEndPoint);
            const string Reason = "65508 bytes do not fit into one datagram; at most 65507 were expected";
            Assert.Contains(Reason, error.Message, StringComparison.Ordinal);
        });
        await client.WriteAsync(blocking, new byte[65_507]);
        Assert.Equal(65_507, (await server.ReceiveAsync(blocking, new byte[65_536])).ReceivedBytes);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_close_ends_a_receive_that_waits(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        UdpConn conn = fixture.Net.ListenUdp(Udp.Any);
        IPEndPoint address = conn.LocalEndPoint;
        Operation<SocketReceiveFromResult> first = conn.StartReceiveFrom(blocking, new byte[1]).Waiting();
        Operation<int> second = conn.StartReceiveFrom(blocking, new byte[1], Udp.NewAddress()).Waiting();
        Operation<ReceivedMessage> third = conn.StartReceiveMessage(blocking, new byte[1], default, null).Waiting();
        conn.Dispose();
        foreach (Task ended in (Task[])[first.Task, second.Task, third.Task])
        {
            NetOpException error = await Assert.ThrowsAsync<NetOpException>(() => ended.Within());
            Assert.True(error.IsClosed);
            Assert.Equal(address, error.LocalEndPoint);
        }
        Task[] after =
        [
            conn.StartReceiveFrom(blocking, new byte[1]).Task,
            conn.StartReceiveFrom(blocking, new byte[1], Udp.NewAddress()).Task,
            conn.SendToAsync(blocking, new byte[1], address),
            conn.SendSegmentsAsync(blocking, new byte[1], 1, address.Serialize()),
        ];
        foreach (Task late in after)
        {
            ObjectDisposedException error = await Assert.ThrowsAsync<ObjectDisposedException>(() => late.Within());
            Assert.Equal(nameof(UdpConn), error.ObjectName);
        }
        Assert.Throws<ObjectDisposedException>(() => conn.Ttl);
        Assert.Throws<ObjectDisposedException>(() => conn.JoinMulticastGroup(IPAddress.Parse("224.0.0.251")));
        Udp.AwaitNobody(address);
        fixture.Net.ListenUdp(address).Dispose(); // The port is free.
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_deadline_a_time_out_and_a_token_end_a_receive_and_the_next_one_finds_its_packet(
        NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn conn = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(conn.LocalEndPoint);
        byte[] buffer = new byte[16];

        conn.SetReadDeadline(TimeSpan.FromMilliseconds(5));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => conn.ReceiveAsync(blocking, buffer))).IsTimeout);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => conn.ReceiveMessageAsync(blocking, buffer))).IsTimeout);
        conn.SetReadDeadline(null);
        conn.ReadTimeout = 5;
        NetOpException error = await Assert.ThrowsAsync<NetOpException>(
            () => conn.StartReceiveFrom(blocking, buffer, Udp.NewAddress()).Within());
        Assert.True(error.IsTimeout);
        Assert.Contains("receive from udp", error.Message, StringComparison.Ordinal);
        conn.ReadTimeout = Timeout.Infinite;

        using CancellationTokenSource cancel = new();
        Task<SocketReceiveFromResult> cancelled = conn.ReceiveFromAsync(buffer, cancel.Token).AsTask();
        Assert.False(cancelled.IsCompleted);
        cancel.Cancel();
        OperationCanceledException thrown = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.Within());
        Assert.Equal(cancel.Token, thrown.CancellationToken);

        await client.WriteAsync(blocking, "here"u8.ToArray());
        Assert.Equal(4, (await conn.ReceiveAsync(blocking, buffer)).ReceivedBytes);

        conn.SetWriteDeadline(DateTimeOffset.UnixEpoch);
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => conn.SendToAsync(blocking, buffer, client.LocalEndPoint))).IsTimeout);
    }

    // The kernel does so when an answer to a packet comes while the socket's buffer is full.
    [Theory, InlineData(false), InlineData(true)]
    public async Task An_error_that_the_poller_reports_alone_keeps_no_receive_from_waiting(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        PollDesc desc = Raw.DescOf(server);
        PollReadiness alone = PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Error;
        desc.Notify(new PollEvent(desc.Token, alone), out _, out _, out _);
        Operation<SocketReceiveFromResult> receive = server.StartReceiveFrom(blocking, new byte[8]).Waiting();
        client.Write([1]);
        Assert.Equal(1, (await receive.Within()).ReceivedBytes);
    }

    [Fact]
    public async Task Concurrent_receives_take_each_packet_once()
    {
        const int Packets = 400, Receivers = 8;
        using Fixture fixture = new(loops: 2);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        server.ReceiveBufferSize = 1 << 20;
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        int[] seen = new int[Packets];
        Task[] receivers = [.. Enumerable.Range(0, Receivers).Select(receiver => Operation.Run(receiver % 2 == 0, async () =>
        {
            byte[] buffer = new byte[8];
            SocketAddress address = Udp.NewAddress();
            for (int i = 0; i < Packets / Receivers; i++)
            {
                int n = receiver % 2 == 0 ? server.ReceiveFrom(buffer, address) : await server.ReceiveFromAsync(buffer, address);
                Assert.Equal(sizeof(int), n);
                Assert.Equal(client.LocalEndPoint, address.ToEndPoint());
                Interlocked.Increment(ref seen[BitConverter.ToInt32(buffer)]);
            }
        }))];
        Task[] senders = [.. Enumerable.Range(0, 4).Select(sender => Task.Run(async () =>
        {
            for (int i = sender; i < Packets; i += 4) await client.WriteAsync(BitConverter.GetBytes(i));
        }))];
        await Task.WhenAll([.. senders, .. receivers]).Within();
        Assert.All(seen, static times => Assert.Equal(1, times));
    }

    [Fact]
    public void Packets_have_no_end_and_a_bad_argument_is_named()
    {
        using Fixture fixture = new();
        using UdpConn conn = fixture.Net.ListenUdp(Udp.Any);
        Assert.Equal(SocketError.OperationNotSupported, Assert.Throws<NetOpException>(conn.CloseRead).SocketErrorCode);
        Assert.Contains("packets have no end", Assert.Throws<NetOpException>(conn.CloseWrite).Message, StringComparison.Ordinal);

        ArgumentException small = Assert.Throws<ArgumentException>(
            () => conn.ReceiveFrom(new byte[1], new SocketAddress(AddressFamily.InterNetwork, 8)));
        Assert.Contains("room for 8 bytes; 16 were expected", small.Message, StringComparison.Ordinal);
        ArgumentException name = Assert.Throws<ArgumentException>(() => conn.SendTo([1], new DnsEndPoint("localhost", 1)));
        Assert.Contains("an IPEndPoint was expected", name.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => conn.SendTo([1], (SocketAddress)null!));
        Assert.Throws<ArgumentNullException>(() => conn.ReceiveFrom(new byte[1], null!));
        Assert.Throws<ArgumentNullException>(() => fixture.Net.ListenUdp(null!));
        Assert.Throws<ArgumentNullException>(() => fixture.Net.DialUdp(null!));

        NetOpException zero = Assert.Throws<NetOpException>(() => conn.SendTo([1], new IPEndPoint(IPAddress.Loopback, 0)));
        Assert.Contains("a port from 1 to 65535 was expected", zero.Message, StringComparison.Ordinal);
        NetOpException family = Assert.Throws<NetOpException>(() => conn.SendTo([1], new IPEndPoint(IPAddress.IPv6Loopback, 9)));
        Assert.Equal(SocketError.AddressFamilyNotSupported, family.SocketErrorCode);
        Assert.Contains("[::1]:9", family.Message, StringComparison.Ordinal);
        Assert.Contains("an IPv4 address was expected", family.Message, StringComparison.Ordinal);
        family = Assert.Throws<NetOpException>(() => conn.SendTo([1], new SocketAddress(AddressFamily.Unix)));
        Assert.Contains("of Unix were given, and an address of IPv4 or IPv6 was expected", family.Message, StringComparison.Ordinal);

        NetOpException taken = Assert.Throws<NetOpException>(() => fixture.Net.ListenUdp(conn.LocalEndPoint));
        Assert.Equal(("listen", "udp", SocketError.AddressAlreadyInUse), (taken.Operation, taken.Network, taken.SocketErrorCode));
        IPEndPoint notHere = new(IPAddress.Parse("192.0.2.77"), 0);
        NetOpException elsewhere = Assert.Throws<NetOpException>(() => fixture.Net.ListenUdp(notHere));
        Assert.Contains("an address of this machine was expected", elsewhere.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_is_dialed_and_its_look_up_is_cut_short()
    {
        FakeNameLookup names = new();
        using Fixture fixture = new(names: names);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn local = await fixture.Net.DialUdpAsync(new DnsEndPoint("127.0.0.1", server.LocalEndPoint.Port));
        Assert.Equal(server.LocalEndPoint, local.RemoteEndPoint);
        using CancellationTokenSource cancel = new();
        cancel.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => fixture.Net.DialUdpAsync(new DnsEndPoint("example.invalid", 9), cancel.Token).AsTask());
    }

    [Fact]
    public void A_socket_of_a_poller_that_was_disposed_says_so_and_leaves_no_descriptor()
    {
        FaultySocketApi api = new();
        Fixture fixture = new(api: api);
        fixture.Dispose();
        Assert.Throws<ObjectDisposedException>(() => fixture.Net.ListenUdp(Udp.Any));
        Assert.Throws<ObjectDisposedException>(() => fixture.Net.DialUdp(new IPEndPoint(IPAddress.Loopback, 9)));
        Assert.Equal(2, api.CloseCount);
    }
}
