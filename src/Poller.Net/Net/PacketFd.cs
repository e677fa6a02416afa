using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of FD.ReadFrom, WriteTo, ReadMsg and WriteMsg in Go's internal/poll/fd_unix.go, of netFD.listenDatagram in net/sock_posix.go,
// and of net/udpsock_posix.go and iprawsock_posix.go: a socket of packets.
//
// An IPv4 peer of a dual-stack socket has an IPv4-mapped address in the system. The user sees and gives the IPv4 address: a receive turns
// the address round in the user's buffer, and a send does so in a copy.

/// <summary>
/// A socket of packets, which has a peer or has none. It is also the base of Unix sockets of every kind, for their messages.
/// </summary>
internal partial class PacketFd : NetFd
{
    private const string ReceiveFromName = "receive from";
    private protected const string SendToName = "send to";
    private const string ReceiveMessageName = "receive message";
    private protected const string SendMessageName = "send message";

    // Constant.
    private readonly AddressFamily _family;
    private readonly bool _isDualStack;
    private readonly bool _hasPeer;

    protected PacketFd(SocketNetwork network, nint fd, AddressFamily family, bool isDualStack, EndPoint? remote)
        : base(network, fd, remote)
    {
        _family = family;
        _isDualStack = isDualStack;
        _hasPeer = remote is not null || network.HasConnections;
    }

    protected override string ObjectName => _network.IsRaw ? nameof(IpConn) : nameof(UdpConn);

    public override Conn ToConn() => _network.IsRaw ? new IpConn(this) : new UdpConn(this);

    /// <summary>Binds a socket without a peer. A multicast address means every address of the machine, shared with other sockets.</summary>
    public static PacketFd Listen(Netpoller poller, SocketNetwork network, EndPoint local, ListenOptions options)
    {
        if (local is not IPEndPoint ip || !IsMulticast(ip.Address))
        {
            return Open("listen", poller, network, local, null, options.Control, options, isShared: false);
        }
        IPAddress wildcard = ip.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any;
        return Open("listen", poller, network, new IPEndPoint(wildcard, ip.Port), null, options.Control, options, isShared: true);
    }

    /// <summary>Creates a socket with a peer, which never waits. It takes ownership of the addresses.</summary>
    public static PacketFd Connect(Dialer dialer, SocketNetwork network, EndPoint? local, EndPoint remote) =>
        Open("dial", dialer.Stack.Poller, network, local, remote, dialer.Control, ListenOptions.Default, isShared: false);

    /// <inheritdoc cref="NetFd.Adopt(Netpoller, SocketNetwork, nint)"/>
    public static PacketFd Adopt(Netpoller poller, SocketNetwork network, nint fd, AddressFamily family)
    {
        Span<byte> peer = stackalloc byte[SocketAddressBytes.MaxLength];
        IoResult named = network.Api.PeerName(fd, peer, out int length);
        EndPoint? remote = named.IsSuccess ? SocketAddressBytes.ToEndPoint(network.Family, peer[..length]) : null;
        bool isDualStack = family == AddressFamily.InterNetworkV6
            && network.Api.GetOption(fd, SocketOptionLevel.IPv6, SocketOptionName.IPv6Only, out int only).IsSuccess && only == 0;
        return Adopt(poller, new PacketFd(network, fd, family, isDualStack, remote));
    }

