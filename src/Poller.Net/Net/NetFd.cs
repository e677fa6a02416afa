using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of netFD in Go's net/fd_unix.go and net/fd_posix.go: a descriptor that knows its network and addresses.

/// <summary>A socket of the net layer.</summary>
internal partial class NetFd : SocketFd
{
    // Constant. The peer's IPv4 address that accept(2) returned, packed; 0 for none. We create the object on first use, because few ask for
    // it.
    private readonly ulong _peer;

    // Created on first use; every writer creates an equal one. The getters return copies, because whoever holds an IPEndPoint can change
    // it.
    private EndPoint? _local;
    private EndPoint? _remote;

    public NetFd(SocketNetwork network, nint fd, EndPoint? remote = null)
        : base(network, fd) => _remote = remote;

    /// <summary>Takes ownership of an accepted descriptor. <paramref name="peer"/> is the peer's address as the system wrote it.</summary>
    public NetFd(SocketNetwork network, nint fd, ReadOnlySpan<byte> peer)
        : this(network, fd)
    {
        if (!SocketAddressBytes.TryPack(peer, out _peer)) _remote = SocketAddressBytes.ToEndPoint(network.Family, peer);
    }

    /// <summary>A descriptor of the kind that the network's connections have. It takes ownership of the number.</summary>
    public static NetFd Create(SocketNetwork network, nint fd, EndPoint? remote = null) =>
        network.IsUnix ? new UnixFd(network, fd, remote) : new NetFd(network, fd, remote);

    public string Network => _network.Name;

    public override string Description => NetOpException.Describe(Network, _local, _remote ?? UnpackPeer());

    public bool IsTcp => _network.IsTcp;

    public bool IsUnix => _network.IsUnix;

    public bool IsStream => _network.IsStream;

    /// <exception cref="ObjectDisposedException">The descriptor was closed before anyone had read the address.</exception>
    /// <exception cref="NetOpException">The system no longer knows the address.</exception>
    public EndPoint LocalEndPoint => EndPoints.Copy(_local ??= GetName("get LocalEndPoint", remote: false));

    /// <inheritdoc cref="LocalEndPoint"/>
    public EndPoint RemoteEndPoint => EndPoints.Copy(_remote ??= UnpackPeer() ?? GetName("get RemoteEndPoint", remote: true));

    /// <summary>Shows a new socket to the caller's function, if there is one. The twin of the calls of ctrlCtxFn.</summary>
    public static void RunControl(
        SocketControl? control, nint fd, SocketNetwork network, string operation, EndPoint? local, EndPoint? remote)
    {
        if (control is null) return;
        EndPoint address = remote ?? local!;
        try
        {
            control(fd, network.NameFor(address.AddressFamily), EndPoints.Copy(address));
        }
#pragma warning disable CA1031 // If the caller's function throws, this socket fails with that exception.
        catch (Exception e)
#pragma warning restore CA1031
        {
            throw NetOpException.ControlFailed(operation, network.Name, local, remote, e);
        }
    }

