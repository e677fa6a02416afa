using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Poller.Net;

// macOS has no call that makes a descriptor close-on-exec and non-blocking at once. The BSDs have, under other numbers each; one path
// serves them all. A child process that another thread starts in between inherits the descriptor.

/// <summary>The socket calls of macOS and the BSDs.</summary>
internal sealed unsafe partial class BsdSocketApi(BsdPlatform os) : ISocketApi
{
    private const string Library = "libc";

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

    /// <summary>The numbers that the calls go by.</summary>
    public BsdPlatform Platform => os;

    /// <summary>How many descriptors the process may have open; none has a number as high (RLIMIT_NOFILE). Asked anew each time.</summary>
    public long MaxDescriptors
    {
        get
        {
            ResourceLimit limit;
            return getrlimit(os.RLIMIT_NOFILE, &limit) == 0 ? (long)Math.Min(limit.Soft, long.MaxValue) : long.MaxValue;
        }
    }

    /// <summary>Each of these kernels cuts it to what the administrator allows (solisten in uipc_socket.c).</summary>
    public int MaxBacklog => int.MaxValue;

    public int Socket(AddressFamily family, SocketType type, ProtocolType protocol)
    {
        int domain = family switch
        {
            AddressFamily.InterNetwork => os.AF_INET,
            AddressFamily.InterNetworkV6 => os.AF_INET6,
            _ => throw new ArgumentOutOfRangeException(nameof(family), family, "InterNetwork or InterNetworkV6 was expected."),
        };
        int kind = type switch
        {
            SocketType.Stream => os.SOCK_STREAM,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Stream was expected."),
        };
        int fd = Result(socket(domain, kind, (int)protocol));
        return fd < 0 ? fd : OrClose(fd, SetUp(fd));
    }

