using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of netFD in Go's net/fd_unix.go and net/fd_posix.go: a descriptor that knows its network and addresses.

/// <summary>A socket of the net layer.</summary>
internal class NetFd : PollFd
{
    // A sockaddr_in6, the longest there is here.
    private const int MaxAddress = 28;

    [InlineArray(MaxAddress)]
    private struct AddressBytes
    {
        private byte _first;
    }

    // The peer's address as accept(2) wrote it, decoded on first use. Set before the descriptor is shared.
    private AddressBytes _peer;
    private readonly byte _peerLength;

    // Made on first use; the same whoever makes it.
    private IPEndPoint? _local;
    private IPEndPoint? _remote;

    public NetFd(ISocketApi api, nint fd, string network, IPEndPoint? remote = null)
        : base(api, fd, isStream: true)
    {
        Network = network;
        _remote = remote;
    }

    /// <summary>A descriptor that was accepted, with the peer's address as the system wrote it.</summary>
    public NetFd(ISocketApi api, nint fd, string network, ReadOnlySpan<byte> peer)
        : this(api, fd, network)
    {
        if (peer.Length > MaxAddress) return; // Asked of the system when needed.
        peer.CopyTo(_peer);
        _peerLength = (byte)peer.Length;
    }

    public string Network { get; }

    /// <exception cref="ObjectDisposedException">The descriptor was closed before anyone asked.</exception>
    public IPEndPoint LocalEndPoint => _local ??= TryGetName(remote: false) ?? throw Failed("local address", PollResult.Disposed);

    /// <exception cref="ObjectDisposedException">The descriptor was closed before anyone asked.</exception>
    public IPEndPoint RemoteEndPoint =>
        _remote ??= DecodeAccepted() ?? TryGetName(remote: true) ?? throw Failed("remote address", PollResult.Disposed);

