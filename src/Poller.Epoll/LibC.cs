using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Epoll;

/// <summary>A descriptor that the poller owns. It is closed once, when no call uses it any more.</summary>
internal sealed partial class SafeFd() : SafeHandleMinusOneIsInvalid(ownsHandle: true)
{
    /// <summary>A second descriptor, which is closed right after this one: a call that holds this one may still need it.</summary>
    public SafeFd? Companion { get; set; }

    // We do not repeat close(2) after EINTR: on Linux the descriptor is gone by then, and its number may already belong to another.
    protected override bool ReleaseHandle()
    {
        bool closed = close((int)handle) == 0;
        Companion?.Dispose();
        return closed;
    }

    [LibraryImport("libc")]
    private static partial int close(int fd);
}

/// <summary>
/// epoll(7) and eventfd(2) of the C library. The waits return the count, or the negated errno.
/// </summary>
internal static unsafe partial class LibC
{
    public const int EPOLL_CLOEXEC = 0x80000;
    public const int EPOLL_CTL_ADD = 1;
    public const int EPOLL_CTL_DEL = 2;
    public const int EPOLL_CTL_MOD = 3;
    public const uint EPOLLIN = 0x001;
    public const uint EPOLLPRI = 0x002;
    public const uint EPOLLOUT = 0x004;
    public const uint EPOLLERR = 0x008;
    public const uint EPOLLHUP = 0x010;
    public const uint EPOLLRDHUP = 0x2000;
    public const uint EPOLLONESHOT = 1u << 30;
    public const uint EPOLLET = 1u << 31;
    public const int EFD_CLOEXEC = 0x80000;
    public const int EFD_NONBLOCK = 0x800;

    // The number is the same on every architecture, as for all calls that Linux has added since 5.1.
    private const nint SYS_epoll_pwait2 = 441;

    private const string Library = "libc";

    [LibraryImport(Library, SetLastError = true)]
    public static partial SafeFd epoll_create1(int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial SafeFd eventfd(uint initval, int flags);

    /// <summary>epoll_ctl(2).</summary>
    public static Errno Control(SafeFd epoll, int operation, nint fd, uint events, ulong data)
    {
        if (fd != (int)fd) return Errno.EBADF;
        PackedEpollEvent packed = new() { Events = events, Data = data };
        AlignedEpollEvent aligned = new() { Events = events, Data = data };
        void* change = EpollEventBuffer.IsPacked ? &packed : &aligned;
        return epoll_ctl(epoll, operation, (int)fd, change) == 0 ? Errno.None : LastError;
    }

    /// <summary>epoll_wait(2), the time-out in ms; -1 blocks.</summary>
    public static int Wait(nint epoll, ref byte events, int room, int timeout)
    {
        fixed (byte* e = &events) return Result(epoll_wait((int)epoll, e, room, timeout));
    }

    /// <summary>epoll_pwait2(2), the time-out in ns. We call it by number, because an older C library has no symbol for it.</summary>
    public static int Wait2(nint epoll, ref byte events, int room, long timeout)
    {
        const long NanosecondsPerSecond = 1_000_000_000;
        Timespec timespec = new() { Seconds = timeout / NanosecondsPerSecond, Nanoseconds = timeout % NanosecondsPerSecond };
        fixed (byte* e = &events) return Result((int)syscall(SYS_epoll_pwait2, epoll, e, room, &timespec, 0, 0));
    }

    /// <summary>The state of one descriptor right now, including errors: poll(2), whose flags have epoll's numbers.</summary>
    public static uint Look(int fd, uint events)
    {
        Pollfd one = new() { Fd = fd, Events = (short)events };
        int result;
        do result = Result(poll(&one, 1, 0));
        while (result == -Errno.EINTR.Number);
        return result < 0 ? 0u : (ushort)one.Revents;
    }

    /// <summary>Makes an eventfd readable.</summary>
    public static void Signal(SafeFd eventfd)
    {
        ulong one = 1;
        while (write(eventfd, &one, sizeof(ulong)) < 0)
        {
            Errno errno = LastError;
            if (errno == Errno.EINTR) continue;
            if (errno == Errno.EAGAIN) return; // The counter is full, so the eventfd is readable.
            throw new NetpollException("write the wake-up eventfd", errno);
        }
    }

    /// <summary>Makes an eventfd unreadable.</summary>
    public static void Drain(SafeFd eventfd)
    {
        ulong count;
        while (read(eventfd, &count, sizeof(ulong)) < 0)
        {
            Errno errno = LastError;
            if (errno == Errno.EINTR) continue;
            if (errno == Errno.EAGAIN) return;
            throw new NetpollException("read the wake-up eventfd", errno);
        }
        Debug.Assert(count > 0, "a read of the eventfd succeeded, so it was signalled before");
    }

    /// <summary>The error of this thread's last system call.</summary>
    public static Errno LastError => new(Marshal.GetLastPInvokeError());

    private static int Result(int result) => result >= 0 ? result : -LastError.Number;

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Pollfd
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    [LibraryImport(Library, SetLastError = true)]
    private static partial int poll(Pollfd* fds, nuint count, int timeout);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int epoll_ctl(SafeFd epfd, int op, int fd, void* ev);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int epoll_wait(int epfd, void* events, int maxevents, int timeout);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint syscall(nint number, nint epfd, void* events, nint maxevents, void* timeout, nint sigmask, nint sigsetsize);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint write(SafeFd fd, void* buffer, nint count);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint read(SafeFd fd, void* buffer, nint count);
}