    public int Bind(nint fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* a = address) return Result(bind((int)fd, a, (uint)address.Length));
    }

    public int Listen(nint fd, int backlog) => Result(listen((int)fd, backlog));

    public int Accept(nint fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        int accepted;
        fixed (byte* a = address) accepted = Result(accept((int)fd, a, &length));
        addressLength = Math.Min((int)length, address.Length);
        if (accepted < 0) return accepted;

        int result = os.AcceptsTheDead && addressLength == 0 && !address.IsEmpty ? -Errno.ECONNABORTED : SetUp(accepted);
        if (result >= 0 && !os.InheritsTcpOptions) result = CopyTcpOptions((int)fd, accepted);

        // xnu refuses every option of a socket whose peer has reset it.
        return OrClose(accepted, os.AcceptsTheDead && result == -Errno.EINVAL ? -Errno.ECONNABORTED : result);
    }

    public int Connect(nint fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* a = address) return Result(connect((int)fd, a, (uint)address.Length));
    }

    public int Receive(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)recv((int)fd, b, buffer.Length, 0));
    }

    public int Peek(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)recv((int)fd, b, buffer.Length, os.MSG_PEEK));
    }

    public int Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)send((int)fd, b, buffer.Length, os.MSG_NOSIGNAL));
    }

    // The BCL numbers the directions as the system calls do.
    public int Shutdown(nint fd, SocketShutdown how) => Result(shutdown((int)fd, (int)how));

    public int SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value)
    {
        if (level == SocketOptionLevel.Socket && name == SocketOptionName.Linger)
        {
            Linger linger = new() { On = value < 0 ? 0 : 1, Seconds = Math.Max(value, 0) };
            return Result(setsockopt((int)fd, os.SOL_SOCKET, os.SO_LINGER, &linger, (uint)sizeof(Linger)));
        }
        (int systemLevel, int systemName) = (level, name) switch
        {
            (SocketOptionLevel.Socket, SocketOptionName.ReuseAddress) => (os.SOL_SOCKET, os.SO_REUSEADDR),
            (SocketOptionLevel.Socket, SocketOptionName.KeepAlive) => (os.SOL_SOCKET, os.SO_KEEPALIVE),
            (SocketOptionLevel.Tcp, SocketOptionName.NoDelay) => (os.IPPROTO_TCP, os.TCP_NODELAY),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime) => (os.IPPROTO_TCP, os.TCP_KEEPIDLE),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval) => (os.IPPROTO_TCP, os.TCP_KEEPINTVL),
            (SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount) => (os.IPPROTO_TCP, os.TCP_KEEPCNT),
            (SocketOptionLevel.IPv6, SocketOptionName.IPv6Only) => (os.IPPROTO_IPV6, os.IPV6_V6ONLY),
            _ => throw new ArgumentOutOfRangeException(nameof(name), $"{level}/{name}", "an option that the net layer sets was expected."),
        };

        // Keep-alive works by the system's times then, as Go leaves it there too (net/tcpsockopt_openbsd.go).
        return systemName == 0 ? 0 : Set((int)fd, systemLevel, systemName, value);
    }

    public int TakeError(nint fd)
    {
        int result = Get((int)fd, os.SOL_SOCKET, os.SO_ERROR, out int error);
        return result < 0 ? result : error == 0 ? 0 : -os.ToLinux(error);
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

    // Not repeated after EINTR: the descriptor is gone by then, and its number may be someone else's.
    public int Close(nint fd) => Result(close((int)fd));

    private int SetUp(int fd)
    {
        int yes = 1;
        int result = Result(ioctl(fd, os.FIOCLEX, null));
        if (result >= 0) result = Result(Ioctl(fd, os.FIONBIO, &yes));
        return result >= 0 && os.SO_NOSIGPIPE != 0 ? Set(fd, os.SOL_SOCKET, os.SO_NOSIGPIPE, 1) : result;
    }

    private int CopyTcpOptions(int from, int to)
    {
        int result = 0;
        foreach (int name in (ReadOnlySpan<int>)[os.TCP_NODELAY, os.TCP_KEEPIDLE, os.TCP_KEEPINTVL, os.TCP_KEEPCNT])
        {
            if (name == 0) continue;
            result = Get(from, os.IPPROTO_TCP, name, out int value);
            if (result >= 0) result = Set(to, os.IPPROTO_TCP, name, value);
            if (result < 0) break;
        }
        return result;
    }

    private int OrClose(int fd, int result)
    {
        if (result >= 0) return fd;
        Close(fd);
        return result;
    }

    private int Get(int fd, int level, int name, out int value)
    {
        uint length = sizeof(int);
        fixed (int* v = &value) return Result(getsockopt(fd, level, name, v, &length));
    }

    private int Set(int fd, int level, int name, int value) => Result(setsockopt(fd, level, name, &value, sizeof(int)));

    private int Result(int result) => result >= 0 ? result : -os.ToLinux(Marshal.GetLastPInvokeError());

    // A variadic function: on Apple's arm64 what is not named in its declaration goes by the stack, which begins behind eight arguments.
    private static int Ioctl(int fd, nuint request, void* argument) =>
        OperatingSystem.IsMacOS() && RuntimeInformation.ProcessArchitecture == Architecture.Arm64
            ? ioctl(fd, request, 0, 0, 0, 0, 0, 0, argument)
            : ioctl(fd, request, argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int bind(int fd, byte* address, uint length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int listen(int fd, int backlog);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int accept(int fd, byte* address, uint* length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int connect(int fd, byte* address, uint length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint recv(int fd, byte* buffer, nint length, int flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint send(int fd, byte* buffer, nint length, int flags);

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
    private static partial int ioctl(int fd, nuint request, void* argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int ioctl(int fd, nuint request, nint x2, nint x3, nint x4, nint x5, nint x6, nint x7, void* argument);

    [LibraryImport(Library)]
    private static partial int getrlimit(int resource, ResourceLimit* limit);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int close(int fd);
}
