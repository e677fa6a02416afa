using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of socket in Go's net/sock_posix.go, and of the options that net/sockopt_posix.go and net/tcpsockopt_posix.go give a new socket.

/// <summary>
/// A new socket on its way to its descriptor. Its dispose undoes what was done if that fails: it closes the socket, and removes the file
/// that the socket made. One thread uses it.
/// </summary>
internal sealed class NewSocket(
    string operation,
    Netpoller poller,
    SocketNetwork network,
    EndPoint? local,
    EndPoint? remote,
    KeepAliveConfig? keepAlive = null,
    bool multipath = false) : IDisposable
{
    private NetFd? _made;
    private bool _isDone;

    public nint Fd { get; } = Open(network, operation, (remote ?? local!).AddressFamily, local, remote, keepAlive, multipath);

    /// <summary>The file that a bind made.</summary>
    public BoundPath? File { get; private set; }

    /// <summary>
    /// Creates a socket with Go's defaults, and with <paramref name="keepAlive"/> if it is TCP's; null means the default one. Its
    /// descriptor does not come from the reserve.
    /// </summary>
    public static nint Open(
        SocketNetwork network,
        string operation,
        AddressFamily family,
        EndPoint? local,
        EndPoint? remote,
        KeepAliveConfig? keepAlive = null,
        bool multipath = false)
    {
        ISocketApi api = network.Api;
        keepAlive ??= KeepAliveConfig.Default;
        if (multipath && TryNewMultipath(network, family, keepAlive, out nint many)) return many;
        IoResult made = DescriptorReserve.Socket(network, family);
        if (!made.IsSuccess)
        {
            string? expected = made == Errno.EMFILE ? DescriptorReserve.Expected
                : network.IsRaw && (made == Errno.EPERM || made == Errno.EACCES) ? "the right to open raw sockets was expected: CAP_NET_RAW"
                : null;
            throw NetOpException.Refused(operation, network.Name, local, remote, SocketErrors.ToException(made.Errno), expected);
        }
        int fd = made.Value;
        IoResult result = SetDefaults(network, fd, keepAlive);
        if (result.IsSuccess) return fd;
        api.Close(fd);
        throw NetOpException.Refused(operation, network.Name, local, remote, SocketErrors.ToException(result.Errno));
    }

    /// <summary>Sets Go's defaults of a network's sockets, and a keep-alive.</summary>
    public static IoResult SetDefaults(SocketNetwork network, nint fd, KeepAliveConfig keepAlive)
    {
        if (!network.IsTcp) return 0;
        IoResult result = Set(SocketOptionLevel.Tcp, SocketOptionName.NoDelay, 1);
        if (result.IsSuccess) result = Set(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, keepAlive.Enable ? 1 : 0);
        if (!keepAlive.Enable) return result;
        if (result.IsSuccess) result = SetTime(SocketOptionName.TcpKeepAliveTime, keepAlive.IdleSeconds);
        if (result.IsSuccess) result = SetTime(SocketOptionName.TcpKeepAliveInterval, keepAlive.IntervalSeconds);
        return result.IsSuccess ? SetTime(SocketOptionName.TcpKeepAliveRetryCount, keepAlive.Count) : result;

        IoResult Set(SocketOptionLevel level, SocketOptionName name, int value) => network.Api.SetOption(fd, level, name, value);

        // Where sockets have no times of their own, those of the system hold, as in Go (net/tcpsockopt_openbsd.go).
        IoResult SetTime(SocketOptionName name, int? value)
        {
            if (value is not { } number) return 0;
            IoResult result = Set(SocketOptionLevel.Tcp, name, number);
            return result == Errno.ENOPROTOOPT ? 0 : result;
        }
    }

    /// <summary>Puts a new descriptor into a loop. If no loop takes it, it is closed.</summary>
    public static void Init(
        NetFd made, Netpoller poller, string operation, EndPoint? local, EndPoint? remote, int? loop = null)
    {
        try
        {
            made.Init(poller, loop is { } index ? poller.Loops[index] : null); // The first use starts the loops, and may fail.
        }
        catch (NetpollException e)
        {
            throw NetOpException.Refused(operation, made.Network, local, remote, SocketErrors.ToException(e.Error), e.Message);
        }
        catch (ObjectDisposedException e)
        {
            string what = $"{operation} {made.Network} {remote ?? local}";
            throw new ObjectDisposedException($"{what}: its poller was disposed before the operation.", e);
        }
    }

    /// <summary>What was expected of an address that the system did not let us bind; null if its error says enough.</summary>
    public static string? HintForBind(SocketNetwork network, IoResult result) => network.IsUnix ? UnixHintForBind(result)
        : result == Errno.EADDRINUSE ? "a port that nobody uses was expected, or 0"
        : result == Errno.EADDRNOTAVAIL ? "an address of this machine was expected"
        : result == Errno.EACCES ? "a port that this user may take was expected, from 1024 up"
        : null;

    public void Set(SocketOptionLevel level, SocketOptionName name, bool value) =>
        Check(network.Api.SetOption(Fd, level, name, value ? 1 : 0));

    /// <summary>Shows the socket to the caller's function, if there is one, and then binds it, if it has a local address.</summary>
    public void Bind(SocketControl? control)
    {
        NetFd.RunControl(control, Fd, network, operation, local, remote);
        if (local is null) return;
        Check(network.Api.Bind(Fd, SocketAddressBytes.Of(local)));
        if (local is UnixDomainSocketEndPoint unix) File = BoundPath.Of(unix, poller);
    }

    public void Check(IoResult result)
    {
        if (result.IsSuccess) return;
        SocketException error = SocketErrors.ToException(result.Errno);
        throw NetOpException.Refused(operation, network.Name, local, remote, error, HintForBind(network, result));
    }

    /// <summary>Gives the socket and its file to its descriptor; <see cref="Init{T}"/> must follow.</summary>
    public T Take<T>(T made) where T : NetFd
    {
        _made = made;
        return made;
    }

    /// <summary>Puts the descriptor into a loop: the one with the given number, or the next.</summary>
    public T Init<T>(T made, int? loop = null) where T : NetFd
    {
        Init(made, poller, operation, local, remote, loop);
        _isDone = true;
        return made;
    }

    public void Dispose()
    {
        if (_isDone) return;
        if (_made is not null)
        {
            _made.Dispose();
            return;
        }
        File?.Unlink();
        network.Api.Close(Fd);
    }

    // Multipath TCP (RFC 8684), if the system has it and its sockets take our options. The twin of dialMPTCP in Go's
    // net/mptcpsock_linux.go.
    private static bool TryNewMultipath(SocketNetwork network, AddressFamily family, KeepAliveConfig keepAlive, out nint fd)
    {
        const ProtocolType Multipath = (ProtocolType)262; // IPPROTO_MPTCP of Linux. Elsewhere no protocol has such a number.
        fd = -1;
        if (!network.IsTcp) return false;
        IoResult made = DescriptorReserve.Socket(network with { Protocol = Multipath }, family);
        if (!made.IsSuccess) return false;
        fd = made.Value;
        if (SetDefaults(network, fd, keepAlive).IsSuccess) return true;
        network.Api.Close(fd);
        return false;
    }

    private static string? UnixHintForBind(IoResult result) =>
        result == Errno.EADDRINUSE
            ? "a path or a name that is free was expected; if no socket listens on the path any more, remove its file before"
        : result == Errno.ENOENT ? "a path in a directory that exists was expected"
        : result == Errno.EACCES ? "the right to write in the path's directory was expected"
        : null;
}
