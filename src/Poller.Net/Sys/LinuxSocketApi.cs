using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>The socket calls of Linux.</summary>
internal sealed unsafe partial class LinuxSocketApi : ISocketApi
{
    public static readonly LinuxSocketApi Instance = new();

    private const string Library = "libc";

    private const int AF_INET = 2;
    private const int AF_INET6 = 10;
    private const int SOCK_STREAM = 1;
    private const int SOCK_NONBLOCK = 0x800;
    private const int SOCK_CLOEXEC = 0x80000;
    private const int MSG_PEEK = 2;
    private const int MSG_NOSIGNAL = 0x4000;
    private const int SOL_SOCKET = 1;
    private const int SO_REUSEADDR = 2;
    private const int SO_ERROR = 4;
    private const int SO_KEEPALIVE = 9;
    private const int SO_LINGER = 13;
    private const int IPPROTO_TCP = 6;
    private const int TCP_NODELAY = 1;
    private const int TCP_KEEPIDLE = 4;
    private const int TCP_KEEPINTVL = 5;
    private const int TCP_KEEPCNT = 6;
    private const int IPPROTO_IPV6 = 41;
    private const int IPV6_V6ONLY = 26;
    private const int RLIMIT_NOFILE = 7;

    // By number, where it is known: in a process with threads the C library's recv and send are cancellation points, and take about 20 ns
    // for that. 0 is not known.
    private static readonly nint SYS_sendto = NumberOf(x64: 44, generic: 206);
    private static readonly nint SYS_recvfrom = NumberOf(x64: 45, generic: 207);

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

    private LinuxSocketApi() { }

    public long MaxDescriptors
    {
        get
        {
            ResourceLimit limit;
            return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (long)Math.Min(limit.Soft, long.MaxValue) : long.MaxValue;
        }
    }

    /// <summary>As Go's maxListenerBacklog: what the administrator allows, which kernels since 4.1 hold in 32 bits.</summary>
    public int MaxBacklog { get; } = ReadMaxBacklog();

    public int Socket(AddressFamily family, SocketType type, ProtocolType protocol)
    {
        int domain = family switch
        {
            AddressFamily.InterNetwork => AF_INET,
            AddressFamily.InterNetworkV6 => AF_INET6,
            _ => throw new ArgumentOutOfRangeException(nameof(family), family, "InterNetwork or InterNetworkV6 was expected."),
        };
        int kind = type switch
        {
            SocketType.Stream => SOCK_STREAM,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Stream was expected."),
        };
        return Result(socket(domain, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, (int)protocol));
    }

    public int Bind(nint fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* a = address) return Result(bind((int)fd, a, (uint)address.Length));
    }

    public int Listen(nint fd, int backlog) => Result(listen((int)fd, backlog));

    public int Accept(nint fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* a = address)
        {
            int result = Result(accept4((int)fd, a, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
            addressLength = Math.Min((int)length, address.Length);
            return result;
        }
    }

    public int Connect(nint fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* a = address) return Result(connect((int)fd, a, (uint)address.Length));
    }

    public int Receive(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Receive(fd, b, buffer.Length, 0);
    }

    public int Peek(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Receive(fd, b, buffer.Length, MSG_PEEK);
    }

    public int Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* b = buffer)
        {
            return Transferred(SYS_sendto != 0
                ? syscall(SYS_sendto, fd, b, buffer.Length, MSG_NOSIGNAL, 0, 0)
                : send((int)fd, b, buffer.Length, MSG_NOSIGNAL));
        }
    }

    // The BCL numbers the directions as the system calls do.
    public int Shutdown(nint fd, SocketShutdown how) => Result(shutdown((int)fd, (int)how));

    public int SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value)
    {
        if (level == SocketOptionLevel.Socket && name == SocketOptionName.Linger)
        {
            Linger linger = new() { On = value < 0 ? 0 : 1, Seconds = Math.Max(value, 0) };
            return Result(setsockopt((int)fd, SOL_SOCKET, SO_LINGER, &linger, (uint)sizeof(Linger)));
        }
        (int systemLevel, int systemName) = (level, name) switch
        {
            (SocketOptionLevel.Socket, SocketOptionName.ReuseAddress) => (SOL_SOCKET, SO_REUSEADDR),
            (SocketOptionLevel.Socket, SocketOptionName.KeepAlive) => (SOL_SOCKET, SO_KEEPALIVE),
            (SocketOptionLevel.Tcp, SocketOptionName.NoDelay) => (IPPROTO_TCP, TCP_NODELAY),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime) => (IPPROTO_TCP, TCP_KEEPIDLE),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval) => (IPPROTO_TCP, TCP_KEEPINTVL),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount) => (IPPROTO_TCP, TCP_KEEPCNT),
            (SocketOptionLevel.IPv6, SocketOptionName.IPv6Only) => (IPPROTO_IPV6, IPV6_V6ONLY),
            _ => throw new ArgumentOutOfRangeException(nameof(name), $"{level}/{name}", "an option that the net layer sets was expected."),
        };
        return Result(setsockopt((int)fd, systemLevel, systemName, &value, sizeof(int)));
    }

    public int TakeError(nint fd)
    {
        int error;
        uint length = sizeof(int);
        int result = Result(getsockopt((int)fd, SOL_SOCKET, SO_ERROR, &error, &length));
        return result < 0 ? result : -error;
    }

    public int LocalName(nint fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* a = address)
        {
            int result = Result(getsockname((int)fd, a, &length));
            addressLength = Math.Min((int)length, address.Length);
            return result;
        }
    }

    public int PeerName(nint fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* a = address)
        {
            int result = Result(getpeername((int)fd, a, &length));
            addressLength = Math.Min((int)length, address.Length);
            return result;
        }
    }

    // Not repeated after EINTR: the descriptor is gone by then, and its number may be someone else's (close(2)).
    public int Close(nint fd) => Result(close((int)fd));

    private static int ReadMaxBacklog()
    {
        const int SoMaxConn = 128;
        try
        {
            string text = File.ReadAllText("/proc/sys/net/core/somaxconn");
            return int.TryParse(text.AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value > 0
                ? value
                : SoMaxConn;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return SoMaxConn; // No /proc here, as in some sandboxes; Go falls back to the same constant.
        }
    }

    private static int Result(int result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    private static int Receive(nint fd, byte* buffer, int length, int flags) =>
        Transferred(SYS_recvfrom != 0 ? syscall(SYS_recvfrom, fd, buffer, length, flags, 0, 0) : recv((int)fd, buffer, length, flags));

    // The generic table is asm-generic/unistd.h's.
    private static nint NumberOf(nint x64, nint generic) => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => x64,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => generic,
        _ => 0,
    };

    private static int Transferred(nint result) => result >= 0 ? (int)result : -Marshal.GetLastSystemError();

    [LibraryImport(Library, SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int bind(int fd, byte* address, uint length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int listen(int fd, int backlog);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int accept4(int fd, byte* address, uint* length, int flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int connect(int fd, byte* address, uint length);

    // Without SetLastError, which takes 7 ns: a call that succeeds leaves errno unread. After one that fails it is read where the code that
    // SetLastError generates would read it.
    [LibraryImport(Library)]
    private static partial nint recv(int fd, byte* buffer, nint length, int flags);

    [LibraryImport(Library)]
    private static partial nint send(int fd, byte* buffer, nint length, int flags);

    [LibraryImport(Library)]
    private static partial nint syscall(nint number, nint fd, byte* buffer, nint length, nint flags, nint address, nint addressLength);

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
}
