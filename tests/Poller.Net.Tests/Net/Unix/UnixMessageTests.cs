using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Poller.Net.Tests;

/// <summary>Unix sockets of messages: datagrams, and connections that keep borders. The ideas are those of Go's unixsock_test.go.</summary>
public abstract class UnixMessageTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_datagram_arrives_with_its_senders_address_and_may_be_answered(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn client = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        byte[] buffer = new byte[64];
        SocketAddress sender = new(AddressFamily.Unix);

        Operation<int> receive = server.StartReceiveFrom(blocking, buffer, sender).Waiting();
        await client.SendToAsync(blocking, "question"u8.ToArray(), server.LocalEndPoint);
        Assert.Equal(8, await receive.Within());
        Assert.Equal("question"u8, buffer.AsSpan(0, 8));
        Assert.Equal(client.LocalEndPoint, client.LocalEndPoint.Create(sender));

        Operation<SocketReceiveFromResult> answer = client.StartReceiveFrom(blocking, buffer).Waiting();
        await server.SendToAsync(blocking, "answer"u8.ToArray(), sender);
        SocketReceiveFromResult answered = await answer.Within();
        Assert.Equal("answer"u8, buffer.AsSpan(0, answered.ReceivedBytes));
        Assert.Equal(server.LocalEndPoint, answered.RemoteEndPoint);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_sender_without_a_name_has_the_end_point_without_a_name(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn client = (UnixConn)await fixture.Net.DialAsync("unixgram", server.LocalEndPoint.ToString()).Within();
        Assert.Equal(server.LocalEndPoint, client.RemoteEndPoint);
        byte[] buffer = new byte[64];
        await client.WriteAsync(blocking, "one"u8.ToArray());
        await client.WriteAsync(blocking, "two!"u8.ToArray());
        Assert.Equal(3, await server.StartReceiveFrom(blocking, buffer, new SocketAddress(AddressFamily.Unix)).Within());
        SocketReceiveFromResult second = await server.StartReceiveFrom(blocking, buffer).Within();
        Assert.Equal((4, ""), (second.ReceivedBytes, second.RemoteEndPoint.ToString()));

        // The address held another one before.
        await client.WriteAsync(blocking, "three"u8.ToArray());
        SocketAddress address = new(AddressFamily.Unix);
        server.LocalEndPoint.Serialize().Buffer.CopyTo(address.Buffer);
        Assert.Equal(5, await server.StartReceiveFrom(blocking, buffer, address).Within());
        Assert.Equal("", server.LocalEndPoint.Create(address).ToString());

        // Nobody can answer it.
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => server.WriteAsync(blocking, new byte[1]));
        Assert.Equal(SocketError.NotConnected, e.SocketErrorCode);
        Assert.Contains("an address was expected", e.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.NotConnected, Assert.Throws<NetOpException>(() => server.RemoteEndPoint).SocketErrorCode);
    }

    [Theory, MemberData(nameof(Unix.AllWithMessages), MemberType = typeof(Unix))]
    public async Task Messages_keep_their_borders_and_what_is_cut_is_told(NetpollDispatch dispatch, bool blocking, string network)
    {
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.MessagePairAsync(network);
        using (client)
        using (server)
        {
            byte[] buffer = new byte[16];
            foreach (int length in (int[])[3, 0, 5]) await client.WriteAsync(blocking, new byte[length]);
            Assert.Equal(3, await server.ReadAsync(blocking, buffer));
            Assert.Equal(0, await server.ReadAsync(blocking, buffer)); // An empty message. A connection's end reads the same.
            Assert.Equal(5, await server.ReadAsync(blocking, buffer));

            for (int i = 0; i < 3; i++) await client.WriteAsync(blocking, "12345678"u8.ToArray());
            Assert.Equal(4, await server.ReadAsync(blocking, buffer.AsMemory(0, 4)));
            ReceivedMessage message = await server.StartReceiveMessage(blocking, buffer.AsMemory(0, 4), default).Within();
            Assert.Equal(new ReceivedMessage { Bytes = 4, IsTruncated = true }, message);
            ReceivedHandles handles = await server.StartReceive(blocking, buffer.AsMemory(0, 4), []).Within();
            Assert.Equal(new ReceivedHandles { Bytes = 4, IsTruncated = true }, handles);

            // A gathered write is one message.
            await client.WriteAsync((ReadOnlyMemory<byte>[])["ab"u8.ToArray(), "cd"u8.ToArray()]).Within();
            Assert.Equal(4, await server.ReadAsync(blocking, buffer));
            Assert.Equal("abcd"u8, buffer.AsSpan(0, 4));
        }
    }

    [Fact]
    public async Task A_dialed_socket_of_datagrams_is_answered_at_a_name_that_the_system_chose()
    {
        using Fixture fixture = new();
        using UnixConn server = fixture.Net.ListenUnixgram(new UnixDomainSocketEndPoint("\0"));
        Dialer dialer = new(fixture.Net) { LocalEndPoint = new UnixDomainSocketEndPoint("\0") };
        using Conn client = await dialer.DialAsync("unixgram", server.LocalEndPoint.ToString()).Within();
        Assert.StartsWith("@", client.LocalEndPoint.ToString(), StringComparison.Ordinal);
        await client.WriteAsync(new byte[] { 1 });
        SocketReceiveFromResult received = await server.ReceiveFromAsync(new byte[4]).Within();
        Assert.Equal(client.LocalEndPoint, received.RemoteEndPoint);
        await server.SendToAsync(new byte[] { 2, 3 }, received.RemoteEndPoint).Within();
        Assert.Equal(2, await client.ReadAsync(new byte[4]).Within());
    }

    [Theory, MemberData(nameof(Unix.AllWithMessages), MemberType = typeof(Unix))]
    public async Task A_writer_to_a_full_receiver_waits_until_it_reads(NetpollDispatch dispatch, bool blocking, string network)
    {
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.MessagePairAsync(network);
        using (client)
        using (server)
        {
            int written = 0;
            Operation<int> writing;
            do
            {
                writing = client.StartWrite(blocking, new byte[1000]);
                written++;
            }
            while (!writing.Waits());
            await Operation.Run(blocking, async () =>
            {
                byte[] buffer = new byte[2000];
                for (int i = 0; i < written; i++) Assert.Equal(1000, await server.ReadAsync(blocking, buffer).ConfigureAwait(false));
            }).Within();
            Assert.Equal(1000, await writing.Within());
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_send_to_a_full_receiver_waits_and_ends_as_every_operation(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn others = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn client = fixture.Net.ListenUnixgram(directory.NewEndPoint());

        // What fills the receiver comes from another sender, so its room is no news of this sender.
        int filled = 0;
        using (CancellationTokenSource cancel = new())
        {
            while (true)
            {
                Task sending = others.SendToAsync(new byte[10], server.LocalEndPoint, cancel.Token).AsTask();
                if (!sending.IsCompleted)
                {
                    await cancel.CancelAsync();
                    await Assert.ThrowsAnyAsync<OperationCanceledException>(sending.Within);
                    break;
                }
                await sending;
                filled++;
            }
        }

        client.WriteTimeout = 20;
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(client.StartSendTo(blocking, new byte[5], server.LocalEndPoint).Within);
        Assert.True(e.IsTimeout, e.Message);
        Assert.Contains("the time-out of 20 ms passed", e.Message, StringComparison.Ordinal);
        client.WriteTimeout = Timeout.Infinite;

        client.SetWriteDeadline(TimeSpan.FromMilliseconds(5));
        e = await Assert.ThrowsAsync<NetOpException>(client.StartSendTo(blocking, new byte[5], server.LocalEndPoint).Within);
        Assert.True(e.IsTimeout, e.Message);
        client.SetWriteDeadline(null);

        Operation<bool> waiting = client.StartSendTo(blocking, new byte[5], server.LocalEndPoint).Waiting();
        for (int i = 0; i < filled; i++) Assert.Equal(10, await server.ReadAsync(blocking, new byte[64]));
        await waiting.Within();
        Assert.Equal(5, await server.ReadAsync(blocking, new byte[64]));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Sends_to_a_full_receiver_keep_their_order(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn client = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        List<Operation<bool>> sends = [];
        while (!Send().Waits()) { }
        int full = sends.Count;
        for (int i = 0; i < 8; i++) Send().Waiting();

        // Each send that begins when there is room would overtake those that wait.
        int received = 0;
        byte[] buffer = new byte[sizeof(int)];
        for (; received < 4; received++)
        {
            await ReceiveAsync();
            Send().Waits();
        }
        for (; received < full + 12; received++) await ReceiveAsync();
        foreach (Operation<bool> send in sends) await send.Within();

        Operation<bool> Send()
        {
            sends.Add(client.StartSendTo(blocking, BitConverter.GetBytes(sends.Count), server.LocalEndPoint));
            return sends[^1];
        }

        async Task ReceiveAsync()
        {
            Assert.Equal(sizeof(int), await server.ReadAsync(blocking, buffer).WaitAsync(Fixture.Patience));
            Assert.Equal(received, BitConverter.ToInt32(buffer));
        }
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_send_to_a_full_receiver_tries_by_its_clock_alone(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        SteppedClock clock = new();
        CountingApi api = new();
        using Fixture fixture = new(dispatch, clock: clock, api: api);
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn others = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using UnixConn client = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        await others.FillAsync(server);

        // The clock stands. poll(2) calls the socket writable in each of the loop's turns, and each try raises an edge.
        int before = api.Sends;
        int timers = clock.Timers;
        Operation<bool> sending = client.StartSendTo(blocking, new byte[2], server.LocalEndPoint).Waiting();
        (UnixConn near, UnixConn far) = await fixture.UnixPairAsync();
        using (near)
        using (far)
        {
            for (int i = 0; i < 20; i++)
            {
                Operation<int> turn = near.StartRead(blocking, new byte[1]).Waiting();
                await far.WriteAsync(blocking, new byte[1]);
                await turn.Within();
            }
        }
        Assert.Equal(before + 1, api.Sends);

        // A timer of the clock would fire on the thread pool, whose threads may all be in blocking sends.
        Assert.Equal(timers, clock.Timers);

        while (await server.ReadAsync(blocking, new byte[8]).WaitAsync(Fixture.Patience) == 1) clock.Advance(TimeSpan.FromMilliseconds(32));
        await sending.Within();
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task A_close_ends_a_send_to_a_full_receiver(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        UnixConn client = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        Operation<bool> sending;
        do sending = client.StartSendTo(blocking, new byte[10], server.LocalEndPoint);
        while (!sending.Waits());
        client.Dispose();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(sending.Within);
        Assert.True(e.IsClosed, e.Message);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.SendToAsync(blocking, new byte[1], server.LocalEndPoint));
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Sends_that_fail_say_what_was_expected(NetpollDispatch dispatch, bool blocking)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        using UnixConn client = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        UnixDomainSocketEndPoint nobody = directory.NewEndPoint();
        NetOpException e = await Fails(() => client.SendToAsync(blocking, new byte[1], nobody));
        Assert.Equal(SocketError.AddressNotAvailable, e.SocketErrorCode);
        Assert.StartsWith($"send to unixgram {client.LocalEndPoint}->{nobody}: ", e.Message, StringComparison.Ordinal);
        Assert.Contains("there is none", e.Message, StringComparison.Ordinal);

        using (UnixConn left = fixture.Net.ListenUnixgram(nobody)) left.UnlinkOnClose = false;
        Udp.AwaitNobody(nobody);
        e = await Fails(() => client.SendToAsync(blocking, new byte[1], nobody));
        Assert.Equal(SocketError.ConnectionRefused, e.SocketErrorCode);

        using UnixConnListener stream = fixture.Net.ListenUnix(directory.NewEndPoint());
        e = await Fails(() => client.SendToAsync(blocking, new byte[1], stream.LocalEndPoint));
        Assert.Equal(SocketError.ProtocolType, e.SocketErrorCode);

        using UnixConn server = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        e = await Fails(() => client.SendToAsync(blocking, new byte[8 << 20], server.LocalEndPoint));
        Assert.Equal(SocketError.MessageSize, e.SocketErrorCode);
        Assert.Contains("8388608 bytes", e.Message, StringComparison.Ordinal);

        using UnixConn dialed = (UnixConn)await fixture.Net.DialAsync("unixgram", server.LocalEndPoint.ToString()).Within();
        e = await Fails(() => dialed.SendToAsync(blocking, new byte[1], client.LocalEndPoint));
        Assert.Equal(SocketError.IsConnected, e.SocketErrorCode);
        e = Assert.Throws<NetOpException>(dialed.CloseWrite);
        Assert.Equal(SocketError.OperationNotSupported, e.SocketErrorCode);
        e = Assert.Throws<NetOpException>(() => dialed.GetPeerCredentials());
        Assert.Equal(SocketError.NotConnected, e.SocketErrorCode);
        Assert.Throws<ArgumentException>(() => client.SendTo([1], Raw.AnyLoopbackPort));

        // The receiver goes: a write fails, and the socket stays usable.
        EndPoint gone = server.LocalEndPoint;
        server.UnlinkOnClose = false;
        server.Dispose();
        Udp.AwaitNobody(gone);
        e = await Fails(() => dialed.WriteAsync(blocking, new byte[1]));
        Assert.Equal(SocketError.ConnectionRefused, e.SocketErrorCode);

        static Task<NetOpException> Fails(Func<Task> send) => Assert.ThrowsAsync<NetOpException>(send);
    }

    [Fact]
    public async Task An_address_that_no_Unix_socket_has_is_refused_and_named()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        using UnixConn client = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        SocketAddress ip = Raw.AnyLoopbackPort.Serialize(), large = new(AddressFamily.Unix, 200);
        Func<ValueTask>[] sends =
        [
            () => client.SendToAsync(new byte[1], ip),
            () => client.SendToAsync(new byte[1], large),
            () => client.SendMessageAsync(new byte[1], default, ip),
        ];
        foreach (Func<ValueTask> send in sends)
        {
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => send().AsTask().Within());
            Assert.Equal(SocketError.InvalidArgument, e.SocketErrorCode);
            Assert.Contains("an address of a Unix socket was expected", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_file_of_a_socket_of_datagrams_goes_with_it()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        using (IPacketConn conn = fixture.Net.ListenPacket("unixgram", directory.NewPath())) Assert.Single(directory.Files);
        Assert.Empty(directory.Files);
        using (UnixConn conn = fixture.Net.ListenUnixgram(directory.NewEndPoint())) conn.UnlinkOnClose = false;
        Assert.Single(directory.Files);
        using IPacketConn chosen = fixture.Net.ListenPacket("unixgram", "");
        Assert.Matches("^@[0-9a-f]{5}$", chosen.LocalEndPoint.ToString()!);
    }

    [Theory, InlineData("unix"), InlineData("unixgram"), InlineData("unixpacket")]
    public async Task A_dialed_socket_has_the_name_that_its_dialer_gives_it_and_its_file_goes_with_it(string network)
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        string path = directory.NewPath();
        UnixDomainSocketEndPoint own = directory.NewEndPoint();
        using IDisposable server = network == "unixgram" ? fixture.Net.ListenPacket(network, path) : fixture.Net.Listen(network, path);
        Dialer dialer = new(fixture.Net) { LocalEndPoint = own };
        using (Conn conn = await dialer.DialAsync(network, path).AsTask().Within())
        {
            Assert.Equal(own, conn.LocalEndPoint);
            Assert.True(File.Exists(own.ToString()));
            if (server is ConnListener listener)
            {
                using Conn accepted = listener.Accept();
                Assert.Equal(own, accepted.RemoteEndPoint);
            }

            // The path is taken, and a dial that fails leaves the file of the other.
            NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => dialer.DialAsync(network, path).AsTask().Within());
            Assert.Equal(SocketError.AddressAlreadyInUse, e.SocketErrorCode);
            Assert.True(File.Exists(own.ToString()));
        }
        Assert.False(File.Exists(own.ToString()));

        // Nor does a dial that fails after the bind leave its own.
        await Assert.ThrowsAsync<NetOpException>(() => dialer.DialAsync(network, directory.NewPath()).AsTask().Within());
        Assert.False(File.Exists(own.ToString()));
    }

    [Fact]
    public void Each_form_of_listening_says_which_networks_it_takes()
    {
        using Fixture fixture = new();
        ArgumentException e = Assert.Throws<ArgumentException>("network", () => fixture.Net.Listen("unixgram", "@x"));
        Assert.Contains("unix or unixpacket", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<ArgumentException>("network", () => fixture.Net.ListenPacket("unix", "@x"));
        Assert.Contains("unixgram", e.Message, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Forms.All), MemberType = typeof(Forms))]
    public async Task Control_data_goes_with_the_first_byte_of_a_stream_and_with_a_datagram(NetpollDispatch dispatch, bool blocking)
    {
        const int Rights = 1, SocketLevel = 1;
        using SocketDirectory directory = new();
        using Fixture fixture = new(dispatch);
        (UnixConn client, UnixConn server) = await fixture.UnixPairAsync();
        using (client)
        using (server)
        using (UnixConn from = fixture.Net.ListenUnixgram(directory.NewEndPoint()))
        using (UnixConn to = fixture.Net.ListenUnixgram(directory.NewEndPoint()))
        using (Fd file = Fd.EventFd())
        {
            byte[] control = new byte[ControlWriter.SpaceFor(sizeof(int))];
            WriteRights(control, file.Number);
            byte[] sent = new byte[1 << 20], received = new byte[1 << 20], room = new byte[64];

            Operation<bool> sending = client.StartSendMessage(blocking, sent, control, null).Waiting();
            ReceivedMessage first = await server.StartReceiveMessage(blocking, received, room).Within();
            CloseRights(room.AsSpan(0, first.ControlBytes));
            await server.ReadExactlyAsync(blocking, received.AsMemory(first.Bytes));
            await sending.Within();

            await from.StartSendMessage(blocking, "x"u8.ToArray(), control, to.LocalEndPoint.Serialize()).Within();
            SocketAddress sender = new(AddressFamily.Unix);
            ReceivedMessage message = await to.StartReceiveMessage(blocking, received, room, sender).Within();
            Assert.Equal(1, message.Bytes);
            Assert.Equal(from.LocalEndPoint, from.LocalEndPoint.Create(sender));
            CloseRights(room.AsSpan(0, message.ControlBytes));

            await from.StartSendMessage(blocking, "x"u8.ToArray(), control, to.LocalEndPoint.Serialize()).Within();
            message = await to.StartReceiveMessage(blocking, received, default).Within();
            Assert.Equal(new ReceivedMessage { Bytes = 1, IsControlTruncated = true }, message);
            await Assert.ThrowsAsync<ArgumentException>(() => client.StartSendMessage(blocking, default, control, null).Within());
        }

        static void WriteRights(byte[] control, int fd) =>
            new ControlWriter(control).Write(SocketLevel, Rights, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in fd)));

        static void CloseRights(ReadOnlySpan<byte> control)
        {
            ControlReader reader = new(control);
            Assert.True(reader.TryRead(out ControlItem item));
            Assert.Equal((SocketLevel, Rights, sizeof(int)), (item.Level, item.Type, item.Data.Length));
            new Fd(MemoryMarshal.Read<int>(item.Data)).Dispose();
            Assert.False(reader.TryRead(out _));
        }
    }

    [Fact]
    public async Task A_peer_of_NET_exchanges_datagrams()
    {
        using SocketDirectory directory = new();
        using Fixture fixture = new();
        using UnixConn ours = fixture.Net.ListenUnixgram(directory.NewEndPoint());
        using Socket theirs = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        UnixDomainSocketEndPoint name = directory.NewEndPoint();
        theirs.Bind(name);
        theirs.SendTo("ping"u8.ToArray(), ours.LocalEndPoint);
        byte[] buffer = new byte[16];
        SocketReceiveFromResult received = await ours.ReceiveFromAsync(buffer).AsTask().Within();
        Assert.Equal((4, name.ToString()), (received.ReceivedBytes, received.RemoteEndPoint.ToString()));
        await ours.SendToAsync("pong!"u8.ToArray(), received.RemoteEndPoint).Within();
        Assert.Equal(5, theirs.Receive(buffer));

        // What was bound elsewhere is adopted with its name, and the file stays its maker's.
        using (UnixConn adopted = (UnixConn)fixture.Net.AdoptConn(theirs.SafeHandle))
        {
            Assert.Equal(name, adopted.LocalEndPoint);
            await adopted.SendToAsync("x"u8.ToArray(), ours.LocalEndPoint).Within();
            Assert.Equal(1, await ours.ReadAsync(buffer).Within());
        }
        Assert.True(File.Exists(name.ToString()));
    }

    private sealed class CountingApi : ForwardingSocketApi
    {
        private int _sends;

        public int Sends => Volatile.Read(ref _sends);

        public override IoResult SendTo(nint fd, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> address)
        {
            if (!address.IsEmpty) Interlocked.Increment(ref _sends);
            return base.SendTo(fd, buffer, address);
        }
    }
}
