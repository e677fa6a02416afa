using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of netFD in Go's net/fd_unix.go and net/fd_posix.go: a descriptor that knows its network and addresses.

/// <summary>A socket of the net layer.</summary>
internal class NetFd : StreamFd
{
    // What a sockaddr_in and a sockaddr_in6 take.
    private const int IPv4Length = 16;
    private const int IPv6Length = 28;
    private const ulong HasPeer = 1UL << 48;

    // Constant. The peer's IPv4 address as accept(2) told it, made an object on first use: address:32 port:16 and a bit that says that it
    // is there. Few ever ask for it.
    private readonly ulong _peer;

    // Made on first use; the same whoever makes it.
    private IPEndPoint? _local;
    private IPEndPoint? _remote;

    public NetFd(SocketNetwork network, nint fd, IPEndPoint? remote = null)
        : base(network, fd) => _remote = remote;

    /// <summary>A descriptor that was accepted, with the peer's address as the system wrote it.</summary>
    public NetFd(SocketNetwork network, nint fd, ReadOnlySpan<byte> peer)
        : this(network, fd)
    {
        if (TryGetIPv4(peer, out uint address))
        {
            _peer = HasPeer | ((ulong)BinaryPrimitives.ReadUInt16BigEndian(peer[2..]) << 32) | address;
        }
        else _remote = Decode(peer);
    }

    public string Network => _network.Name;

    /// <exception cref="ObjectDisposedException">The descriptor was closed before anyone asked.</exception>
    public IPEndPoint LocalEndPoint => _local ??= TryGetName(remote: false) ?? throw Failed("local address", IoResult.Disposed);

    /// <exception cref="ObjectDisposedException">The descriptor was closed before anyone asked.</exception>
    public IPEndPoint RemoteEndPoint =>
        _remote ??= DecodeAccepted() ?? TryGetName(remote: true) ?? throw Failed("remote address", IoResult.Disposed);

    /// <summary>A new socket with Go's defaults for a connection. Its descriptor is none of the reserve.</summary>
    public static nint NewSocket(SocketNetwork network, string operation, AddressFamily family, IPEndPoint? local, IPEndPoint? remote)
    {
        ISocketApi api = network.Api;
        IoResult made = DescriptorReserve.Socket(api, family);
        if (!made.IsSuccess)
        {
            string? expected = made == Errno.EMFILE ? DescriptorReserve.Expected : null;
            throw NetOpException.Refused(operation, network.Name, local, remote, SocketErrors.ToException(made.Errno), expected);
        }
        int fd = made.Value;
        try
        {
            Set(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, 1);
            Set(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, 1);
            Set(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 15);
            Set(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 15);
            Set(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 9);
        }
        catch
        {
            api.Close(fd);
            throw;
        }
        return fd;

        void Set(SocketOptionLevel level, SocketOptionName name, int value)
        {
            IoResult result = api.SetOption(fd, level, name, value);
            if (!result.IsSuccess) throw Refused(operation, network.Name, local, remote, result);
        }
    }