    /// <summary>
    /// Connects, within <paramref name="timeout"/>. If that fails, it closes the descriptor. It takes ownership of the addresses. The twin
    /// of netFD.dial and netFD.connect.
    /// </summary>
    public static async ValueTask<NetFd> ConnectAsync(
        Dialer dialer, SocketNetwork network, EndPoint? local, EndPoint remote, DialMode mode, TimeSpan? timeout)
    {
        nint socket = NewSocket.Open(network, "dial", remote.AddressFamily, local, remote, dialer.KeepAlive, dialer.MultipathTcp);
        NetFd fd = Create(network, socket, remote);
        try
        {
            if (dialer.Control is not null) fd.BeforeControl();
            RunControl(dialer.Control, fd.Fd, network, "dial", local, remote);
            if (local is not null)
            {
                IoResult bound = network.Api.Bind(fd.Fd, SocketAddressBytes.Of(local));
                if (!bound.IsSuccess) throw Refused("dial", network.Name, local, remote, bound, NewSocket.HintForBind(network, bound));
                (fd as UnixFd)?.NoteBound(local, dialer.Stack.Poller);
            }

            // Connect before we register the socket, because epoll reports an unconnected socket as hung up.
            IoResult result = network.IsUnix
                ? await fd.ConnectWithRoomAsync(dialer.Stack.Poller, remote, mode, timeout).ConfigureAwait(false)
                : network.Api.Connect(fd.Fd, SocketAddressBytes.Of(remote));
            bool pending = IsPending(result);
            if (!result.IsSuccess && !pending) throw fd.Failed("dial", result);
            NewSocket.Init(fd, dialer.Stack.Poller, "dial", local, remote);
            if (pending)
            {
                // Nobody else has the descriptor yet, so this needs no lock.
                if (timeout is not null) fd.SetTimeout(Direction.Write, timeout);
                await fd.ConnectedAsync(mode.Blocking, mode.Token).ConfigureAwait(false);
                if (timeout is not null) fd.SetTimeout(Direction.Write, null);
            }

            // The kernel replaces a wildcard by the loopback address, so ask for the real one.
            if (remote is IPEndPoint ip && (ip.Address.Equals(IPAddress.Any) || ip.Address.Equals(IPAddress.IPv6Any)))
            {
                fd._remote = fd.TryReadName(remote: true) ?? remote;
            }

            // Read it while it is sure to be there: on some systems a reset removes it.
            fd._local = fd.TryReadName(remote: false);
            return fd;
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    /// <summary>The connection that its user gets.</summary>
    public virtual Conn ToConn() => new TcpConn(this);

    /// <summary>
    /// Whether a dial has connected to itself. TCP does this if the system chose the dialed port for the dialer (Go issue 2690). A
    /// connection that was reset may have lost its address; then this is false, and the user finds the reset.
    /// </summary>
    public bool IsSelfConnected => _local is not null && _local.Equals(_remote);

    public void Shutdown(SocketShutdown how, string operation)
    {
        using Reference held = Hold(operation);
        if (!_network.HasConnections) throw Refused(operation, Errno.EOPNOTSUPP, "packets have no end; a stream was expected");
        IoResult result = Api.Shutdown(Fd, how);

        // ENOTCONN: the socket was connected before, so both sides have ended since, or it was reset. Nothing is left to end.
        if (!result.IsSuccess && result != Errno.ENOTCONN) throw Failed(operation, result);

        // A write that waits has to end now. A TCP socket becomes writable for that; a Unix socket that is full does not.
        if (_network.IsUnix && how != SocketShutdown.Receive) WakeWriter();
    }

    /// <summary>
    /// Ends the connection in good order. The close, which is to follow, drops what nobody has read: close(2) with unread bytes resets the
    /// peer, which then loses what it was sent and has not read (tcp_close and unix_release in the kernel). A TCP socket goes on receiving
    /// until then. After a shutdown of that direction no drop would open its window (tcp_cleanup_rbuf), and a peer that a full buffer holds
    /// up in its send would learn of the end minutes later.
    /// </summary>
    public void EndInOrder(string operation)
    {
        Shutdown(_network.IsUnix ? SocketShutdown.Both : SocketShutdown.Send, operation);
        _socketEnd.Empty();
    }

    public int GetOption(SocketOptionLevel level, SocketOptionName name, string operation)
    {
        using Reference held = Hold(operation);
        IoResult result = Api.GetOption(Fd, level, name, out int value);
        return result.IsSuccess ? value : throw Failed(operation, result);
    }

    public void SetOption(SocketOptionLevel level, SocketOptionName name, int value, string operation)
    {
        using Reference held = Hold(operation);
        IoResult result = Api.SetOption(Fd, level, name, value);
        if (!result.IsSuccess) throw Failed(operation, result);
    }

    public TcpInfo GetTcpInfo()
    {
        const string Operation = "get TcpInfo";
        using Reference held = Hold(Operation);
        Span<byte> info = stackalloc byte[TcpInfo.Size];
        IoResult result = Api.TcpInfo(Fd, info);
        if (result.IsSuccess) return new TcpInfo(info[..result.Value]);
        throw Refused(Operation, result.Errno, result == Errno.ENOPROTOOPT ? "only Linux tells it" : null);
    }

    /// <summary>An option by the system's numbers. Returns the length of the value.</summary>
    public int GetRawOption(int level, int name, Span<byte> value)
    {
        string operation = $"get option {name} of level {level}";
        using Reference held = Hold(operation);
        IoResult result = Api.GetRawOption(Fd, level, name, value);
        return result.IsSuccess ? result.Value : throw Failed(operation, result);
    }

    /// <summary>Sets an option by the system's numbers.</summary>
    public void SetRawOption(int level, int name, ReadOnlySpan<byte> value)
    {
        string operation = $"set option {name} of level {level}";
        using Reference held = Hold(operation);
        if (IsTcp) MayLinger = true; // It may be SO_LINGER.
        IoResult result = Api.SetRawOption(Fd, level, name, value);
        if (!result.IsSuccess) throw Failed(operation, result);
    }

    /// <summary>Counts a connection that was accepted, for the metrics.</summary>
    public void NoteAccept() => Loop.NoteAccept();

    /// <summary>Notes the network and the addresses on an activity.</summary>
    public void Tag(Activity activity)
    {
        (EndPoint? local, EndPoint? remote) = KnownEndPoints();
        PollerActivities.Tag(activity, _network, local, remote);
    }

    /// <summary>Whether it counts as a connection in the metrics.</summary>
    protected virtual bool IsConnection => _network.HasConnections;

    protected override PollDesc Enter(PollLoop loop)
    {
        PollDesc desc = base.Enter(loop);
        if (IsConnection) loop.NoteConnection(1);
        return desc;
    }

    protected override void Leave(PollLoop loop, PollDesc desc)
    {
        if (IsConnection) loop.NoteConnection(-1);
        base.Leave(loop, desc);
    }

    protected override void Destroy()
    {
        try
        {
            base.Destroy();
        }
        finally
        {
            _network.Limit?.Leave();
            _network.Idle?.Remove(this);
        }
    }

    public override Exception Failed(string operation, IoResult result)
    {
        if (result == IoResult.Disposed)
        {
            return new ObjectDisposedException(ObjectName, $"{operation} {Network}: closed before the operation.");
        }
        if (result == IoResult.ClosedInQueue) return NetOpException.Closed(operation, Network, _local, _remote ??= UnpackPeer());

        (EndPoint? local, EndPoint? remote) = KnownEndPoints();
        if (result == IoResult.Closing)
        {
            return IsClosed
                ? NetOpException.Closed(operation, Network, local, remote)
                : NetOpException.PollerDisposed(operation, Network, local, remote);
        }
        if (result == IoResult.PollerFailed) return NetOpException.PollerFailed(operation, Network, local, remote, PollerFailure!);
        if (result == IoResult.NotPollable)
        {
            return Refused(operation, Errno.EOPNOTSUPP, "the descriptor reports an error and cannot be polled");
        }
        return Refused(operation, result.Errno, HintFor(operation, result));
    }

    /// <summary>
    /// The error of a call that the system refused, and what was expected of it. A send names the address that it went to; else null. The
    /// caller holds a reference.
    /// </summary>
    protected NetOpException Refused(string operation, Errno error, string? hint, EndPoint? to = null)
    {
        (EndPoint? local, EndPoint? remote) = KnownEndPoints();
        return NetOpException.Refused(operation, Network, local, to ?? remote, SocketErrors.ToException(error), hint);
    }

    /// <summary>What was expected of an operation that the system refused; null if its error says enough.</summary>
    protected virtual string? HintFor(string operation, IoResult result) =>
        operation == "dial" && result == Errno.ENOTCONN ? "the dial failed, and its error was read elsewhere"
        : result == Errno.EDESTADDRREQ ? "the socket has no peer; SendTo was expected"
        : null;

    protected override Exception TimedOut(string operation, TimeSpan? timeout)
    {
        (EndPoint? local, EndPoint? remote) = KnownEndPoints();
        return IsIdleEnded
            ? NetOpException.IdleTimeout(operation, Network, local, remote, _network.Idle!.Timeout)
            : NetOpException.Timeout(operation, Network, local, remote, timeout);
    }

    protected override Exception TooLong(string operation, int length) => Refused(operation, Errno.EMSGSIZE, HintForLength(length));

    /// <summary>What the error of a message says that the system found too long.</summary>
    protected virtual string HintForLength(int length) => $"one message of {length} bytes is too long";

    /// <summary>The name of the public type that owns the descriptor.</summary>
    protected virtual string ObjectName => nameof(TcpConn);

    private static NetOpException Refused(
        string operation, string network, EndPoint? local, EndPoint? remote, IoResult result, string? hint = null) =>
        NetOpException.Refused(operation, network, local, remote, SocketErrors.ToException(result.Errno), hint);

    // A Unix listener with a full queue gives EAGAIN where one of TCP would let the dial wait, and no event says when there is room
    // (connect(2)). So the dial tries again until there is, as a blocking connect(2) would wait.
    private async ValueTask<IoResult> ConnectWithRoomAsync(Netpoller poller, EndPoint remote, DialMode mode, TimeSpan? timeout)
    {
        TimeProvider clock = mode.Clock;
        long start = clock.GetTimestamp();
        Backoff backoff = Backoff.ForRoom;
        while (true)
        {
            mode.Token.ThrowIfCancellationRequested();
            IoResult result = Api.Connect(Fd, SocketAddressBytes.Of(remote));
            if (result != Errno.EAGAIN) return result;
            TimeSpan? left = timeout - clock.GetElapsedTime(start);
            if (left <= TimeSpan.Zero) throw NetOpException.Timeout("dial", Network, null, remote, timeout);
            if (poller.IsDisposed) throw NetOpException.PollerDisposed("dial", Network, null, remote);
            TimeSpan pause = backoff.Next();
            if (left < pause) pause = left.Value;
            await Blocking.PauseAsync("dial", mode.Blocking, pause, clock, mode.Token).ConfigureAwait(false);
        }
    }

    private static bool IsPending(IoResult result) => result == Errno.EINPROGRESS || result == Errno.EINTR || result == Errno.EALREADY;

    private async ValueTask ConnectedAsync(bool blocking, CancellationToken token)
    {
        if (blocking)
        {
            int nothing = 0;
            RunBlocking(Direction.Write, "dial", ref nothing, static (fd, ref _) => ((NetFd)fd).TryFinishConnect(), waitFirst: true);
            return;
        }
        if (TryLock(Direction.Write) != FdLock.Acquired) throw Failed("dial", IoResult.Disposed);
        ConnectOp op = new(this);
        op.StartWaiting(token);
        await new ValueTask(op, op.Version).ConfigureAwait(false);
    }

    // Write readiness can be spurious, so the proof is that the peer has a name. A hang-up is not spurious. We look for it first: its error
    // is set before the hang-up is reported, so TakeError finds the error unless someone else has taken it.
    private IoResult TryFinishConnect()
    {
        bool hungUp = HangupSeen;
        IoResult result = Api.TakeError(Fd);
        if (result == 0) result = Api.PeerName(Fd, default, out _);
        if (result == Errno.EISCONN) return 0;
        if (result == Errno.ENOTCONN && hungUp) return result;
        return IsPending(result) || result == Errno.ENOTCONN ? Errno.EAGAIN : result;
    }

    private EndPoint GetName(string operation, bool remote)
    {
        using Reference held = Hold(operation);
        IoResult result = ReadName(remote, out EndPoint? name);
        return name ?? throw Failed(operation, result);
    }

    // For an error: null if the system does not know the address. The caller holds a reference.
    private protected (EndPoint? Local, EndPoint? Remote) KnownEndPoints() =>
        (_local ??= TryReadName(remote: false), _remote ??= UnpackPeer() ?? TryReadName(remote: true));

    private EndPoint? TryReadName(bool remote)
    {
        ReadName(remote, out EndPoint? name);
        return name;
    }

    // getsockname(2) or getpeername(2). The caller holds a reference, so it works while the descriptor is being closed. The name of an
    // unbound socket has port 0, and counts as none.
    private IoResult ReadName(bool remote, out EndPoint? name)
    {
        name = null;
        Span<byte> address = stackalloc byte[SocketAddressBytes.MaxLength];
        IoResult result = remote ? Api.PeerName(Fd, address, out int length) : Api.LocalName(Fd, address, out length);
        if (!result.IsSuccess) return result;
        name = SocketAddressBytes.ToEndPoint(_network.Family, address[..length]);
        if (name is IPEndPoint ip)
        {
            if (_network.IsRaw) ip.Port = 0; // The system says the protocol's number there.
            else if (ip.Port == 0) name = null;
        }
        return name is null ? Errno.ENOTCONN : result;
    }

    private IPEndPoint? UnpackPeer() => _peer != 0 ? SocketAddressBytes.Unpack(_peer) : null;

    private sealed class ConnectOp(NetFd fd) : PollOp(fd, Direction.Write)
    {
        protected override string Name => "dial";

        protected override IoResult Try(ref object? made) => ((NetFd)Fd).TryFinishConnect();
    }
}
