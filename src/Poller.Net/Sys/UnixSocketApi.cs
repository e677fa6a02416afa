using System.Net.Sockets;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>The socket calls that have the same form on every Unix. Their numbers differ; <paramref name="os"/> holds them.</summary>
internal abstract unsafe partial class UnixSocketApi(SocketNumbers os) : ISocketApi
{
    private protected const string Library = "libc";

    private struct Linger
    {
        public int On;
        public int Seconds;
    }

    private struct ResourceLimit
    {
        public ulong Soft;
        public ulong Hard;
    }

    /// <summary>The numbers that the calls use.</summary>
    public SocketNumbers Numbers => os;

    public abstract int MaxBacklog { get; }

    public long MaxDescriptors
    {
        get
        {
            ResourceLimit limit;
            return getrlimit(os.RLIMIT_NOFILE, &limit) == 0 ? (long)Math.Min(limit.Soft, long.MaxValue) : long.MaxValue;
        }
    }

    public IoResult Socket(AddressFamily family, SocketType type, ProtocolType protocol)
    {
        int domain = family switch
        {
            AddressFamily.InterNetwork => os.AF_INET,
            AddressFamily.InterNetworkV6 => os.AF_INET6,
            AddressFamily.Unix => os.AF_UNIX,
            _ => throw new ArgumentOutOfRangeException(nameof(family), family, "InterNetwork, InterNetworkV6 or Unix was expected."),
        };
        int kind = type switch
        {
            SocketType.Stream => os.SOCK_STREAM,
            SocketType.Dgram => os.SOCK_DGRAM,
            SocketType.Seqpacket => os.SOCK_SEQPACKET,
            SocketType.Raw => os.SOCK_RAW,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Stream, Dgram, Seqpacket or Raw was expected."),
        };
        return Create(domain, kind, (int)protocol);
    }

