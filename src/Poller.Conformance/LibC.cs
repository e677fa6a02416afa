using System.Runtime.InteropServices;

namespace Poller.Conformance;

/// <summary>The C library's calls for the kit, on Linux, macOS and the BSDs. Each returns its result, or -1 and sets errno.</summary>
internal static unsafe partial class LibC
{
    public const int AF_UNIX = 1;
    public const int SOCK_STREAM = 1;
    public const int SHUT_RD = 0;
    public const int SHUT_WR = 1;

    public const int O_RDONLY = 0;
    public const int O_WRONLY = 1;
    public const int O_RDWR = 2;

    public const int F_DUPFD = 0;
    public const int F_GETFD = 1;
    public const int F_SETFD = 2;
    public const int F_GETFL = 3;
    public const int F_SETFL = 4;
    public const int FD_CLOEXEC = 1;

    public const short POLLIN = 0x01;
    public const short POLLPRI = 0x02;
    public const short POLLOUT = 0x04;
    public const short POLLERR = 0x08;
    public const short POLLHUP = 0x10;

    // The number is the same on every Unix. Without a handler the signal has no effect.
    public const int SIGWINCH = 28;

    // The numbers that Linux does not share with 4.4BSD and its descendants.
    public static readonly int O_NONBLOCK = OperatingSystem.IsLinux() ? 0x800 : 0x4;
    public static readonly int O_NOCTTY = OperatingSystem.IsLinux() ? 0x100 : OperatingSystem.IsMacOS() ? 0x20000 : 0x8000;
    public static readonly int SIG_BLOCK = OperatingSystem.IsLinux() ? 0 : 1;
    public static readonly int SIGBUS = OperatingSystem.IsLinux() ? 7 : 10;

    [StructLayout(LayoutKind.Sequential)]
    public struct PollFd
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    /// <summary>fcntl(2). Its last argument is variadic, and Apple's arm64 passes it on the stack, after eight registers.</summary>
    public static int fcntl(int fd, int command, nint argument) =>
        OperatingSystem.IsMacOS() && RuntimeInformation.ProcessArchitecture == Architecture.Arm64
            ? fcntl_stacked(fd, command, 0, 0, 0, 0, 0, 0, argument)
            : fcntl_registers(fd, command, argument);

    /// <summary>poll(2) without waiting.</summary>
    public static int poll(Span<PollFd> set)
    {
        fixed (PollFd* first = set) return poll(first, (nuint)set.Length, 0);
    }

    [LibraryImport("libc", SetLastError = true)]
    public static partial int pipe(int* ends);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int socketpair(int domain, int type, int protocol, int* ends);

    /// <summary>eventfd(2), which Linux has.</summary>
    [LibraryImport("libc", SetLastError = true)]
    public static partial int eventfd(uint initial, int flags);

    /// <summary>open(2) of a file that exists.</summary>
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mkfifo(string path, int mode);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int posix_openpt(int flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int grantpt(int fd);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int unlockpt(int fd);

    /// <summary>The name is in memory of the C library, which the next call overwrites.</summary>
    [LibraryImport("libc", SetLastError = true)]
    public static partial byte* ptsname(int fd);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint read(int fd, void* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint write(int fd, void* buffer, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int shutdown(int fd, int how);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int dup2(int from, int to);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport("libc")]
    public static partial nint pthread_self();

    [LibraryImport("libc")]
    public static partial int pthread_kill(nint thread, int signal);

    [LibraryImport("libc")]
    public static partial int sigfillset(void* set);

    [LibraryImport("libc")]
    public static partial int sigdelset(void* set, int signal);

    [LibraryImport("libc")]
    public static partial int pthread_sigmask(int how, void* set, void* old);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int fcntl_registers(int fd, int command, nint argument);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int fcntl_stacked(
        int fd, int command, nint pad1, nint pad2, nint pad3, nint pad4, nint pad5, nint pad6, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(PollFd* set, nuint count, int timeout);
}
