using System.Net.Sockets;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of FileConn and FileListener in Go's net/file.go. In Go both sides keep the socket; here it changes hands.
public sealed partial class NetStack
{
    /// <summary>
    /// Turns a connected socket that comes from elsewhere into a connection: TCP into a <see cref="TcpConn"/>, UDP, with or without a peer,
    /// into a <see cref="UdpConn"/>, a raw socket of IP into an <see cref="IpConn"/>, and a Unix socket of any kind into a
    /// <see cref="UnixConn"/>. It may come from a service manager, another process, a native library, or a <see cref="Socket"/> (its
    /// <see cref="Socket.SafeHandle"/>).
    /// </summary>
    /// <remarks>
    /// The connection takes the socket over. The handle, and a <see cref="Socket"/> that it belongs to, get a socket without a peer in its
    /// place, which cannot be adopted; dispose them when you like. No operation of the <see cref="Socket"/> may be under way. If it has
    /// made an async call before, .NET's own epoll is woken by the connection's events too, until the connection is closed; this costs time
    /// and changes no result. The adopted socket becomes non-blocking and close-on-exec. If it is TCP, it gets TCP_NODELAY and keep-alive,
    /// as one that was dialed. If the call throws, the handle is as it was.
    /// </remarks>
    /// <param name="handle">The socket's handle.</param>
    /// <exception cref="ArgumentException">It is no socket, or no connected one. The message says what it is.</exception>
    /// <exception cref="NetOpException">The system refused.</exception>
    /// <exception cref="ObjectDisposedException">The handle or the poller was disposed.</exception>
    /// <exception cref="IOException">The backend of every loop has failed.</exception>
    public Conn AdoptConn(SafeHandle handle) => Adopt(handle, nameof(handle), AdoptConnOf).ToConn();

    /// <summary>As <see cref="AdoptConn(SafeHandle)"/>, of a descriptor's number, which the connection then owns and closes.</summary>
    /// <remarks>
    /// The descriptor keeps its number. Nothing else may close it or read from it. It becomes non-blocking and close-on-exec, and if it is
    /// TCP, it gets TCP_NODELAY and keep-alive. If the call throws, the descriptor is still yours, and as it was.
    /// </remarks>
    /// <param name="descriptor">The descriptor's number.</param>
    /// <inheritdoc cref="AdoptConn(SafeHandle)" path="/exception"/>
    public Conn AdoptConn(nint descriptor) => Adopt(descriptor, nameof(descriptor), AdoptConnOf).ToConn();

    /// <summary>Makes a listener of a listening socket that comes from elsewhere, such as one of <see cref="SocketActivation"/>.</summary>
    /// <remarks>
    /// As <see cref="AdoptConn(SafeHandle)"/> says. Accepted connections have TCP_NODELAY and keep-alive too. Others may listen on the
    /// socket too, such as the service manager that opened it; when you close the listener, they go on. The socket is bound and listens
    /// already, so of the options only <see cref="ListenOptions.KeepAlive"/>, <see cref="ListenOptions.MaxConnections"/> and
    /// <see cref="ListenOptions.IdleTimeout"/> count.
    /// </remarks>
    /// <param name="handle">The socket's handle.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <exception cref="ArgumentException">It is no socket, or does not listen. The message says what it is.</exception>
    /// <inheritdoc cref="AdoptConn(SafeHandle)" path="/exception[not(@cref='T:System.ArgumentException')]"/>
    public ConnListener AdoptListener(SafeHandle handle, ListenOptions? options = null) =>
        ToListener(Adopt(handle, nameof(handle), (fd, known) => AdoptListenerOf(fd, known, options)));

    /// <summary>
    /// As <see cref="AdoptListener(SafeHandle, ListenOptions?)"/>, of a descriptor's number, which the listener then owns and closes.
    /// </summary>
    /// <remarks>
    /// As <see cref="AdoptConn(nint)"/> says; for the options, see <see cref="AdoptListener(SafeHandle, ListenOptions?)"/>.
    /// </remarks>
    /// <param name="descriptor">The descriptor's number.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <inheritdoc cref="AdoptListener(SafeHandle, ListenOptions?)" path="/exception"/>
    public ConnListener AdoptListener(nint descriptor, ListenOptions? options = null) =>
        ToListener(Adopt(descriptor, nameof(descriptor), (fd, known) => AdoptListenerOf(fd, known, options)));

    /// <summary>What an adopt would change of a socket, for whoever gives it back.</summary>
    internal AdoptedState StateOf(nint fd) => new(_api, fd);

