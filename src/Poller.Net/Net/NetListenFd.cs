using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of netFD.listenStream and netFD.accept in Go's net/sock_posix.go and net/fd_unix.go.

/// <summary>A socket that listens. Accepted sockets inherit its options (tcp(7)), so they are set once, here.</summary>
internal sealed class NetListenFd : NetFd
{
    // As in Serve of Go's net/http. A lasting shortage costs one accept(2) a second, and a connection may wait for a second after
    // descriptors are free. Half and double change the two in opposite directions, and nothing breaks.
    private static readonly TimeSpan MinPause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan MaxPause = TimeSpan.FromSeconds(1);

    // Constant.
    private readonly Netpoller _poller;
    private readonly AddressFamily _family;
    private readonly BoundPath? _file;

    // Constant: whether somebody else may listen on the socket too, such as the service manager that handed it over.
    private readonly bool _isShared;

    // Constant: the network of the connections, which knows their limits.
    private readonly SocketNetwork _accepted;

    // Constant after Listen: the one loop that the connections stay on; null for any.
    private PollLoop? _loopOfAccepted;

    // Atomic. The second says whether the caller's function may have set SO_LINGER.
    private bool _leavesFile;
    private bool _acceptedMayLinger;

    // Guarded by the read lock. _isNearReserve says that the process has come near its last descriptors; each accept then checks first
    // whether the next descriptor is one of them. It stays set, because a low number shows only that one descriptor is free. Before it is
    // set, at most one connection can land in the reserve. The first refusal sets _inShortage; an empty queue clears it.
    private bool _isNearReserve;
    private bool _inShortage;

    // Guarded by the read lock: the pauses in a shortage.
    private Backoff _backoff = new(MinPause, MaxPause);

    // Atomic: whether an accept is in a pause. Written under the read lock, and read by a cancellation without it.
    private bool _isPausing;

    // Atomic. Kept for the next accept.
    private AcceptOp? _acceptOp;

    // Its continuations run on the pool, and never on the stack of the operation that leaves the descriptor last.
    private readonly TaskCompletionSource _destroyed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private NetListenFd(
        Netpoller poller, SocketNetwork network, nint fd, AddressFamily family, BoundPath? file, bool isShared, ListenOptions options)
        : base(network, fd)
    {
        _poller = poller;
        _family = family;
        _file = file;
        _isShared = isShared;
        _accepted = network;
        if (options.MaxConnections is { } max) _accepted = _accepted with { Limit = new ConnLimit(this, max) };
        if (options.IdleTimeout is { } idle) _accepted = _accepted with { Idle = new IdleSweep(idle, poller.TimeProvider) };
        _isNearReserve = DescriptorReserve.IsNear(network.Api, fd);
    }

    /// <summary>Completes when the listener is closed and nobody uses its descriptor any more.</summary>
    public Task Destroyed => _destroyed.Task;

    /// <summary>Whether the close removes the file of a Unix listener.</summary>
    public bool UnlinksOnClose { get => !Volatile.Read(ref _leavesFile); set => Volatile.Write(ref _leavesFile, !value); }

    protected override bool IsConnection => false;

    protected override string ObjectName => _network.IsUnix ? nameof(UnixConnListener) : nameof(TcpConnListener);

