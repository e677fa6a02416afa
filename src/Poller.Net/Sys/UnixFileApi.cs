using System.Runtime.InteropServices;
using System.Text;
using Poller.Abstractions;

namespace Poller.Net;

// read(2), write(2), poll(2), fcntl(2) and fstat(2) of a descriptor of any kind, and lstat(2). A call returns its result, or its errno.

/// <summary>The system calls for descriptors that are no sockets, or need not be. Safe from any thread.</summary>
internal static unsafe partial class UnixFileApi
{
    private const string Library = "libc";

    private const short POLLIN = 0x01;
    private const short POLLOUT = 0x04;
    private const short POLLERR = 0x08;
    private const short POLLHUP = 0x10;
    private const short POLLNVAL = 0x20;

    private const int F_GETFD = 1;
    private const int F_SETFD = 2;
    private const int FD_CLOEXEC = 1;
    private const int F_GETFL = 3;
    private const int F_SETFL = 4;

    // Larger than any system's struct stat, and than struct statx.
    private const int StatSize = 512;

    private static readonly FileNumbers Os = FileNumbers.Current;

    private struct PollEntry
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    /// <summary>PIPE_BUF: a pipe that poll(2) calls writable takes so many bytes without blocking.</summary>
    public static int PipeBuffer => Os.PIPE_BUF;

    /// <summary>read(2).</summary>
    public static IoResult Read(nint fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Result(read((int)fd, b, buffer.Length));
    }

