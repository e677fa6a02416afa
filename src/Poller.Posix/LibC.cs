using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Posix;

/// <summary>A descriptor that the poller owns. It is closed once, when no call uses it any more.</summary>
internal sealed partial class SafeFd : SafeHandleMinusOneIsInvalid
{
    public SafeFd(int fd) : base(ownsHandle: true) => SetHandle(fd);

    /// <summary>A second descriptor, which is closed right after this one: a call that holds this one may still need it.</summary>
    public SafeFd? Companion { get; set; }

    // We do not repeat close(2) after EINTR: on nearly every system the descriptor is gone by then, and its number may already belong to
    // another.
    protected override bool ReleaseHandle()
    {
        bool closed = close((int)handle) == 0;
        Companion?.Dispose();
        return closed;
    }

    [LibraryImport("libc")]
    private static partial int close(int fd);
}

/// <summary>struct pollfd, the same on every Unix: an int and two shorts.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollFd
{
    public int Fd;
    public short Events;
    public short Revents;
}

/// <summary>The numbers that differ between Unixes. Everything else in this file is the same on every Unix that .NET runs on.</summary>
/// <param name="ReadHangup">POLLRDHUP; 0 on a system that has none.</param>
/// <param name="NonBlocking">O_NONBLOCK.</param>
internal readonly record struct UnixConstants(short ReadHangup, int NonBlocking)
{
    public static readonly UnixConstants Linux = new(0x2000, 0x800);
    public static readonly UnixConstants Bsd = new(0, 0x4); // macOS too.
    public static readonly UnixConstants Illumos = new(0, 0x80);

    public static bool IsLinux { get; } = OperatingSystem.IsLinux() || OperatingSystem.IsAndroid();

    public static UnixConstants Current { get; } =
        IsLinux ? Linux
        : RuntimeInformation.IsOSPlatform(OSPlatform.Create("ILLUMOS")) ? Illumos
        : Bsd;
}

/// <summary>poll(2), pipe(2) and lseek(2) of the C library. A call that fails returns the negated errno.</summary>
internal static unsafe partial class LibC
{
    public const short POLLIN = 0x01;
    public const short POLLOUT = 0x04;
    public const short POLLERR = 0x08;
    public const short POLLHUP = 0x10;
    public const short POLLNVAL = 0x20;

    private const int F_SETFD = 2;
    private const int F_SETFL = 4;
    private const int FD_CLOEXEC = 1;
    private const int O_CLOEXEC = 0x80000; // Linux's.
    private const int SEEK_SET = 0;
    private const int SEEK_CUR = 1;

    private const long NanosecondsPerMillisecond = 1_000_000;
    private const long NanosecondsPerSecond = 1_000_000_000;
    private const string Library = "libc";

    public static short POLLRDHUP => UnixConstants.Current.ReadHangup;

    // macOS has no ppoll. A 32-bit Linux has two of them, one with a 32-bit time and one with a 64-bit time.
    public static bool HasPpoll { get; } = UnixConstants.IsLinux && sizeof(nint) == sizeof(long);

    /// <summary>ppoll(2) or poll(2), the time-out in ns; below 0 it blocks. Returns how many descriptors have events.</summary>
    public static int Poll(ref PollFd set, int count, long timeout, bool nanoseconds)
    {
        fixed (PollFd* fds = &set)
        {
            if (timeout <= 0 || !nanoseconds) return Result(poll(fds, (nuint)count, timeout < 0 ? -1 : ToMilliseconds(timeout)));
            Timespec timespec = new() { Seconds = timeout / NanosecondsPerSecond, Nanoseconds = timeout % NanosecondsPerSecond };
            return Result(ppoll(fds, (nuint)count, &timespec, null));
        }
    }

    /// <summary>Rounds up: after a poll that returned early, the caller's timer would not be due yet, and it would spin.</summary>
    public static int ToMilliseconds(long timeout) =>
        (int)Math.Min(timeout / NanosecondsPerMillisecond + (timeout % NanosecondsPerMillisecond == 0 ? 0 : 1), int.MaxValue);

    /// <summary>The state of one descriptor right now, including errors.</summary>
    public static short Look(int fd, short events)
    {
        PollFd one = new() { Fd = fd, Events = events };
        int result;
        do result = Poll(ref one, 1, 0, nanoseconds: false);
        while (result == -Errno.EINTR.Number);
        return result < 0 ? (short)0 : one.Revents;
    }