    /// <summary>
    /// Listens on an address, which it takes ownership of. With a <paramref name="loop"/>, by its number, the listener and its connections
    /// stay on that loop.
    /// </summary>
    public static NetListenFd Listen(Netpoller poller, SocketNetwork network, EndPoint local, ListenOptions options, int? loop = null)
    {
        using NewSocket socket = new("listen", poller, network, local, remote: null, options.KeepAlive, options.MultipathTcp);
        if (local.AddressFamily == AddressFamily.InterNetworkV6)
        {
            bool isDualStack = options.DualStack ?? network.IsDualStackAt(local);
            socket.Set(SocketOptionLevel.IPv6, SocketOptionName.IPv6Only, !isDualStack);
        }
        socket.Set(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        if (options.ReusePort) socket.Set(SocketOptionLevel.Socket, SocketOptions.ReusePort, true);
        socket.Bind(options.Control);
        socket.Check(network.Api.Listen(socket.Fd, Math.Min(options.Backlog ?? int.MaxValue, network.Api.MaxBacklog)));
        NetListenFd listener =
            socket.Take(new NetListenFd(poller, network, socket.Fd, local.AddressFamily, socket.File, isShared: false, options));
        if (options.Control is not null) listener.BeforeControl();
        socket.Init(listener.Warmed(), loop);
        if (loop is not null) listener._loopOfAccepted = listener.Loop;
        return listener;
    }

    /// <inheritdoc cref="NetFd.Adopt(Netpoller, SocketNetwork, nint)"/>
    public static NetListenFd Adopt(Netpoller poller, SocketNetwork network, nint fd, AddressFamily family, ListenOptions options)
    {
        NetListenFd made = new(poller, network, fd, family, file: null, isShared: true, options);
        Adopt(poller, made, options.KeepAlive);
        try
        {
            return made.Warmed();
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Begins to accept the next connection. The caller makes its ValueTask from the operation that this returns. The twin of FD.Accept in
    /// internal/poll, and of the back-off in net/http's Serve.
    /// </summary>
    public AcceptOp AcceptAsync(CancellationToken token)
    {
        AcceptOp op = Interlocked.Exchange(ref _acceptOp, null) ?? new AcceptOp(this);
        op.Start(token);
        return op;
    }

    /// <summary>The blocking form of <see cref="AcceptAsync"/>.</summary>
    public NetFd Accept()
    {
        object? made = null;
        RunBlocking(Direction.Read, AcceptOp.OperationName, ref made, static (fd, ref made) => ((NetListenFd)fd).TryAccept(ref made));
        return (NetFd)made!;
    }

    public override void Return(PollOp op) => Volatile.Write(ref _acceptOp, (AcceptOp)op);

    // An accept pauses in a shortage, and while the limit of open connections is reached (ConnLimit).
    //
    // A pause is a wait in the write side, which a listener does not use otherwise. Such a wait needs no new timer and no new thread, which
    // the shortage may deny us. In a shortage the pause is the side's time-out, and the listener's deadline holds in both sides: the
    // earlier of the two ends the wait, also if the deadline is set during the pause.
    //
    // A cancellation publishes itself and then reads _isPausing. An accept writes _isPausing, parks, and then looks for a cancellation. The
    // compare-and-swap to Wait in PollDesc.Park is the fence between. So the cancellation finds the right side, or the accept sees it.
    public override Direction SideToWaitIn(Direction direction) => Volatile.Read(ref _isPausing) ? Direction.Write : direction;

    // A listener never lingers, and what it accepts inherits its option.
    protected override void BeforeControl() => Volatile.Write(ref _acceptedMayLinger, true);

    protected override void Destroy()
    {
        try
        {
            bool closes = TryClose();
            if (closes && UnlinksOnClose) _file?.Unlink();

            // close(2) frees the port only when it closes the last copy of the descriptor, and a child process has a copy from its fork(2)
            // to its exec(2). On Linux a shutdown ends the listening at once. Where the system refuses it, the port is free after exec(2).
            // It would end the listening of others too, so a socket that others may have is closed alone.
            if (closes && !_isShared) Api.Shutdown(Fd, SocketShutdown.Both);
            base.Destroy();
        }
        finally
        {
            _destroyed.TrySetResult();
        }
    }

    // Tries once. The result is a connection, EAGAIN if the accept must wait or pause, or an error.
    private IoResult TryAccept(ref object? made)
    {
        if (_isPausing)
        {
            Volatile.Write(ref _isPausing, false);
            SetTimeout(Direction.Write, null);
        }
        if (_accepted.Limit is { IsReached: true })
        {
            Volatile.Write(ref _isPausing, true); // Until a connection leaves, or the listener's deadline passes.
            return Errno.EAGAIN;
        }
        while (true)
        {
            IoResult result = _isNearReserve ? LookAtReserve() : 0;
            if (result == 0) result = Accept(out made);
            if (result == Errno.EINTR || IsOfNewConnection(result)) continue;
            if (result == Errno.EAGAIN) _inShortage = false;
            if (!IsShortage(result))
            {
                _backoff.Reset();
                return result;
            }

            // No event says that descriptors are free again, and queued connections raise no new edge, so try again after a pause.
            NoteShortage(result.Errno);
            SetTimeout(Direction.Write, _backoff.Next());
            Consume(Direction.Write); // A connection that has left its limit, as a refused one does, is no reason to cut the pause short.
            Volatile.Write(ref _isPausing, true);
            return Errno.EAGAIN;
        }
    }

    // Returns EMFILE if accept(2) would take a descriptor of the reserve. We look first, because an accepted connection cannot go back into
    // the queue.
    private IoResult LookAtReserve()
    {
        IoResult result = DescriptorReserve.Socket(_network, _family);
        if (!result.IsSuccess) return result;
        Api.Close(result.Value);
        return 0;
    }

    // Another holder of the socket may clear O_NONBLOCK, which is one for all. accept4(2) has no flag against that, and would block where
    // no close ends it. Another holder may also take the connection that we see. Only both together still block: a cleared flag between the
    // two calls, and a taken connection.
    private IoResult LookAtQueue()
    {
        IoResult result = UnixFileApi.Look(Fd, Direction.Read);
        return result.IsSuccess ? Api.SetNonBlocking(Fd, true) : result;
    }

    private IoResult Accept(out object? accepted)
    {
        accepted = null;
        if (_isShared && LookAtQueue() is { IsSuccess: false } failure) return failure;
        DateTimeOffset start = PollerActivities.HasListeners ? DateTimeOffset.UtcNow : default;
        Span<byte> peer = stackalloc byte[SocketAddressBytes.MaxLength];
        IoResult result = Api.Accept(Fd, peer, out int length);
        if (!result.IsSuccess) return result;
        if (!_isNearReserve) _isNearReserve = DescriptorReserve.IsNear(Api, result.Value);
        _accepted.Limit?.Enter();
        NetFd conn = _network.IsUnix ? new UnixFd(_accepted, result.Value) : new NetFd(_accepted, result.Value, peer[..length]);
        if (_network.IsTcp && Volatile.Read(ref _acceptedMayLinger)) conn.MayLinger = true;
        try
        {
            conn.Init(_poller, _loopOfAccepted);
        }
        catch (NetpollException e)
        {
            // The poller is full (epoll_ctl(2): max_user_watches). We lose this connection, and the established ones stay.
            return e.Error == Errno.ENOSPC ? Errno.ENOMEM : e.Error;
        }
        catch (ObjectDisposedException)
        {
            return IoResult.Closing; // The poller was disposed, so this listener's waits end as if it were closed.
        }
        _accepted.Idle?.Add(conn);
        conn.NoteAccept();
        if (start != default) PollerActivities.Accepted(_poller, this, conn, start);
        accepted = conn;
        return 0;
    }

    // The connection at the head of the queue is dead, and accept(2) returns its error. The listener is fine; accept(2) says to try again.
    private static bool IsOfNewConnection(IoResult result) =>
        result == Errno.ECONNABORTED || result == Errno.ECONNRESET || result == Errno.ETIMEDOUT
        || result == Errno.EPROTO || result == Errno.ENOPROTOOPT || result == Errno.EOPNOTSUPP
        || result == Errno.ENETDOWN || result == Errno.ENETUNREACH || result == Errno.ENONET
        || result == Errno.EHOSTDOWN || result == Errno.EHOSTUNREACH;

    private static bool IsShortage(IoResult result) =>
        result == Errno.EMFILE || result == Errno.ENFILE || result == Errno.ENOBUFS || result == Errno.ENOMEM;

    // Runs the code of a shortage once, so that none must be loaded when there is no free descriptor.
    private NetListenFd Warmed()
    {
        _ = DescribeShortage(Errno.EMFILE);
        return this;
    }

    private void NoteShortage(Errno errno)
    {
        if (errno == Errno.EMFILE) _isNearReserve = true;
        if (_inShortage) return;
        _inShortage = true;
        _poller.Warn(DescribeShortage(errno));
    }

    private string DescribeShortage(Errno errno) =>
        $"accept {Network} {LocalEndPoint}: {errno.Message}. New connections wait; it tries again after 5 ms, and then "
        + "after twice as long each time, up to 1 s.";

    /// <summary>An accept. Its result is the connection.</summary>
    internal sealed class AcceptOp(NetListenFd fd)
        : PollOp(fd, Direction.Read), IValueTaskSource<Conn>, IValueTaskSource<TcpConn>, IValueTaskSource<UnixConn>
    {
        public const string OperationName = "accept";

        protected override string Name => OperationName;

        Conn IValueTaskSource<Conn>.GetResult(short token) => TakeConn(token);

        TcpConn IValueTaskSource<TcpConn>.GetResult(short token) => (TcpConn)TakeConn(token);

        UnixConn IValueTaskSource<UnixConn>.GetResult(short token) => (UnixConn)TakeConn(token);

        protected override IoResult Try(ref object? made) => ((NetListenFd)Fd).TryAccept(ref made);

        private Conn TakeConn(short token)
        {
            TakeResult(token, out object? made);
            return ((NetFd)made!).ToConn();
        }
    }
}