    /// <summary>write(2). .NET ignores SIGPIPE, so it returns EPIPE if nobody reads at the other end.</summary>
    public static IoResult Write(nint fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* b = buffer) return Result(write((int)fd, b, buffer.Length));
    }

    /// <summary>
    /// Looks by poll(2) whether a direction is ready now, which an error and a hang-up are too. Returns 0, EAGAIN if it is not ready, or
    /// EBADF if the number is no open descriptor.
    /// </summary>
    /// <remarks>
    /// It does not ask for POLLPRI: an urgent byte that nobody reads would be ready for ever. The bytes behind it raise POLLIN.
    /// </remarks>
    public static IoResult Look(nint fd, Direction direction)
    {
        short asked = direction == Direction.Read ? (short)(POLLIN | Os.POLLRDHUP) : POLLOUT;
        PollEntry one = new() { Fd = (int)fd, Events = asked };
        IoResult result;
        do
        {
            result = Result(poll(&one, 1, 0));
        }
        while (result == Errno.EINTR);
        if (!result.IsSuccess) return result;
        return (one.Revents & POLLNVAL) != 0 ? Errno.EBADF
            : (one.Revents & (asked | POLLERR | POLLHUP)) != 0 ? 0
            : Errno.EAGAIN;
    }

    /// <summary>Whether O_NONBLOCK is set: 1 or 0.</summary>
    public static IoResult IsNonBlocking(nint fd)
    {
        IoResult flags = Result(fcntl((int)fd, F_GETFL, 0));
        return flags.IsSuccess ? (flags.Value & Os.O_NONBLOCK) != 0 ? 1 : 0 : flags;
    }

    /// <summary>Sets or clears O_NONBLOCK, and leaves the other flags as they are.</summary>
    public static IoResult SetNonBlocking(nint fd, bool value)
    {
        IoResult flags = Result(fcntl((int)fd, F_GETFL, 0));
        if (!flags.IsSuccess) return flags;
        int wanted = value ? flags.Value | Os.O_NONBLOCK : flags.Value & ~Os.O_NONBLOCK;
        return wanted == flags.Value ? 0 : Result(Fcntl((int)fd, F_SETFL, wanted));
    }

    /// <summary>Makes a close-on-exec duplicate, with the lowest free number from <paramref name="least"/> on.</summary>
    public static IoResult Duplicate(nint fd, int least) => Result(Fcntl((int)fd, Os.F_DUPFD_CLOEXEC, least));

    /// <summary>Whether FD_CLOEXEC is set: 1 or 0.</summary>
    public static IoResult IsCloseOnExec(nint fd)
    {
        IoResult flags = Result(fcntl((int)fd, F_GETFD, 0));
        return flags.IsSuccess ? flags.Value & FD_CLOEXEC : flags;
    }

    /// <summary>Sets FD_CLOEXEC.</summary>
    public static IoResult SetCloseOnExec(nint fd) => Result(Fcntl((int)fd, F_SETFD, FD_CLOEXEC));

    /// <summary>What a descriptor is. <see cref="Errno.None"/>, or why the system does not tell.</summary>
    public static Errno KindOf(nint fd, out FileKind kind) => KindOf(fd, out kind, out _);

    /// <summary>As <see cref="KindOf(nint, out FileKind)"/>, with the file that it refers to.</summary>
    /// <remarks>On Linux, all eventfds, timerfds and their like are one file.</remarks>
    public static Errno KindOf(nint fd, out FileKind kind, out FileIdentity identity)
    {
        byte* stat = stackalloc byte[StatSize];
        int result = Os.StatSymbol switch
        {
            StatSymbol.Statx => Statx(fd, stat),
            StatSymbol.Fstat => fstat((int)fd, stat),
            StatSymbol.FstatInode64 => fstatInode64((int)fd, stat),
            _ => fstat50((int)fd, stat),
        };
        uint mode = Os.ModeSize == 2 ? *(ushort*)(stat + Os.ModeOffset) : *(uint*)(stat + Os.ModeOffset);
        kind = result == 0 ? FileKinds.Of(mode) : FileKind.Unknown;
        identity = result == 0 ? IdentityIn(stat) : default;
        return result == 0 ? Errno.None : new Errno(Marshal.GetLastPInvokeError());
    }

    /// <summary>
    /// The file that a path names; null if there is none, or the system does not tell. A symbolic link is a file of its own.
    /// </summary>
    public static FileIdentity? IdentityOf(string path)
    {
        byte* stat = stackalloc byte[StatSize];
        int result = Os.StatSymbol switch
        {
            StatSymbol.Statx => Statx(path, stat),
            StatSymbol.Fstat => lstat(path, stat),
            StatSymbol.FstatInode64 => lstatInode64(path, stat),
            _ => lstat50(path, stat),
        };
        return result == 0 ? IdentityIn(stat) : null;
    }

    /// <summary>
    /// The name of a descriptor without a type, such as <c>eventfd</c>: what Linux's /proc calls it. Null if the system does not tell.
    /// </summary>
    public static string? AnonymousName(nint fd)
    {
        const string Prefix = "anon_inode:";
        try
        {
            string? target = OperatingSystem.IsLinux() ? new FileInfo($"/proc/self/fd/{fd}").LinkTarget : null;
            if (target is null || !target.StartsWith(Prefix, StringComparison.Ordinal)) return null;
            return target[Prefix.Length..].Trim('[', ']');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // Some sandboxes have no /proc.
        }
    }

    private static IoResult Result(nint result) => result >= 0 ? (int)result : new Errno(Marshal.GetLastPInvokeError());

    private static FileIdentity IdentityIn(byte* stat)
    {
        ulong device = Os.DeviceSize == 4 ? *(uint*)(stat + Os.DeviceOffset) : *(ulong*)(stat + Os.DeviceOffset);
        return new FileIdentity(device, *(ulong*)(stat + Os.InodeOffset));
    }

    private static int Statx(nint fd, byte* stat)
    {
        const nint AT_EMPTY_PATH = 0x1000;
        const nint STATX_TYPE = 1;
        const nint STATX_INO = 0x100;
        byte nothing = 0;
        nint number = FileNumbers.SYS_statx(RuntimeInformation.ProcessArchitecture);
        return (int)syscall(number, fd, &nothing, AT_EMPTY_PATH, STATX_TYPE | STATX_INO, stat);
    }

    private static int Statx(string path, byte* stat)
    {
        const nint AT_FDCWD = -100;
        const nint AT_SYMLINK_NOFOLLOW = 0x100;
        const nint STATX_INO = 0x100;
        nint number = FileNumbers.SYS_statx(RuntimeInformation.ProcessArchitecture);
        fixed (byte* text = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return (int)syscall(number, AT_FDCWD, text, AT_SYMLINK_NOFOLLOW, STATX_INO, stat);
        }
    }

    // fcntl is variadic, and Apple's arm64 passes variadic arguments on the stack. Six dummy arguments fill the registers.
    private static int Fcntl(int fd, int command, nint argument) =>
        OperatingSystem.IsMacOS() && RuntimeInformation.ProcessArchitecture == Architecture.Arm64
            ? fcntl(fd, command, 0, 0, 0, 0, 0, 0, argument)
            : fcntl(fd, command, argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint read(int fd, byte* buffer, nint length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint write(int fd, byte* buffer, nint length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int poll(PollEntry* entries, nuint count, int timeout);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int fcntl(int fd, int command, nint argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int fcntl(int fd, int command, nint x2, nint x3, nint x4, nint x5, nint x6, nint x7, nint argument);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint syscall(nint number, nint fd, byte* path, nint flags, nint mask, byte* stat);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int fstat(int fd, byte* stat);

    [LibraryImport(Library, EntryPoint = "fstat$INODE64", SetLastError = true)]
    private static partial int fstatInode64(int fd, byte* stat);

    [LibraryImport(Library, EntryPoint = "__fstat50", SetLastError = true)]
    private static partial int fstat50(int fd, byte* stat);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int lstat(string path, byte* stat);

    [LibraryImport(Library, EntryPoint = "lstat$INODE64", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int lstatInode64(string path, byte* stat);

    [LibraryImport(Library, EntryPoint = "__lstat50", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int lstat50(string path, byte* stat);
}