    // SafeHandle has no way to give a descriptor up: a Socket closes the number even if its handle was made invalid, and the dispose of a
    // SafeSocketHandle resets the connection. So the descriptor moves to a number of our own, and a stream socket without a peer, which no
    // second adopt takes, gets its place.
    //
    // The new number is above the old one. A Socket enters .NET's epoll at its first wait, and leaves it only with the last close. So the
    // old number stays registered there, and if the socket ever got it again, .NET would fail with EEXIST.
    //
    // The new descriptor ends the old one's only when all has gone well. Until then a dispose leaves the socket to the handle.
    private T Adopt<T>(SafeHandle handle, string parameter, Func<nint, Known, T> adopt) where T : NetFd
    {
        ArgumentNullException.ThrowIfNull(handle);
        bool held = false;
        nint ours = -1;
        nint substitute = -1;
        try
        {
            handle.DangerousAddRef(ref held);
            nint fd = handle.DangerousGetHandle();
            Known known = new(fd, parameter);
            NetworkOf(known, out AddressFamily family, out _);
            ours = Made(_api.Duplicate(fd));
            substitute = Made(_api.Socket(family, SocketType.Stream, ProtocolType.Unspecified));
            T adopted = Adopt(ours, known, adopt, () => Made(_api.Replace(fd, substitute)));
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

    private T Adopt<T>(nint fd, string parameter, Func<nint, Known, T> adopt) where T : NetFd =>
        Adopt(fd, new Known(fd, parameter), adopt, static () => 0);

    private T Adopt<T>(nint fd, Known known, Func<nint, Known, T> adopt, Func<nint> takeOver) where T : NetFd
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

    // The number is adopted. It may be a duplicate of the one that the caller knows.
    private NetFd AdoptConnOf(nint fd, Known known)
    {
        SocketNetwork network = NetworkOf(known, out AddressFamily family, out bool listens);
        const string Expected = "a connected socket was expected";
        if (listens) throw known.Refused(network, "listens", Expected);
        if (network.HasConnections && !_api.PeerName(fd, default, out _).IsSuccess)
        {
            throw known.Refused(network, "has no peer", Expected);
        }
        return network.IsIpPacket ? PacketFd.Adopt(Poller, network, fd, family) : NetFd.Adopt(Poller, network, fd);
    }

    private NetListenFd AdoptListenerOf(nint fd, Known known, ListenOptions? options)
    {
        SocketNetwork network = NetworkOf(known, out AddressFamily family, out bool listens);
        if (!listens) throw known.Refused(network, "does not listen", "a listening socket was expected");
        return NetListenFd.Adopt(Poller, network, fd, family, options ?? ListenOptions.Default);
    }

    // The network of a socket, by its general name.
    private SocketNetwork NetworkOf(Known known, out AddressFamily family, out bool listens)
    {
        nint fd = known.Fd;
        (family, SocketType type, ProtocolType protocol, listens) =
            (AddressFamily.Unknown, SocketType.Unknown, ProtocolType.Unspecified, false);
        IoResult result = fd == (int)fd ? _api.Describe(fd, out family, out type, out protocol, out listens) : Errno.EBADF;
        if (!result.IsSuccess) throw known.Refused($"{result.Errno.Message}; an open socket was expected");
        string? name = (family, type) switch
        {
            (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6, SocketType.Stream) => "tcp",
            (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6, SocketType.Dgram) => "udp",
            (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6, SocketType.Raw) when protocol != 0 => $"ip:{(int)protocol}",
            (AddressFamily.Unix, SocketType.Stream) => "unix",
            (AddressFamily.Unix, SocketType.Dgram) => "unixgram",
            (AddressFamily.Unix, SocketType.Seqpacket) => "unixpacket",
            _ => null,
        };
        SocketNetwork? network = name is null ? null : _networks.GetValueOrDefault(name) ?? SocketNetwork.OfRaw(name, _api);
        return network ?? throw known.Refused($"a {family} {type} socket is of no network that this package has");
    }

    /// <summary>The number that the caller knows, and the parameter that it came by.</summary>
    private readonly record struct Known(nint Fd, string Parameter)
    {
        public ArgumentException Refused(string reason) => new($"adopt fd {Fd}: {reason}.", Parameter);

        public ArgumentException Refused(SocketNetwork network, string what, string expected) =>
            Refused($"it is a {network.Name} socket which {what}; {expected}");
    }
}