    private static PacketFd Open(
        string operation,
        Netpoller poller,
        SocketNetwork network,
        EndPoint? local,
        EndPoint? remote,
        SocketControl? control,
        ListenOptions options,
        bool isShared)
    {
        bool dualStack = remote is null && (options.DualStack ?? network.IsDualStackAt(local!));
        AddressFamily family = (remote ?? local!).AddressFamily;
        using NewSocket socket = new(operation, poller, network, local, remote);
        if (!network.IsUnix) socket.Set(SocketOptionLevel.Socket, SocketOptionName.Broadcast, true);
        if (family == AddressFamily.InterNetworkV6 && remote is null)
        {
            socket.Set(SocketOptionLevel.IPv6, SocketOptionName.IPv6Only, !dualStack);
        }
        if (isShared) socket.Set(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        if (options.ReusePort) socket.Set(SocketOptionLevel.Socket, SocketOptions.ReusePort, true);
        socket.Bind(control);
        if (remote is not null) socket.Check(network.Api.Connect(socket.Fd, SocketAddressBytes.Of(remote)));
        return socket.Init(socket.Take(network.IsUnix
            ? new UnixFd(network, socket.Fd, remote, socket.File)
            : new PacketFd(network, socket.Fd, family, dualStack, remote)));
    }

    public ValueTask<int> ReceiveFromAsync(Memory<byte> buffer, SocketAddress address, CancellationToken token)
    {
        CheckRoom(address);
        ReceiveFromAttempt attempt = new(buffer, address);
        return StartAsync<ReceiveFromAttempt, int>(Direction.Read, ref attempt, token);
    }

    public ValueTask<SocketReceiveFromResult> ReceiveFromAsync(Memory<byte> buffer, CancellationToken token)
    {
        ReceiveEndPointAttempt attempt = new(buffer);
        return StartAsync<ReceiveEndPointAttempt, SocketReceiveFromResult>(Direction.Read, ref attempt, token);
    }

    public ValueTask<ReceivedMessage> ReceiveMessageAsync(
        Memory<byte> buffer, Memory<byte> control, SocketAddress? address, CancellationToken token)
    {
        if (address is not null) CheckRoom(address);
        ReceiveMessageAttempt attempt = new(buffer, control, address);
        return StartAsync<ReceiveMessageAttempt, ReceivedMessage>(Direction.Read, ref attempt, token);
    }

    public ValueTask SendToAsync(ReadOnlyMemory<byte> buffer, SocketAddress address, CancellationToken token)
    {
        SendAttempt attempt = new(SendToName, buffer, default, address, 0);
        return StartAsync(Direction.Write, ref attempt, token);
    }

    public ValueTask SendMessageAsync(
        ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SocketAddress? address, CancellationToken token)
    {
        SendAttempt attempt = new(SendMessageName, buffer, control, address, 0);
        return StartAsync(Direction.Write, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="ReceiveFromAsync(Memory{byte}, SocketAddress, CancellationToken)"/>.</summary>
    public int ReceiveFrom(Span<byte> buffer, SocketAddress address)
    {
        CheckRoom(address);
        Receiving receiving = new() { Buffer = buffer, Address = address };
        return RunBlocking(Direction.Read, ReceiveFromName, ref receiving, static (fd, ref receiving) =>
            ((PacketFd)fd).TryReceiveFrom(receiving.Buffer, receiving.Address!));
    }

    /// <summary>The blocking form of <see cref="ReceiveFromAsync(Memory{byte}, CancellationToken)"/>.</summary>
    public SocketReceiveFromResult ReceiveFrom(Span<byte> buffer)
    {
        Receiving receiving = new() { Buffer = buffer };
        RunBlocking(Direction.Read, ReceiveFromName, ref receiving, static (fd, ref receiving) =>
            ((PacketFd)fd).TryReceiveFrom(receiving.Buffer, out receiving.Result));
        return receiving.Result;
    }

    /// <summary>The blocking form of <see cref="ReceiveMessageAsync"/>.</summary>
    public ReceivedMessage ReceiveMessage(Span<byte> buffer, Span<byte> control, SocketAddress? address)
    {
        if (address is not null) CheckRoom(address);
        Receiving receiving = new() { Buffer = buffer, Control = control, Address = address };
        RunBlocking(Direction.Read, ReceiveMessageName, ref receiving, static (fd, ref receiving) =>
            ((PacketFd)fd).TryReceiveMessage(receiving.Buffer, receiving.Control, receiving.Address, out receiving.Message));
        return receiving.Message;
    }

    /// <summary>The blocking form of <see cref="SendToAsync"/>.</summary>
    public void SendTo(ReadOnlySpan<byte> buffer, SocketAddress address) => Send(SendToName, buffer, default, address, 0);

    /// <summary>The blocking form of <see cref="SendMessageAsync"/>.</summary>
    public void SendMessage(ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SocketAddress? address) =>
        Send(SendMessageName, buffer, control, address, 0);

    protected override PollDesc Enter(PollLoop loop)
    {
        // An error of such a socket is an answer to a packet. A system call returns it, and the socket goes on.
        PollDesc desc = base.Enter(loop);
        desc.LetErrorsPass();
        return desc;
    }

    private static bool IsMulticast(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetworkV6
            ? address.IsIPv6Multicast
            : address.GetAddressBytes()[0] is >= 224 and <= 239;

    private void Send(string name, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SocketAddress? address, int segmentSize)
    {
        Sending sending = new() { Name = name, Buffer = buffer, Control = control, Address = address, SegmentSize = segmentSize };
        RunBlocking(Direction.Write, name, ref sending, static (fd, ref sending) =>
            ((PacketFd)fd).TrySend(sending.Name, sending.Buffer, sending.Control, sending.Address, sending.SegmentSize));
    }

    private void CheckRoom(SocketAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        int expected = SocketAddressBytes.RoomFor(_family);
        if (address.Buffer.Length >= expected) return;
        string example = $"new SocketAddress(AddressFamily.{_family})";
        throw new ArgumentException(
            $"the address has room for {address.Buffer.Length} bytes; {expected} were expected, as in {example}.", nameof(address));
    }

    private IoResult TryReceiveFrom(Span<byte> buffer, SocketAddress address)
    {
        IoResult result = TryReceiveFrom(buffer, address.Buffer.Span, out int length);
        if (result.IsSuccess) SetAddress(address, length);
        return result;
    }

    private IoResult TryReceiveFrom(Span<byte> buffer, out SocketReceiveFromResult received)
    {
        Span<byte> sender = stackalloc byte[SocketAddressBytes.MaxLength];
        IoResult result = TryReceiveFrom(buffer, sender, out int length);
        received = default;
        if (!result.IsSuccess) return result;
        received.ReceivedBytes = result.Value;
        received.RemoteEndPoint = SocketAddressBytes.ToEndPoint(_network.Family, sender[..length])!;
        return result;
    }

    private IoResult TryReceiveFrom(Span<byte> buffer, Span<byte> sender, out int length)
    {
        IoResult result;
        do
        {
            result = Api.ReceiveFrom(Fd, buffer, sender, out length);
        }
        while (result == Errno.EINTR);
        NoteBytes(Direction.Read, result);
        return result.IsSuccess ? WithoutHeader(buffer, result.Value) : result;
    }

    private IoResult TryReceiveMessage(Span<byte> buffer, Span<byte> control, SocketAddress? address, out ReceivedMessage received)
    {
        // The segment size comes as control data, also if the user wants none.
        bool joins = ReceivesSegments;
        bool usesOurs = control.IsEmpty && joins;
        scoped Span<byte> room = usesOurs ? stackalloc byte[MessageBatch.ControlRoom] : control;
        IoResult result;
        MessageInfo info;
        Span<byte> sender = address is null ? default : address.Buffer.Span;
        do
        {
            result = Api.ReceiveMessage(Fd, buffer, sender, room, out info);
        }
        while (result == Errno.EINTR);
        NoteBytes(Direction.Read, result);
        received = default;
        if (!result.IsSuccess) return result;
        if (address is not null) SetAddress(address, info.AddressLength);
        int segmentSize = joins ? SegmentSizeIn(room[..info.ControlLength]) : 0;
        received = new ReceivedMessage
        {
            Bytes = result.Value,
            ControlBytes = usesOurs ? 0 : info.ControlLength,
            IsTruncated = info.IsTruncated,
            IsControlTruncated = info.IsControlTruncated && !(usesOurs && segmentSize > 0), // The user wanted the size alone.
            SegmentSize = segmentSize,
        };
        return result;
    }

    private protected IoResult TrySend(
        string name, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> control, SocketAddress? address, int segmentSize)
    {
        if (address is not null && _hasPeer) throw RefusedTo(name, address, Errno.EISCONN, buffer.Length);
        Span<byte> turned = stackalloc byte[SocketAddressBytes.MaxLength];
        ReadOnlySpan<byte> to =
            address is null ? default : SocketAddressBytes.ForFamily(_family, address.Buffer.Span[..address.Size], turned);
        Span<byte> segments = stackalloc byte[SegmentSizeRoom];
        scoped ReadOnlySpan<byte> with = segmentSize != 0 ? SegmentControl(segmentSize, segments) : control;
        IoResult result;
        do
        {
            result = with.IsEmpty ? Api.SendTo(Fd, buffer, to) : Api.SendMessage(Fd, buffer, to, with);
        }
        while (result == Errno.EINTR);
        NoteBytes(Direction.Write, result);
        if (result.IsSuccess || result == Errno.EAGAIN) return result;
        throw RefusedTo(name, address, result.Errno, buffer.Length, segmentSize);
    }

    private void SetAddress(SocketAddress address, int length)
    {
        Span<byte> bytes = address.Buffer.Span;
        if (_family == AddressFamily.Unix && length < SocketAddressBytes.UnnamedLength)
        {
            // The system writes nothing for a sender without a name.
            SocketAddressBytes.Of(SocketAddressBytes.Unnamed).CopyTo(bytes);
            length = SocketAddressBytes.UnnamedLength;
        }
        bool isMapped = _family == AddressFamily.InterNetworkV6 && SocketAddressBytes.IsMapped(bytes[..length]);
        address.Size = isMapped ? SocketAddressBytes.Unmap(bytes) : length;
    }

    // A raw IPv4 socket receives the packet with its IP header, and a user of Go's ReadFrom gets what follows.
    private int WithoutHeader(Span<byte> buffer, int length)
    {
        if (!_network.IsRaw || _family != AddressFamily.InterNetwork || length < 20) return length;
        int header = (buffer[0] & 0xf) * sizeof(uint);
        if (header < 20 || header > length) return length;
        buffer[header..length].CopyTo(buffer);
        return length - header;
    }

    // The error of a send names the address that it went to.
    private NetOpException RefusedTo(string name, SocketAddress? address, Errno error, int length, int segmentSize = 0)
    {
        EndPoint? to = address is null ? null : EndPointOf(address);
        string ours = _network.IsUnix ? "a Unix socket" : "IPv4 or IPv6";
        string? hint = address is not null && to is null
            ? $"{address.Size} bytes of {address.Family} were given, and an address of {ours} was expected"
            : HintForSend(error, to, length, segmentSize) ?? HintFor(name, error);
        return Refused(name, error, hint, to);
    }

    // Null for what is no address of the network. The caller may have given anything.
    private EndPoint? EndPointOf(SocketAddress address)
    {
        bool isOurs = _network.IsUnix
            ? address.Family == AddressFamily.Unix
            : address.Family is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6;
        return isOurs && address.Size <= SocketAddressBytes.RoomFor(address.Family)
            ? SocketAddressBytes.ToEndPoint(_network.Family, address.Buffer.Span[..address.Size])
            : null;
    }

    private string? HintForSend(Errno error, EndPoint? to, int length, int segmentSize) =>
        error == Errno.EISCONN ? "the socket has a peer; Write, which sends to it, was expected"
        : error == Errno.EDESTADDRREQ ? "the socket has no peer; an address was expected"
        : segmentSize != 0 && (error == Errno.EMSGSIZE || error == Errno.EINVAL) ? HintForSegments(length, segmentSize)
        : error == Errno.EMSGSIZE ? HintForLength(length)
        : to is IPEndPoint { Port: 0 } && !_network.IsRaw ? "a port from 1 to 65535 was expected"
        : error == Errno.EAFNOSUPPORT && _family == AddressFamily.InterNetwork ? "an IPv4 address was expected"
        : error == Errno.ENETUNREACH && to?.AddressFamily == AddressFamily.InterNetwork && _family == AddressFamily.InterNetworkV6
            && !_isDualStack ? "an IPv6 address was expected"
        : null;

    /// <summary>The operands of a blocking receive, and what it received.</summary>
    private ref struct Receiving
    {
        public Span<byte> Buffer;
        public Span<byte> Control;
        public SocketAddress? Address;
        public SocketReceiveFromResult Result;
        public ReceivedMessage Message;
    }

    /// <summary>The operands of a blocking send.</summary>
    private ref struct Sending
    {
        public string Name;
        public ReadOnlySpan<byte> Buffer;
        public ReadOnlySpan<byte> Control;
        public SocketAddress? Address;
        public int SegmentSize;
    }

    private struct ReceiveFromAttempt(Memory<byte> buffer, SocketAddress address) : IAttempt<int>
    {
        private Memory<byte> _buffer = buffer;
        private SocketAddress? _address = address;

        public int Result { get; private set; }

        public readonly string Name => ReceiveFromName;

        public IoResult Try(PollFd fd)
        {
            IoResult result = ((PacketFd)fd).TryReceiveFrom(_buffer.Span, _address!);
            if (result.IsSuccess) Result = result.Value;
            return result;
        }

        public void Release()
        {
            _buffer = default;
            _address = null;
        }
    }

    private struct ReceiveEndPointAttempt(Memory<byte> buffer) : IAttempt<SocketReceiveFromResult>
    {
        private Memory<byte> _buffer = buffer;
        private SocketReceiveFromResult _result;

        public readonly SocketReceiveFromResult Result => _result;

        public readonly string Name => ReceiveFromName;

        public IoResult Try(PollFd fd) => ((PacketFd)fd).TryReceiveFrom(_buffer.Span, out _result);

        public void Release() => _buffer = default;
    }

    private struct ReceiveMessageAttempt(Memory<byte> buffer, Memory<byte> control, SocketAddress? address) : IAttempt<ReceivedMessage>
    {
        private Memory<byte> _buffer = buffer;
        private Memory<byte> _control = control;
        private SocketAddress? _address = address;
        private ReceivedMessage _result;

        public readonly ReceivedMessage Result => _result;

        public readonly string Name => ReceiveMessageName;

        public IoResult Try(PollFd fd) => ((PacketFd)fd).TryReceiveMessage(_buffer.Span, _control.Span, _address, out _result);

        public void Release()
        {
            _buffer = _control = default;
            _address = null;
        }
    }

    /// <summary>A send of one packet, or of one buffer that the system splits.</summary>
    private struct SendAttempt(
        string name, ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SocketAddress? address, int segmentSize) : IAttempt<int>
    {
        private ReadOnlyMemory<byte> _buffer = buffer;
        private ReadOnlyMemory<byte> _control = control;
        private SocketAddress? _address = address;

        public int Result { get; private set; }

        public readonly string Name => name;

        public IoResult Try(PollFd fd)
        {
            IoResult result = ((PacketFd)fd).TrySend(name, _buffer.Span, _control.Span, _address, segmentSize);
            if (result.IsSuccess) Result = result.Value;
            return result;
        }

        public void Release()
        {
            _buffer = _control = default;
            _address = null;
        }
    }
}