    /// <summary>A new socket with Go's defaults for a connection.</summary>
    public static nint NewSocket(ISocketApi api, string operation, string network, AddressFamily family, IPEndPoint? local, IPEndPoint? remote)
    {
        int fd = api.Socket(family, SocketType.Stream, ProtocolType.Tcp);
        if (fd < 0) throw Refused(operation, network, local, remote, fd);
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
            int result = api.SetOption(fd, level, name, value);
            if (result < 0) throw Refused(operation, network, local, remote, result);
        }
    }

    /// <summary>Connects; the descriptor is closed when that fails. The twin of netFD.connect.</summary>
    public static async ValueTask<NetFd> ConnectAsync(Netpoller poller, ISocketApi api, string network, IPEndPoint remote, DialMode mode)
    {
        NetFd fd = new(api, NewSocket(api, "dial", network, remote.AddressFamily, null, remote), network, remote);
        try
        {
            // Before it is registered: epoll reports a socket that is not connected as hung up.
            SocketAddress address = remote.Serialize();
            int result = api.Connect(fd.Fd, address.Buffer.Span[..address.Size]);
            bool pending = result is -Errno.EINPROGRESS or -Errno.EINTR or -Errno.EALREADY;
            if (result < 0 && !pending) throw fd.Failed("dial", result);
            try
            {
                fd.Init(poller.NextLoop());
            }
            catch (NetpollException e)
            {
                throw NetOpException.Refused("dial", network, null, remote, Errno.ToException(e.Errno), e.Message);
            }
            if (pending)
            {
                if (mode.Deadline is not null) fd.SetDeadline(PollMode.Write, mode.Deadline, "dial");
                await fd.ConnectedAsync(mode.Blocking, mode.Token).ConfigureAwait(false);
                if (mode.Deadline is not null) fd.SetDeadline(PollMode.Write, null, "dial");
            }

            // The kernel takes a wildcard for the loopback, and shows a mapped address as IPv4: ask for the real one.
            IPAddress dialed = remote.Address;
            if (dialed.Equals(IPAddress.Any) || dialed.Equals(IPAddress.IPv6Any) || dialed.IsIPv4MappedToIPv6) fd._remote = fd.TryGetName(remote: true) ?? remote;
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
        if (!Incref()) throw Failed(operation, PollResult.Disposed);
        try
        {
            int result = Api.Shutdown(Fd, how);
            if (result < 0) throw Failed(operation, result);
        }
        finally
        {
            Decref();
        }
    }

    public void SetOption(SocketOptionLevel level, SocketOptionName name, int value, string operation)
    {
        if (!Incref()) throw Failed(operation, PollResult.Disposed);
        try
        {
            int result = Api.SetOption(Fd, level, name, value);
            if (result < 0) throw Failed(operation, result);
        }
        finally
        {
            Decref();
        }
    }

    public override Exception Failed(string operation, int result)
    {
        if (result == PollResult.Disposed) return new ObjectDisposedException(ObjectName, $"{operation} {Network}: closed before the operation.");
        if (result == PollResult.ClosedInQueue) return NetOpException.Closed(operation, Network, _local, _remote ??= DecodeAccepted());

        IPEndPoint? local = _local ??= GetName(remote: false);
        IPEndPoint? remote = _remote ??= DecodeAccepted() ?? GetName(remote: true);
        return result switch
        {
            PollResult.Closing => NetOpException.Closed(operation, Network, local, remote),
            PollResult.Timeout => NetOpException.Timeout(operation, Network, local, remote),
            PollResult.NotPollable => NetOpException.Refused(
                operation, Network, local, remote, Errno.ToException(Errno.EOPNOTSUPP), "the descriptor reports an error and cannot be polled"),
            _ => Refused(operation, Network, local, remote, result),
        };
    }

    /// <summary>What the user knows the descriptor by.</summary>
    protected virtual string ObjectName => nameof(TcpConn);

    private static NetOpException Refused(string operation, string network, IPEndPoint? local, IPEndPoint? remote, int result) =>
        NetOpException.Refused(operation, network, local, remote, Errno.ToException(-result));

    private async ValueTask ConnectedAsync(bool blocking, CancellationToken token)
    {
        bool locked = blocking ? Lock(PollMode.Write) : await LockAsync(PollMode.Write, token).ConfigureAwait(false);
        if (!locked) throw Failed("dial", PollResult.Disposed);
        try
        {
            while (true)
            {
                int result = blocking ? WaitReady(PollMode.Write) : await WaitReadyAsync(PollMode.Write, token).ConfigureAwait(false);
                if (result < 0) throw Failed("dial", result);

                // Readiness to write can be spurious: that the peer has a name is the proof.
                result = Api.TakeError(Fd);
                if (result == 0) result = Api.PeerName(Fd, default, out _);
                if (result is 0 or -Errno.EISCONN) return;
                if (result is not (-Errno.EINPROGRESS or -Errno.EALREADY or -Errno.EINTR or -Errno.ENOTCONN)) throw Failed("dial", result);
            }
        }
        finally
        {
            Unlock(PollMode.Write);
        }
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
        Span<byte> address = stackalloc byte[MaxAddress];
        int result = remote ? Api.PeerName(Fd, address, out int length) : Api.LocalName(Fd, address, out length);
        return result < 0 ? null : Decode(address[..length]);
    }

    private IPEndPoint? DecodeAccepted() => _peerLength > 0 ? Decode(((ReadOnlySpan<byte>)_peer)[.._peerLength]) : null;

    private static IPEndPoint Decode(ReadOnlySpan<byte> bytes)
    {
        // Only IPv4 and IPv6 come here; their lengths tell them apart.
        AddressFamily family = bytes.Length >= MaxAddress ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
        SocketAddress address = new(family, bytes.Length);
        bytes.CopyTo(address.Buffer.Span);
        IPEndPoint endPoint = (IPEndPoint)new IPEndPoint(family == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0).Create(address);

        // An IPv4 peer of a dual-stack socket goes by its own address, as in Go.
        return endPoint.Address.IsIPv4MappedToIPv6 ? new IPEndPoint(endPoint.Address.MapToIPv4(), endPoint.Port) : endPoint;
    }
}
