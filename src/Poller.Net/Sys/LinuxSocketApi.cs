using System.Globalization;
using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>The socket calls of Linux.</summary>
internal sealed unsafe partial class LinuxSocketApi : UnixSocketApi
{
    public static readonly LinuxSocketApi Instance = new();

    private const int SOCK_NONBLOCK = 0x800;
    private const int SOCK_CLOEXEC = 0x80000;
    private const int MSG_PEEK = 2;
    private const int MSG_DONTWAIT = 0x40;
    private const int MSG_NOSIGNAL = 0x4000;

    // We make these calls by number where we know it: the C library's recv and send are cancellation points, which costs about 20 ns in a
    // process with threads. 0 means unknown.
    private static readonly nint SYS_sendto = NumberOf(x64: 44, generic: 206);
    private static readonly nint SYS_recvfrom = NumberOf(x64: 45, generic: 207);

    private LinuxSocketApi() : base(SocketNumbers.Linux) { }

    /// <summary>The administrator's limit, as in Go's maxListenerBacklog. Kernels since 4.1 store a backlog in 32 bits.</summary>
    public override int MaxBacklog { get; } = ReadMaxBacklog();

    public override IoResult Accept(nint fd, Span<byte> address, out int addressLength)
    {
        uint length = (uint)address.Length;
        fixed (byte* a = address)
        {
            IoResult result = Result(accept4((int)fd, a, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
            addressLength = Math.Min((int)length, address.Length);
            return result;
        }
    }

    public override IoResult Receive(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Receive(fd, b, buffer.Length, MSG_DONTWAIT);
    }

    public override IoResult Peek(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Receive(fd, b, buffer.Length, MSG_DONTWAIT | MSG_PEEK);
    }

    public override IoResult Send(nint fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* b = buffer)
        {
            return Transferred(SYS_sendto != 0
                ? syscall(SYS_sendto, fd, b, buffer.Length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0)
                : send((int)fd, b, buffer.Length, MSG_DONTWAIT | MSG_NOSIGNAL));
        }
    }

    private protected override IoResult Create(int domain, int type, int protocol) =>
        Result(socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));

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
            return SoMaxConn; // Some sandboxes have no /proc. Go falls back to the same constant.
        }
    }

    private static IoResult Receive(nint fd, byte* buffer, int length, int flags) =>
        Transferred(SYS_recvfrom != 0 ? syscall(SYS_recvfrom, fd, buffer, length, flags, 0, 0) : recv((int)fd, buffer, length, flags));

    // The generic table is asm-generic/unistd.h's.
    private static nint NumberOf(nint x64, nint generic) => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => x64,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => generic,
        _ => 0,
    };

    [LibraryImport(Library, SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int accept4(int fd, byte* address, uint* length, int flags);

    // Without SetLastError; see Transferred.
    [LibraryImport(Library)]
    private static partial nint recv(int fd, byte* buffer, nint length, int flags);

    [LibraryImport(Library)]
    private static partial nint send(int fd, byte* buffer, nint length, int flags);

    [LibraryImport(Library)]
    private static partial nint syscall(nint number, nint fd, byte* buffer, nint length, nint flags, nint address, nint addressLength);
}
