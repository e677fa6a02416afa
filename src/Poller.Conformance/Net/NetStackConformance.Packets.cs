using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Poller.Net;

namespace Poller.Conformance;

// The tests of packets in Go's net/udpsock_test.go, packetconn_test.go and timeout_test.go.

public abstract partial class NetStackConformance
{
    /// <summary>Go: TestUDPZeroBytePayload. One receive takes one packet, and a packet of 0 bytes is one.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Packets_keep_their_borders_and_an_empty_one_is_a_packet(bool blocking)
    {
        (UdpConn client, UdpConn server) = Packets();
        byte[] buffer = new byte[100];
        SocketAddress sender = new(AddressFamily.InterNetworkV6);
        byte[] sent = Bytes(100);
        NetOperation<int> waiting = server.StartReceiveFrom(blocking, buffer, sender).Waiting();
        client.StartWrite(blocking, ReadOnlyMemory<byte>.Empty).Result();
        Assert.Equal(0, waiting.Result());
        int[] lengths = [7, 0, 100, 1];
        foreach (int length in lengths) client.StartWrite(blocking, sent.AsMemory(0, length)).Result();
        foreach (int length in lengths)
        {
            Assert.Equal(length, server.StartReceiveFrom(blocking, buffer, sender).Result());
            Assert.True(buffer.AsSpan(0, length).SequenceEqual(sent.AsSpan(0, length)), "a packet's bytes are not those that were sent");
            Assert.Equal(client.LocalEndPoint, client.LocalEndPoint.Create(sender));
        }
        server.StartSendTo(blocking, ReadOnlyMemory<byte>.Empty, sender).Result();
        client.StartWaitToRead(blocking).FindsBytes();
        Assert.Equal(0, client.StartRead(blocking, buffer).Result());
    }

    /// <summary>The contract: a packet is cut to the buffer, its rest is lost, and a message says that it was cut.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_packet_that_is_too_long_is_cut_and_a_message_says_so(bool blocking)
    {
        (UdpConn client, UdpConn server) = Packets();
        byte[] buffer = new byte[10], sent = Bytes(11);
        for (int i = 0; i < 3; i++) client.StartWrite(blocking, sent).Result();
        client.StartWrite(blocking, sent.AsMemory(0, 10)).Result();
        Assert.Equal(10, server.StartReceiveFrom(blocking, buffer, new SocketAddress(AddressFamily.InterNetworkV6)).Result());
        Assert.Equal(10, server.StartRead(blocking, buffer).Result());
        ReceivedMessage cut = server.StartReceiveMessage(blocking, buffer).Result();
        Assert.Equal((10, true), (cut.Bytes, cut.IsTruncated));
        Assert.True(buffer.AsSpan().SequenceEqual(sent.AsSpan(0, 10)), "a packet's bytes are not those that were sent");
        ReceivedMessage whole = server.StartReceiveMessage(blocking, buffer).Result();
        Assert.Equal((10, false), (whole.Bytes, whole.IsTruncated));
    }

    /// <summary>Go: TestIPv6WriteMsgUDPAddrPortTargetAddrIPVersion and udp(7). A socket with a peer hears no other.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_socket_with_a_peer_hears_it_alone(bool blocking)
    {
        (UdpConn client, UdpConn server) = Packets();
        UdpConn stranger = Own(Stack.ListenUdp(new IPEndPoint(IPAddress.Loopback, 0)));
        SocketAddress address = client.LocalEndPoint.Serialize();
        NetOperation<int> waiting = client.StartRead(blocking, new byte[8]).Waiting();
        stranger.StartSendTo(blocking, new byte[5], address).Result();
        server.StartSendTo(blocking, new byte[3], address).Result();
        Assert.Equal(3, waiting.Result());
    }

    /// <summary>udp(7): a peer whose port nobody has refuses, and the socket stays usable.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_peer_that_is_gone_refuses_and_the_socket_stays_usable(bool blocking)
    {
        (UdpConn client, UdpConn server) = Packets();
        IPEndPoint address = server.LocalEndPoint;
        server.Dispose();
        AwaitNobody(address);
        byte[] buffer = new byte[8];
        for (int round = 0; round < 3; round++)
        {
            NetOperation<int> waiting = client.StartRead(blocking, buffer).Waiting();
            client.StartWrite(blocking, One).Result();
            Assert.Equal(SocketError.ConnectionRefused, waiting.Fails().SocketErrorCode);
        }
        server = Own(Stack.ListenUdp(address));
        NetOperation<int> answer = client.StartRead(blocking, buffer).Waiting();
        server.StartSendTo(blocking, new byte[4], client.LocalEndPoint.Serialize()).Result();
        Assert.Equal(4, answer.Result());
    }

    /// <summary>Go: TestReadFromTimeout. A deadline ends a receive, and no packet is lost.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_deadline_ends_a_receive_and_loses_no_packet(bool blocking)
    {
        (UdpConn client, UdpConn server) = Packets();
        SocketAddress sender = new(AddressFamily.InterNetworkV6);
        byte[] buffer = new byte[8];
        server.SetReadDeadline(TimeSpan.FromMilliseconds(5));
        server.StartReceiveFrom(blocking, buffer, sender).TimesOut();
        client.StartWrite(blocking, One).Result();
        server.StartReceiveFrom(blocking, buffer, sender).TimesOut(); // The deadline has passed, though a packet waits.
        server.SetReadDeadline(null);
        Assert.Equal(1, server.StartReceiveFrom(blocking, buffer, sender).Result());
        NetOperation<int> waiting = server.StartReceiveFrom(blocking, buffer, sender).Waiting();
        server.SetDeadline(LongAgo);
        waiting.TimesOut();
        server.StartSendTo(blocking, One, sender).TimesOut();
    }

