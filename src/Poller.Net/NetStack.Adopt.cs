using System.Net.Sockets;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of FileConn and FileListener in Go's net/file.go. In Go both sides keep the socket; here it changes hands.
public sealed partial class NetStack
{
    /// <summary>
    /// Turns a connected socket that comes from elsewhere into a connection: TCP into a <see cref="TcpConn"/>, UDP, with or without a peer,
    /// into a <see cref="UdpConn"/>, and a Unix socket of any kind into a <see cref="UnixConn"/>. It may come from a service manager,
    /// another process, a native library, or a <see cref="Socket"/> (its <see cref="Socket.SafeHandle"/>).
    /// </summary>
    /// <remarks>
    /// The connection takes the socket over. The handle, and a <see cref="Socket"/> that it belongs to, get a socket without a peer in its
    /// place; dispose them when you like. No operation of the <see cref="Socket"/> may be under way. If it has made an async call before,
    /// .NET's own epoll is woken by the connection's events too, until the connection is closed; this costs time and changes no result.
    /// The adopted socket becomes non-blocking and close-on-exec. If it is TCP, it gets TCP_NODELAY and keep-alive, as one that was dialed.
    /// If the call throws, the handle is as it was.
    /// </remarks>
    /// <param name="handle">The socket's handle.</param>
    /// <exception cref="ArgumentException">It is no socket, or no connected one. The message says what it is.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    /// <exception cref="ObjectDisposedException">The handle or the poller was disposed.</exception>
    public Conn AdoptConn(SafeHandle handle) => Adopt(handle, AdoptConnOf).ToConn();

    /// <summary>As <see cref="AdoptConn(SafeHandle)"/>, of a descriptor's number, which the connection then owns and closes.</summary>
    /// <inheritdoc cref="AdoptConn(SafeHandle)" path="/*[not(self::summary)][not(self::param)]"/>
    /// <param name="descriptor">The descriptor's number.</param>
    public Conn AdoptConn(nint descriptor) => Adopt(descriptor, AdoptConnOf).ToConn();

    /// <summary>Makes a listener of a listening socket that comes from elsewhere, such as one of <see cref="SocketActivation"/>.</summary>
    /// <remarks>
    /// As <see cref="AdoptConn(SafeHandle)"/> says. Accepted connections inherit TCP_NODELAY and keep-alive. Others may listen on the
    /// socket too, such as the service manager that opened it; when you close the listener, they go on. The socket is bound and listens
    /// already, so of the options only <see cref="ListenOptions.KeepAlive"/>, <see cref="ListenOptions.MaxConnections"/> and
    /// <see cref="ListenOptions.IdleTimeout"/> count.
    /// </remarks>
    /// <param name="handle">The socket's handle.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <exception cref="ArgumentException">It is no socket, or does not listen. The message says what it is.</exception>
    /// <inheritdoc cref="AdoptConn(SafeHandle)" path="/exception[not(@cref='T:System.ArgumentException')]"/>
    public ConnListener AdoptListener(SafeHandle handle, ListenOptions? options = null) =>
        ToListener(Adopt(handle, (fd, known) => AdoptListenerOf(fd, known, options)));

    /// <summary>
    /// As <see cref="AdoptListener(SafeHandle, ListenOptions?)"/>, of a descriptor's number, which the listener then owns and closes.
    /// </summary>
    /// <inheritdoc cref="AdoptListener(SafeHandle, ListenOptions?)" path="/*[not(self::summary)][not(self::param)]"/>
    /// <param name="descriptor">The descriptor's number.</param>
    /// <param name="options">The options; null means the defaults.</param>
    public ConnListener AdoptListener(nint descriptor, ListenOptions? options = null) =>
        ToListener(Adopt(descriptor, (fd, known) => AdoptListenerOf(fd, known, options)));

