using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Poller.Benchmarks;

/// <summary>The system calls that the benchmarks make themselves, on Linux. Each returns its result, or -1 and sets the errno.</summary>
internal static unsafe partial class LibC
{
    public const int EINTR = 4;

    public const int AF_UNIX = 1;
    public const int SOCK_STREAM = 1;
    public const int SOCK_NONBLOCK = 0x800;
    public const int SOCK_CLOEXEC = 0x80000;

    public const int EFD_NONBLOCK = 0x800;
    public const int EFD_CLOEXEC = 0x80000;
    public const int EPOLL_CLOEXEC = 0x80000;
    public const int EPOLL_CTL_ADD = 1;
    public const uint EPOLLIN = 0x001;

    [LibraryImport("libc", SetLastError = true)]
    public static partial int socketpair(int domain, int type, int protocol, int* ends);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int eventfd(uint initval, int flags);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int epoll_create1(int flags);

    /// <summary>The event as bytes. Its layout differs between architectures, but the first four bytes are always the mask.</summary>
    [LibraryImport("libc", SetLastError = true)]
    public static partial int epoll_ctl(int epfd, int op, int fd, void* ev);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int epoll_wait(int epfd, void* events, int maxevents, int timeout);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint read(int fd, void* buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    public static partial nint write(int fd, void* buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    public static partial int close(int fd);

    /// <summary>Returns the result of a call if it is the expected one.</summary>
    /// <exception cref="Win32Exception">The system refused.</exception>
    /// <exception cref="InvalidOperationException">The call moved fewer bytes than it was asked to.</exception>
    public static int Check(string call, nint result, nint atLeast = 0)
    {
        if (result < 0) throw new Win32Exception(Marshal.GetLastPInvokeError(), $"{call}: {Marshal.GetLastPInvokeErrorMessage()}");
        if (result < atLeast) throw new InvalidOperationException($"{call}: it returned {result}; at least {atLeast} was expected.");
        return (int)result;
    }
}