    /// <summary>Go: TestCloseUnblocksReadUDP. A close ends all receives that wait and that queue.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void A_close_ends_all_receives(bool blocking)
    {
        (_, UdpConn server) = Packets();
        SocketAddress sender = new(AddressFamily.InterNetworkV6);
        NetOperation<int>[] receives = [.. Enumerable.Range(0, 3).Select(_ =>
            server.StartReceiveFrom(blocking, new byte[1], new SocketAddress(AddressFamily.InterNetworkV6)).Waiting())];
        server.Dispose();
        foreach (NetOperation<int> receive in receives) receive.EndsByClose();
        Assert.Throws<ObjectDisposedException>(() => { server.StartReceiveFrom(blocking, new byte[1], sender).Result(); });
        Assert.Throws<ObjectDisposedException>(() => { server.StartReceiveMessage(blocking, new byte[1]).Result(); });
    }

    /// <summary>The contract: concurrent receives take each packet once, with its sender's address.</summary>
    /// <param name="blocking">True for the blocking calls, false for the async ones.</param>
    [Theory, InlineData(false), InlineData(true)]
    public void Concurrent_receives_take_each_packet_once(bool blocking)
    {
        const int Packets = 120, Receivers = 4; // The system's buffer holds as many, so none is lost.
        UdpConn server = Own(Stack.ListenUdp(new IPEndPoint(IPAddress.Loopback, 0)));
        UdpConn[] clients = [.. Enumerable.Range(0, 2).Select(_ => Own(Stack.DialUdp(server.LocalEndPoint)))];
        int[] seen = new int[Packets];
        NetOperation<bool>[] receiving = [.. Enumerable.Range(0, Receivers).Select(_ => NetOperation.Run(blocking, async () =>
        {
            byte[] buffer = new byte[8];
            SocketAddress sender = new(AddressFamily.InterNetworkV6);
            for (int i = 0; i < Packets / Receivers; i++)
            {
                int n = blocking ? server.ReceiveFrom(buffer, sender) : await server.ReceiveFromAsync(buffer, sender).ConfigureAwait(false);
                Assert.Equal(sizeof(int), n);
                int packet = BinaryPrimitives.ReadInt32LittleEndian(buffer);
                Assert.Equal(clients[packet % 2].LocalEndPoint, server.LocalEndPoint.Create(sender));
                Interlocked.Increment(ref seen[packet]);
            }
        }))];
        NetOperation<bool>[] sending = [.. Enumerable.Range(0, 2).Select(client => NetOperation.Run(blocking, async () =>
        {
            byte[] packet = new byte[sizeof(int)];
            for (int i = client; i < Packets; i += 2)
            {
                BinaryPrimitives.WriteInt32LittleEndian(packet, i);
                await clients[client].WriteAsync(blocking, packet).ConfigureAwait(false);
            }
        }))];
        foreach (NetOperation<bool> one in (NetOperation<bool>[])[.. sending, .. receiving]) one.Result();
        Assert.All(seen, static times => Assert.Equal(1, times));
    }

    /// <summary>
    /// After any sequence of sends and receives, blocking or async, each packet has arrived once, in order and with its borders, and each
    /// receive has ended as it must.
    /// </summary>
    [Fact]
    public void Any_order_of_packets_follows_the_model() => new SequenceCheck<PacketCommand, PacketHarness>(
        "The net stack broke the contract of UdpConn",
        PacketCommand.Sequences,
        PacketCommand.MaxLength,
        Worker.Bound,
        shrinkFor: Worker.Bound,
        patience =>
        {
            UdpConn server = Stack.ListenUdp(new IPEndPoint(IPAddress.Loopback, 0)), client = Stack.DialUdp(server.LocalEndPoint);
            return new PacketHarness((client, null), (server, client.LocalEndPoint), patience);
        },
        static _ => { }).Run(Sequences);

    // Returns once datagrams to the address are refused. A child process that somebody starts has a copy of a closed descriptor from its
    // fork(2) to its exec(2).
    private static void AwaitNobody(IPEndPoint address)
    {
        Assert.True(SpinWait.SpinUntil(Refuses, Worker.Bound), $"{address} still takes datagrams");

        bool Refuses()
        {
            using Socket probe = new(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            probe.Connect(address);
            try
            {
                for (int i = 0; i < 2; i++) probe.Send(One); // The second gets the error of the first.
                return false;
            }
            catch (SocketException e)
            {
                return e.SocketErrorCode == SocketError.ConnectionRefused;
            }
        }
    }

    // A socket without a peer, and one whose peer it is.
    private (UdpConn Client, UdpConn Server) Packets()
    {
        UdpConn server = Own(Stack.ListenUdp(new IPEndPoint(IPAddress.Loopback, 0)));
        return (Own(Stack.DialUdp(server.LocalEndPoint)), server);
    }
}