    // SafeHandle has no way to give a descriptor up: a Socket closes the number even if its handle was made invalid, and the dispose of a
    // SafeSocketHandle resets the connection. So the descriptor moves to a number of our own, and a socket without a peer takes its place.
    //
    // The new descriptor ends the old one's only when all has gone well. Until then a dispose leaves the socket to the handle.
    private T Adopt<T>(SafeHandle handle, Func<nint, nint, T> adopt) where T : NetFd
    {
        ArgumentNullException.ThrowIfNull(handle);
        bool held = false;
        nint ours = -1;
        nint substitute = -1;
        try
        {
            handle.DangerousAddRef(ref held);
            nint fd = handle.DangerousGetHandle();
            NetworkOf(fd, out AddressFamily family, out _);
            ours = Made(_api.Duplicate(fd));
            substitute = Made(_api.Socket(family, SocketType.Dgram, ProtocolType.Unspecified));
            T adopted = Adopt(ours, fd, adopt, () => Made(_api.Replace(fd, substitute)));
            ours = -1;
            return adopted;
        }
        finally
        {
            if (substitute >= 0) _api.Close(substitute);
            if (ours >= 0) _api.Close(ours);
            if (held) handle.DangerousRelease();
        }
    }

    private T Adopt<T>(nint fd, Func<nint, nint, T> adopt) where T : NetFd => Adopt(fd, fd, adopt, static () => 0);

    private T Adopt<T>(nint fd, nint known, Func<nint, nint, T> adopt, Func<nint> takeOver) where T : NetFd
    {
        AdoptedState before = new(_api, fd);
        T? adopted = null;
        try
        {
            adopted = adopt(fd, known);
            takeOver();
            adopted.Own();
            return adopted;
        }
        catch
        {
            adopted?.Dispose();
            before.PutBack();
            throw;
        }
    }

    private static ConnListener ToListener(NetListenFd fd) => fd.IsUnix ? new UnixConnListener(fd) : new TcpConnListener(fd);

    private static nint Made(IoResult result) => result.IsSuccess
        ? result.Value
        : throw NetOpException.Refused("adopt", "socket", null, null, SocketErrors.ToException(result.Errno));

    // Of the two numbers, the first is adopted. The second is the one that the caller knows.
    private NetFd AdoptConnOf(nint fd, nint known)
    {
        SocketNetwork network = NetworkOf(known, out AddressFamily family, out bool listens);
        const string Expected = "a connected socket was expected";
        if (listens) throw NotAdoptable(known, network.Name, "listens", Expected);
        if (network.HasConnections && !_api.PeerName(fd, default, out _).IsSuccess)
        {
            throw NotAdoptable(known, network.Name, "has no peer", Expected);
        }
        return network.IsIpPacket ? PacketFd.Adopt(Poller, network, fd, family) : NetFd.Adopt(Poller, network, fd);
    }

    private NetListenFd AdoptListenerOf(nint fd, nint known, ListenOptions? options)
    {
        SocketNetwork network = NetworkOf(known, out AddressFamily family, out bool listens);
        if (!listens) throw NotAdoptable(known, network.Name, "does not listen", "a listening socket was expected");
        return NetListenFd.Adopt(Poller, network, fd, family, options ?? ListenOptions.Default);
    }

    // The network of a socket, by its general name.
    private SocketNetwork NetworkOf(nint fd, out AddressFamily family, out bool listens)
    {
        (family, SocketType type, listens) = (AddressFamily.Unknown, SocketType.Unknown, false);
        IoResult result = fd == (int)fd ? _api.Describe(fd, out family, out type, out listens) : Errno.EBADF;
        if (!result.IsSuccess)
        {
            throw new ArgumentException($"adopt fd {fd}: {result.Errno.Message}; an open socket was expected.", nameof(fd));
        }
        string? name = (family, type) switch
        {
            (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6, SocketType.Stream) => "tcp",
            (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6, SocketType.Dgram) => "udp",
            (AddressFamily.Unix, SocketType.Stream) => "unix",
            (AddressFamily.Unix, SocketType.Dgram) => "unixgram",
            (AddressFamily.Unix, SocketType.Seqpacket) => "unixpacket",
            _ => null,
        };
        if (name is not null) return _networks[name];
        throw new ArgumentException($"adopt fd {fd}: a {family} {type} socket is of no network that this package has.", nameof(fd));
    }

    private static ArgumentException NotAdoptable(nint fd, string network, string what, string expected) =>
        new($"adopt fd {fd}: it is a {network} socket which {what}; {expected}.", nameof(fd));
}
