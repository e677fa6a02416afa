using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>Many datagrams in one system call.</summary>
public abstract class UdpBatchTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private const int Many = 32;

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Thirty_two_datagrams_are_one_call_each_way(NetpollDispatch dispatch, bool blocking)
    {
        CountingApi api = new();
        using Fixture fixture = new(dispatch, api: api);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.ListenUdp(Udp.Any);
        UdpBatch sent = new(Many), received = new(Many);
        SocketAddress to = server.LocalEndPoint.Serialize();
        for (int i = 0; i < Many; i++) Assert.True(sent.TryAdd(Numbered(i), to));
        Assert.False(sent.TryAdd([1], to));

        await SendAsync(client, blocking, sent);
        Assert.Equal((Many, Many), (sent.Count, sent.Sent));
        Assert.Equal(Many, await ReceiveAsync(server, blocking, received));
        Assert.Equal((1, 1), (api.Sends, api.Receives));

        Assert.Equal(Many, received.Count);
        SocketAddress sender = Udp.NewAddress();
        for (int i = 0; i < Many; i++)
        {
            Assert.Equal(Numbered(i), received[i].Bytes.ToArray());
            Assert.Equal((false, 0), (received[i].IsTruncated, received[i].SegmentSize));
            Assert.Equal(client.LocalEndPoint, received[i].RemoteEndPoint);
            received[i].CopyAddressTo(sender);
            Assert.Equal(client.LocalEndPoint, sender.ToEndPoint());
        }

        // What was received goes back as it is.
        await SendAsync(server, blocking, received);
        Assert.Equal(Many, await ReceiveAsync(client, blocking, sent));
        Assert.Equal(Numbered(Many - 1), sent[Many - 1].Bytes.ToArray());
        Assert.Equal(server.LocalEndPoint, sent[0].RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_receive_waits_for_the_first_and_takes_no_more_than_there_are(NetpollDispatch dispatch, bool blocking)
    {
        using Fixture fixture = new(dispatch);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        UdpBatch batch = new(4, maxBytes: 8);
        Operation<int> waits = StartReceive(server, blocking, batch).Waiting();
        client.Write([1]);
        Assert.Equal(1, await waits.Within());
        for (int i = 0; i < 6; i++) client.Write(new byte[i * 2]);
        Assert.Equal(4, await ReceiveAsync(server, blocking, batch));
        Assert.Equal([0, 2, 4, 6], Enumerable.Range(0, 4).Select(i => batch[i].Bytes.Length));
        Assert.Equal(2, await ReceiveAsync(server, blocking, batch));
        Assert.Equal((8, false), (batch[0].Bytes.Length, batch[0].IsTruncated));
        Assert.Equal((8, true), (batch[1].Bytes.Length, batch[1].IsTruncated));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch[2].Bytes.Length);

        server.SetReadDeadline(TimeSpan.FromMilliseconds(5));
        Assert.True((await Assert.ThrowsAsync<NetOpException>(() => ReceiveAsync(server, blocking, batch))).IsTimeout);
        server.SetReadDeadline(null);
        Operation<int> closed = StartReceive(server, blocking, batch).Waiting();
        server.Dispose();
        NetOpException error = await Assert.ThrowsAsync<NetOpException>(() => closed.Within());
        Assert.Equal((true, "receive batch"), (error.IsClosed, error.Operation));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => SendAsync(server, blocking, batch));
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_send_goes_on_where_the_system_stopped(bool blocking)
    {
        CountingApi api = new() { MaxSend = 5 };
        using Fixture fixture = new(api: api);
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        UdpBatch sent = new(Many), received = new(Many);
        for (int i = 0; i < Many; i++) sent.TryAdd(Numbered(i));
        foreach (IoResult fault in (IoResult[])[0, Errno.EAGAIN, Errno.EINTR, 0, Errno.EAGAIN]) api.Faults.Enqueue(fault);
        await SendAsync(client, blocking, sent);
        Assert.Equal(Many, sent.Sent);
        Assert.Equal(Many, await ReceiveAsync(server, blocking, received));
        for (int i = 0; i < Many; i++) Assert.Equal(Numbered(i), received[i].Bytes.ToArray());

        sent.Clear();
        Assert.Equal(0, sent.Count);
        await SendAsync(client, blocking, sent); // Nothing.
        Assert.Equal(0, sent.Sent);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task An_error_says_which_datagram_and_how_many_were_sent(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.ListenUdp(Udp.Any);
        UdpBatch batch = new(3, maxBytes: 65_536);
        SocketAddress to = server.LocalEndPoint.Serialize();
        foreach (int length in (int[])[1, 65_508, 2]) batch.TryAdd(new byte[length], to);
        NetOpException error = await Assert.ThrowsAsync<NetOpException>(() => SendAsync(client, blocking, batch));
        Assert.Equal((1, SocketError.MessageSize), (batch.Sent, error.SocketErrorCode));
        Assert.Equal(server.LocalEndPoint, error.RemoteEndPoint);
        Assert.Contains("datagram 1 of 3: 65508 bytes do not fit into one datagram", error.Message, StringComparison.Ordinal);

        batch.Clear();
        batch.TryAdd([1]);
        error = await Assert.ThrowsAsync<NetOpException>(() => SendAsync(client, blocking, batch));
        Assert.Equal(SocketError.DestinationAddressRequired, error.SocketErrorCode);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_socket_with_a_peer_refuses_an_address_and_sends_what_it_received_to_the_peer(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn other = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        UdpBatch batch = new();
        batch.TryAdd([1]);
        batch.TryAdd([2], other.LocalEndPoint.Serialize());
        NetOpException error = await Assert.ThrowsAsync<NetOpException>(() => SendAsync(client, blocking, batch));
        Assert.Equal((SocketError.IsConnected, 0), (error.SocketErrorCode, batch.Sent));
        Assert.Equal(other.LocalEndPoint, error.RemoteEndPoint);
        Assert.Contains("datagram 1 of 2: the socket has a peer", error.Message, StringComparison.Ordinal);

        // What somebody else has sent goes on to the peer, as a proxy wants it.
        other.SendTo([3], server.LocalEndPoint.Serialize());
        Assert.Equal(1, await ReceiveAsync(server, blocking, batch));
        await SendAsync(client, blocking, batch);
        Assert.Equal(1, await ReceiveAsync(server, blocking, batch));
        Assert.Equal((3, client.LocalEndPoint), (batch[0].Bytes[0], batch[0].RemoteEndPoint));
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_batch_of_a_dual_stack_socket_has_both_families(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        using UdpConn four = fixture.Net.DialUdp(server.At(IPAddress.Loopback));
        using UdpConn six = fixture.Net.DialUdp(server.At(IPAddress.IPv6Loopback));
        four.Write([4]);
        six.Write([6]);
        UdpBatch batch = new();
        SocketAddress address = Udp.NewAddress();
        Assert.Equal(2, await ReceiveAsync(server, blocking, batch));
        Assert.Equal([four.LocalEndPoint, six.LocalEndPoint], new[] { batch[0].RemoteEndPoint, batch[1].RemoteEndPoint });
        batch[0].CopyAddressTo(address);
        Assert.Equal(four.LocalEndPoint, address.ToEndPoint());

        batch.TryAdd([44], address);
        await SendAsync(server, blocking, batch);
        Assert.Equal([4, 44], new[] { four.ReadByte(), four.ReadByte() });
        Assert.Equal(6, six.ReadByte());
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task Segments_are_split_and_joined_in_a_batch(bool blocking)
    {
        using Fixture fixture = new();
        using UdpConn server = fixture.Net.ListenUdp(Udp.Any);
        using UdpConn client = fixture.Net.DialUdp(server.LocalEndPoint);
        server.ReceivesSegments = true;
        UdpBatch batch = new(4, maxBytes: 65_536);
        batch.TryAdd(new byte[3000], segmentSize: 1200);
        batch.TryAdd(new byte[10]);
        await SendAsync(client, blocking, batch);
        Assert.Equal(2, await ReceiveAsync(server, blocking, batch));
        Assert.Equal((3000, 1200), (batch[0].Bytes.Length, batch[0].SegmentSize));
        Assert.Equal((10, 0), (batch[1].Bytes.Length, batch[1].SegmentSize));
    }

    /// <summary>The calls of a system that has none for many messages.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public async Task A_system_without_the_calls_sends_and_receives_one_by_one(bool blocking)
    {
        if (!OperatingSystem.IsLinux()) return;
        using Fixture fixture = new(api: new BsdSocketApi(SocketNumbers.Linux));
        using UdpConn server = fixture.Net.ListenUdp(new IPEndPoint(IPAddress.IPv6Any, 0));
        using UdpConn client = fixture.Net.DialUdp(server.At(IPAddress.Loopback));
        UdpBatch batch = new(Many, maxBytes: 70);
        for (int i = 0; i < Many; i++) batch.TryAdd(new byte[i]);
        await SendAsync(client, blocking, batch);
        client.Write(new byte[71]);
        Assert.Equal(Many, await ReceiveAsync(server, blocking, batch));
        Assert.Equal(Enumerable.Range(0, Many), Enumerable.Range(0, Many).Select(i => batch[i].Bytes.Length));
        Assert.Equal(client.LocalEndPoint, batch[7].RemoteEndPoint);
        Assert.Equal(1, await ReceiveAsync(server, blocking, batch));
        Assert.True(batch[0].IsTruncated);
        await SendAsync(server, blocking, batch);
        Assert.Equal(70, await client.ReadAsync(blocking, new byte[100]));

        // An error after some datagrams comes with the next call.
        server.Dispose();
        Udp.AwaitNobody(client.RemoteEndPoint);
        batch.Clear();
        batch.TryAdd([1]);
        batch.TryAdd([2]);
        NetOpException error = await Assert.ThrowsAsync<NetOpException>(() => SendAsync(client, blocking, batch));
        Assert.Equal((1, SocketError.ConnectionRefused), (batch.Sent, error.SocketErrorCode));
    }

    [Fact]
    public void A_bad_argument_is_named()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new UdpBatch(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new UdpBatch(1025));
        Assert.Throws<ArgumentOutOfRangeException>(() => new UdpBatch(1, 65_537));
        UdpBatch batch = new(2, maxBytes: 4);
        Assert.Equal((2, 4), (batch.Capacity, batch.MaxBytes));
        ArgumentException tooLong = Assert.Throws<ArgumentException>(() => batch.TryAdd(new byte[5]));
        Assert.Contains("the datagram has 5 bytes; at most 4 were expected", tooLong.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => batch.TryAdd([1], new UnixDomainSocketEndPoint("/x").Serialize()));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.TryAdd([1], null, -1));
        Assert.Equal(0, batch.Count);
        batch.TryAdd([1]);
        Assert.Null(batch[0].RemoteEndPoint);
        SocketAddress peer = new(AddressFamily.InterNetworkV6);
        batch[0].CopyAddressTo(peer);
        Assert.Equal(0, peer.Size);
        using Fixture fixture = new();
        using UdpConn conn = fixture.Net.ListenUdp(Udp.Any);
        Assert.Throws<ArgumentNullException>(() => conn.ReceiveBatch(null!));
        Assert.Throws<ArgumentNullException>(() => conn.SendBatch(null!));
    }

    private static byte[] Numbered(int number) => [.. Enumerable.Repeat((byte)number, number + 1)];

    private static Operation<int> StartReceive(UdpConn conn, bool blocking, UdpBatch batch) =>
        blocking ? new(() => conn.ReceiveBatch(batch)) : new(conn.ReceiveBatchAsync(batch).AsTask());

    private static Task<int> ReceiveAsync(UdpConn conn, bool blocking, UdpBatch batch) => StartReceive(conn, blocking, batch).Within();

    private static Task SendAsync(UdpConn conn, bool blocking, UdpBatch batch) =>
        blocking ? Operation.OnOwnThread(() => conn.SendBatch(batch)).Within() : conn.SendBatchAsync(batch).Within();

    /// <summary>Counts the calls for many messages, some of which it answers itself.</summary>
    private sealed class CountingApi : ForwardingSocketApi
    {
        public int Receives;
        public int Sends;

        /// <summary>The most that one send takes.</summary>
        public int MaxSend { get; init; } = int.MaxValue;

        /// <summary>What the next sends answer; 0 means that the system does.</summary>
        public ConcurrentQueue<IoResult> Faults { get; } = new();

        public override IoResult ReceiveMessages(nint fd, MessageBatch batch)
        {
            IoResult result = base.ReceiveMessages(fd, batch);
            if (result.IsSuccess) Interlocked.Increment(ref Receives);
            return result;
        }

        public override IoResult SendMessages(nint fd, MessageBatch batch, int first)
        {
            Interlocked.Increment(ref Sends);
            if (Faults.TryDequeue(out IoResult fault) && fault != 0) return fault;
            int count = batch.Count;
            batch.Count = Math.Min(count, first + Math.Min(MaxSend, count));
            IoResult result = base.SendMessages(fd, batch, first);
            batch.Count = count;
            return result;
        }
    }

    [Fact]
    public void An_address_that_is_too_long_adds_nothing()
    {
        UdpBatch batch = new(capacity: 2, maxBytes: 16);
        SocketAddress long128 = new(AddressFamily.InterNetworkV6, 128);
        Assert.Throws<ArgumentException>(() => batch.TryAdd([1], long128));
        Assert.Equal(0, batch.Count);
    }
}