    public IoResult Bind(nint fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* a = address) return Result(bind((int)fd, a, (uint)address.Length));
    }

    public IoResult Listen(nint fd, int backlog) => Result(listen((int)fd, backlog));

    public abstract IoResult Accept(nint fd, Span<byte> address, out int addressLength);

    public IoResult Connect(nint fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* a = address) return Result(connect((int)fd, a, (uint)address.Length));
    }

    public abstract IoResult Receive(nint fd, Span<byte> buffer);

    public abstract IoResult Peek(nint fd, Span<byte> buffer);

    public abstract IoResult Send(nint fd, ReadOnlySpan<byte> buffer);

    // The BCL's numbers for the directions are those of the system call.
    public IoResult Shutdown(nint fd, SocketShutdown how) => Result(shutdown((int)fd, (int)how));

    public IoResult SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value)
    {
        if (level == SocketOptionLevel.Socket && name == SocketOptionName.Linger)
        {
            Linger linger = new() { On = value < 0 ? 0 : 1, Seconds = Math.Max(value, 0) };
            return Result(setsockopt((int)fd, os.SOL_SOCKET, os.SO_LINGER, &linger, (uint)sizeof(Linger)));
        }
        (int systemLevel, int systemName) = NumbersOf(level, name);
        return systemName == 0 ? Errno.ENOPROTOOPT : Set((int)fd, systemLevel, systemName, value);
    }

    public IoResult GetOption(nint fd, SocketOptionLevel level, SocketOptionName name, out int value)
    {
        if (level == SocketOptionLevel.Socket && name == SocketOptionName.Linger)
        {
            Linger linger = default;
            uint length = (uint)sizeof(Linger);
            IoResult result = Result(getsockopt((int)fd, os.SOL_SOCKET, os.SO_LINGER, &linger, &length));
            value = linger.On == 0 ? -1 : linger.Seconds;
            return result;
        }
        (int systemLevel, int systemName) = NumbersOf(level, name);
        value = 0;
        return systemName == 0 ? Errno.ENOPROTOOPT : Get((int)fd, systemLevel, systemName, out value);
    }

    public IoResult SetRawOption(nint fd, int level, int name, ReadOnlySpan<byte> value)
    {
        fixed (byte* v = value) return Result(setsockopt((int)fd, level, name, v, (uint)value.Length));
    }

    public IoResult GetRawOption(nint fd, int level, int name, Span<byte> value)
    {
        uint length = (uint)value.Length;
        fixed (byte* v = value)
        {
            IoResult result = Result(getsockopt((int)fd, level, name, v, &length));
            return result.IsSuccess ? (int)length : result;
        }
    }

    public IoResult TakeError(nint fd)
    {
        IoResult result = Get((int)fd, os.SOL_SOCKET, os.SO_ERROR, out int error);
        return result.IsSuccess ? new Errno(error) : result;
    }

    public IoResult Unsent(nint fd)
    {
        if (os.FIONWRITE == 0) return Errno.EOPNOTSUPP;
        int unsent;
        int result = Ioctl((int)fd, os.FIONWRITE, &unsent);
        return result == 0 ? unsent : Result(result);
    }

    public IoResult LocalName(nint fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* a = address)
        {
            IoResult result = Result(getsockname((int)fd, a, &length));
            addressLength = Math.Min((int)length, address.Length);
            return result;
        }
    }

    public IoResult PeerName(nint fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* a = address)
        {
            IoResult result = Result(getpeername((int)fd, a, &length));
            addressLength = Math.Min((int)length, address.Length);
            return result;
        }
    }

    // We do not repeat it after EINTR: the descriptor is gone by then, and its number may already belong to another (close(2)).
    public IoResult Close(nint fd) => Result(close((int)fd));

    /// <summary>Creates a socket that is close-on-exec and non-blocking.</summary>
    private protected abstract IoResult Create(int domain, int type, int protocol);

    private (int Level, int Name) NumbersOf(SocketOptionLevel level, SocketOptionName name) => (level, name) switch
    {
        (SocketOptionLevel.Socket, SocketOptionName.ReuseAddress) => (os.SOL_SOCKET, os.SO_REUSEADDR),
        (SocketOptionLevel.Socket, SocketOptions.ReusePort) => (os.SOL_SOCKET, os.SO_REUSEPORT),
        (SocketOptionLevel.Socket, SocketOptionName.Broadcast) => (os.SOL_SOCKET, os.SO_BROADCAST),
        (SocketOptionLevel.Socket, SocketOptionName.SendBuffer) => (os.SOL_SOCKET, os.SO_SNDBUF),
        (SocketOptionLevel.Socket, SocketOptionName.ReceiveBuffer) => (os.SOL_SOCKET, os.SO_RCVBUF),
        (SocketOptionLevel.Socket, SocketOptionName.KeepAlive) => (os.SOL_SOCKET, os.SO_KEEPALIVE),
        (SocketOptionLevel.Tcp, SocketOptionName.NoDelay) => (os.IPPROTO_TCP, os.TCP_NODELAY),
        (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime) => (os.IPPROTO_TCP, os.TCP_KEEPIDLE),
        (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval) => (os.IPPROTO_TCP, os.TCP_KEEPINTVL),
        (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount) => (os.IPPROTO_TCP, os.TCP_KEEPCNT),
        (SocketOptionLevel.IPv6, SocketOptionName.IPv6Only) => (os.IPPROTO_IPV6, os.IPV6_V6ONLY),
        (SocketOptionLevel.IP, SocketOptionName.IpTimeToLive) => (os.IPPROTO_IP, os.IP_TTL),
        (SocketOptionLevel.IP, SocketOptionName.TypeOfService) => (os.IPPROTO_IP, os.IP_TOS),
        (SocketOptionLevel.IP, SocketOptionName.PacketInformation) => (os.IPPROTO_IP, os.IP_PKTINFO),
        (SocketOptionLevel.IP, SocketOptionName.MulticastTimeToLive) => (os.IPPROTO_IP, os.IP_MULTICAST_TTL),
        (SocketOptionLevel.IP, SocketOptionName.MulticastLoopback) => (os.IPPROTO_IP, os.IP_MULTICAST_LOOP),
        (SocketOptionLevel.IPv6, SocketOptionName.HopLimit) => (os.IPPROTO_IPV6, os.IPV6_UNICAST_HOPS),
        (SocketOptionLevel.IPv6, SocketOptionName.TypeOfService) => (os.IPPROTO_IPV6, os.IPV6_TCLASS),
        (SocketOptionLevel.IPv6, SocketOptionName.PacketInformation) => (os.IPPROTO_IPV6, os.IPV6_RECVPKTINFO),
        (SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive) => (os.IPPROTO_IPV6, os.IPV6_MULTICAST_HOPS),
        (SocketOptionLevel.IPv6, SocketOptionName.MulticastLoopback) => (os.IPPROTO_IPV6, os.IPV6_MULTICAST_LOOP),
        _ => throw new ArgumentOutOfRangeException(
            nameof(name), $"{level}/{name}", "an option that this library knows was expected; SetRawSocketOption takes any by its number."),
    };

    private protected static IoResult Get(int fd, int level, int name, out int value)
    {
        uint length = sizeof(int);
        fixed (int* v = &value) return Result(getsockopt(fd, level, name, v, &length));
    }

    private protected static IoResult Set(int fd, int level, int name, int value) =>
        Result(setsockopt(fd, level, name, &value, sizeof(int)));

    private protected static IoResult Result(int result) => result >= 0 ? result : new Errno(Marshal.GetLastPInvokeError());

    // ioctl is variadic, and Apple's arm64 passes variadic arguments on the stack. Six dummy arguments fill the registers.
    private protected static int Ioctl(int fd, nuint request, void* argument) =>
        OperatingSystem.IsMacOS() && RuntimeInformation.ProcessArchitecture == Architecture.Arm64
            ? ioctl(fd, request, 0, 0, 0, 0, 0, 0, argument)
            : ioctl(fd, request, argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int bind(int fd, byte* address, uint length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int listen(int fd, int backlog);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int connect(int fd, byte* address, uint length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int shutdown(int fd, int how);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int setsockopt(int fd, int level, int name, void* value, uint length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int getsockopt(int fd, int level, int name, void* value, uint* length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int getsockname(int fd, byte* address, uint* length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int getpeername(int fd, byte* address, uint* length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int close(int fd);

    [LibraryImport(Library)]
    private static partial int getrlimit(int resource, ResourceLimit* limit);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int ioctl(int fd, nuint request, void* argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int ioctl(int fd, nuint request, nint x2, nint x3, nint x4, nint x5, nint x6, nint x7, void* argument);
}