    /// <summary>Connects; the descriptor is closed when that fails. The twin of netFD.connect.</summary>
    public static async ValueTask<NetFd> ConnectAsync(Netpoller poller, SocketNetwork network, IPEndPoint remote, DialMode mode)
    {
        NetFd fd = new(network, NewSocket(network, "dial", remote.AddressFamily, null, remote), remote);
        try
        {
            // Before it is registered: epoll reports a socket that is not connected as hung up.
            SocketAddress address = remote.Serialize();
            IoResult result = network.Api.Connect(fd.Fd, address.Buffer.Span[..address.Size]);
            bool pending = IsPending(result);
            if (!result.IsSuccess && !pending) throw fd.Failed("dial", result);
            try
            {
                fd.Init(poller.NextLoop());
            }
            catch (NetpollException e)
            {
                throw NetOpException.Refused("dial", network.Name, null, remote, SocketErrors.ToException(e.Error), e.Message);
            }
            if (pending)
            {
                if (mode.Deadline is not null) fd.SetDeadline(PollMode.Write, mode.Deadline, "dial");
                await fd.ConnectedAsync(mode.Blocking, mode.Token).ConfigureAwait(false);
                if (mode.Deadline is not null) fd.SetDeadline(PollMode.Write, null, "dial");
            }

            // The kernel takes a wildcard for the loopback, and shows a mapped address as IPv4: ask for the real one.
            IPAddress dialed = remote.Address;
            if (dialed.Equals(IPAddress.Any) || dialed.Equals(IPAddress.IPv6Any) || dialed.IsIPv4MappedToIPv6)
            {
                fd._remote = fd.TryGetName(remote: true) ?? remote;
            }
            return fd;
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Whether a dial has met itself: TCP joins the two ends where the port dialed was chosen for the dialer (Go issue 2690).
    /// </summary>
    public bool IsSelfConnected => LocalEndPoint.Equals(RemoteEndPoint);

    public void Shutdown(SocketShutdown how, string operation)
    {
        if (!Incref()) throw Failed(operation, IoResult.Disposed);
        try
        {
            IoResult result = Api.Shutdown(Fd, how);

            // It was connected once. Both sides have ended since, and there is nothing left to end.
            if (!result.IsSuccess && result != Errno.ENOTCONN) throw Failed(operation, result);
        }
        finally
        {
            Decref();
        }
    }

    public void SetOption(SocketOptionLevel level, SocketOptionName name, int value, string operation)
    {
        if (!Incref()) throw Failed(operation, IoResult.Disposed);
        try
        {
            IoResult result = Api.SetOption(Fd, level, name, value);
            if (!result.IsSuccess) throw Failed(operation, result);
        }
        finally
        {
            Decref();
        }
    }

    public override Exception Failed(string operation, IoResult result)
    {
        if (result == IoResult.Disposed)
        {
            return new ObjectDisposedException(ObjectName, $"{operation} {Network}: closed before the operation.");
        }
        if (result == IoResult.ClosedInQueue) return NetOpException.Closed(operation, Network, _local, _remote ??= DecodeAccepted());

        IPEndPoint? local = _local ??= GetName(remote: false);
        IPEndPoint? remote = _remote ??= DecodeAccepted() ?? GetName(remote: true);
        if (result == IoResult.Closing)
        {
            return IsClosed
                ? NetOpException.Closed(operation, Network, local, remote)
                : NetOpException.PollerDisposed(operation, Network, local, remote);
        }
        if (result == IoResult.PollerFailed) return NetOpException.PollerFailed(operation, Network, local, remote, PollerFailure!);
        if (result == IoResult.Timeout) return NetOpException.Timeout(operation, Network, local, remote);
        if (result == IoResult.NotPollable)
        {
            const string Hint = "the descriptor reports an error and cannot be polled";
            return NetOpException.Refused(operation, Network, local, remote, SocketErrors.ToException(Errno.EOPNOTSUPP), Hint);
        }
        return Refused(operation, Network, local, remote, result);
    }

    /// <summary>What the user knows the descriptor by.</summary>
    protected virtual string ObjectName => nameof(TcpConn);

    private static NetOpException Refused(string operation, string network, IPEndPoint? local, IPEndPoint? remote, IoResult result) =>
        NetOpException.Refused(operation, network, local, remote, SocketErrors.ToException(result.Errno));

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

    // Readiness to write can be spurious: that the peer has a name is the proof.
    private IoResult TryFinishConnect()
    {
        IoResult result = Api.TakeError(Fd);
        if (result == 0) result = Api.PeerName(Fd, default, out _);
        if (result == Errno.EISCONN) return 0;
        return IsPending(result) || result == Errno.ENOTCONN ? Errno.EAGAIN : result;
    }

    // Null when the descriptor is closed, or has no such name.
    private IPEndPoint? TryGetName(bool remote)
    {
        if (!Incref()) return null;
        try
        {
            return GetName(remote);
        }
        finally
        {
            Decref();
        }
    }

    // getsockname(2) or getpeername(2), for a caller that holds a reference: also while the descriptor is being closed.
    private IPEndPoint? GetName(bool remote)
    {
        Span<byte> address = stackalloc byte[IPv6Length];
        IoResult result = remote ? Api.PeerName(Fd, address, out int length) : Api.LocalName(Fd, address, out length);
        return result.IsSuccess ? Decode(address[..length]) : null;
    }

    private IPEndPoint? DecodeAccepted() => _peer != 0 ? IPv4EndPoint((uint)_peer, (ushort)(_peer >> 32)) : null;

    // Null for an address that is neither IPv4 nor IPv6, as the empty one that some systems tell of a peer that is gone.
    private static IPEndPoint? Decode(ReadOnlySpan<byte> bytes)
    {
        if (TryGetIPv4(bytes, out uint four)) return IPv4EndPoint(four, BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]));
        if (bytes.Length != IPv6Length) return null;
        SocketAddress address = new(AddressFamily.InterNetworkV6, bytes.Length);
        bytes.CopyTo(address.Buffer.Span);
        return (IPEndPoint)new IPEndPoint(IPAddress.IPv6Any, 0).Create(address);
    }

    // The lengths tell IPv4 and IPv6 apart. An IPv4 peer of a dual-stack socket goes by its own address, as in Go.
    // In either sockaddr the port is bytes 2 and 3; the address begins at byte 4 of a sockaddr_in, and at byte 8 of a sockaddr_in6.
    private static bool TryGetIPv4(ReadOnlySpan<byte> bytes, out uint address)
    {
        ReadOnlySpan<byte> mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        bool isMapped = bytes.Length == IPv6Length && bytes[8..20].SequenceEqual(mapped);
        bool isFour = isMapped || bytes.Length == IPv4Length;
        address = isFour ? BinaryPrimitives.ReadUInt32BigEndian(bytes[(isMapped ? 20 : 4)..]) : 0;
        return isFour;
    }

    private static IPEndPoint IPv4EndPoint(uint address, ushort port)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, address);
        return new IPEndPoint(new IPAddress(bytes), port);
    }

    private sealed class ConnectOp(NetFd fd) : PollOp(fd, Direction.Write)
    {
        protected override string Name => "dial";

        protected override IoResult Try(ref object? made) => ((NetFd)Fd).TryFinishConnect();
    }
}