    /// <summary>
    /// <see cref="Errno.None"/> for a descriptor that can be polled. EPERM for a regular file, a directory or a block device; EBADF for a
    /// number that is not an open descriptor.
    /// </summary>
    public static Errno CheckPollable(nint fd)
    {
        // poll(2) reports a file, a directory and a block device as always ready. fstat(2) would tell what they are, but the layout of
        // struct stat differs by system and processor. So we use lseek: of all kinds only these three refuse a negative offset with EINVAL
        // (POSIX). A socket, a pipe or a terminal refuses any seek. Some devices can seek, and may even take the negative offset; we set
        // their old offset again.
        if (fd != (int)fd) return Errno.EBADF;
        long offset = Seek((int)fd, 0, SEEK_CUR);
        if (offset < 0) return offset == -Errno.EBADF.Number ? Errno.EBADF : Errno.None;
        if (Seek((int)fd, -1, SEEK_SET) == -Errno.EINVAL.Number) return Errno.EPERM;
        Seek((int)fd, offset, SEEK_SET);
        return Errno.None;
    }

    /// <summary>A pipe. Both its ends are non-blocking and close-on-exec.</summary>
    public static int Pipe(out int read, out int write)
    {
        int* ends = stackalloc int[2];
        int result = UnixConstants.IsLinux ? Result(pipe2(ends, UnixConstants.Linux.NonBlocking | O_CLOEXEC)) : Result(pipe(ends));
        (read, write) = result < 0 ? (-1, -1) : (ends[0], ends[1]);
        if (result < 0 || UnixConstants.IsLinux) return result;

        // macOS has no pipe2. A child that another thread starts between these calls inherits the pipe, and does not use it.
        foreach (int end in (ReadOnlySpan<int>)[read, write])
        {
            result = Result(Fcntl(end, F_SETFD, FD_CLOEXEC));
            if (result >= 0) result = Result(Fcntl(end, F_SETFL, UnixConstants.Current.NonBlocking));
            if (result < 0) return result;
        }
        return 0;
    }

    /// <summary>Makes a pipe readable.</summary>
    public static int Signal(SafeFd pipe)
    {
        byte any = 0;
        nint result;
        do result = Result(write(pipe, &any, 1));
        while (result == -Errno.EINTR.Number);
        return result == -Errno.EAGAIN.Number ? 0 : (int)result; // The pipe is full, so it is readable.
    }

    /// <summary>Makes a pipe unreadable.</summary>
    public static int Drain(SafeFd pipe)
    {
        const int Size = 64;
        byte* bytes = stackalloc byte[Size];
        nint result;
        do result = Result(read(pipe, bytes, Size));
        while (result == Size || result == -Errno.EINTR.Number);
        return result == -Errno.EAGAIN.Number ? 0 : (int)result;
    }

    private static int Fcntl(int fd, int command, nint argument) =>
        OperatingSystem.IsMacOS() && RuntimeInformation.ProcessArchitecture == Architecture.Arm64
            ? fcntlArm64Apple(fd, command, 0, 0, 0, 0, 0, 0, argument)
            : fcntl(fd, command, argument);

    // Every 64-bit Unix has an off_t of 64 bits. On a 32-bit Linux its width depends on the C library, so there we make the system call,
    // whose offset has 32 bits.
    private static long Seek(int fd, long offset, int whence)
    {
        const nint SYS_lseek = 19; // arm and x86.
        return Result(sizeof(nint) == sizeof(long) ? lseek(fd, offset, whence) : syscall(SYS_lseek, fd, (nint)offset, whence));
    }

    private static int Result(int result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    private static long Result(long result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    private static nint Result(nint result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [LibraryImport(Library, SetLastError = true)]
    private static partial int poll(PollFd* fds, nuint count, int timeout);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int ppoll(PollFd* fds, nuint count, Timespec* timeout, void* mask);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int pipe(int* ends);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int pipe2(int* ends, int flags);

    // Apple's arm64 passes variadic arguments on the stack. Six dummy arguments fill the registers.
    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    private static partial int fcntlArm64Apple(int fd, int command, nint r2, nint r3, nint r4, nint r5, nint r6, nint r7, nint argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int fcntl(int fd, int command, nint argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial long lseek(int fd, long offset, int whence);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint syscall(nint number, nint fd, nint offset, nint whence);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint write(SafeFd fd, byte* buffer, nint count);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint read(SafeFd fd, byte* buffer, nint count);
}
