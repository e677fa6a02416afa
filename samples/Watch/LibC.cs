using System.Net;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;
using Poller.Net;

[assembly: SupportedOSPlatform("linux")]

namespace Watch;

/// <summary>
/// The calls of the C library that make or read a source, with Linux's numbers. A call that makes a descriptor sets O_CLOEXEC and
/// O_NONBLOCK. A refused call throws <see cref="NetpollException"/>, which names it.
/// </summary>
internal static unsafe partial class LibC
{
    private const string Library = "libc";

    private const int O_RDWR = 2;
    private const int O_NOCTTY = 0x100;
    private const int O_NONBLOCK = 0x800;
    private const int O_CLOEXEC = 0x80000;
    private const int NewFlags = O_NONBLOCK | O_CLOEXEC;
    private const int MSG_TRUNC = 0x20;

    /// <summary>The error of this thread's last call.</summary>
    private static Errno LastError => new(Marshal.GetLastPInvokeError());

    /// <summary>Opens a file for reading, or for reading and writing. The open of a FIFO does not wait for its other end.</summary>
    public static SafeFileHandle Open(string path, bool writes) => Check(open(path, (writes ? O_RDWR : 0) | O_NOCTTY | NewFlags), "open");

    /// <summary>The master end of a new pseudo-terminal, and the path of the other end.</summary>
    public static SafeFileHandle OpenTerminal(out string path)
    {
        const int PathSize = 64;
        SafeFileHandle master = Check(posix_openpt(O_RDWR | O_NOCTTY | NewFlags), "posix_openpt");
        try
        {
            Check(grantpt(master), "grantpt");
            Check(unlockpt(master), "unlockpt");
            byte* name = stackalloc byte[PathSize];
            int error = ptsname_r(master, name, PathSize);
            if (error != 0) throw new NetpollException("ptsname_r", new Errno(error));
            path = Marshal.PtrToStringUTF8((nint)name)!;
            return master;
        }
        catch
        {
            master.Dispose();
            throw;
        }
    }

    /// <summary>An inotify that watches a file or a directory for the events in <paramref name="mask"/>.</summary>
    public static SafeFileHandle OpenInotify(string path, uint mask)
    {
        SafeFileHandle inotify = Check(inotify_init1(NewFlags), "inotify_init1");
        try
        {
            Check(inotify_add_watch(inotify, path, mask), "inotify_add_watch");
            return inotify;
        }
        catch
        {
            inotify.Dispose();
            throw;
        }
    }

    /// <summary>A timer that fires each time a period has passed.</summary>
    public static SafeFileHandle OpenTimer(TimeSpan period)
    {
        const int CLOCK_MONOTONIC = 1;
        SafeFileHandle timer = Check(timerfd_create(CLOCK_MONOTONIC, NewFlags), "timerfd_create");
        try
        {
            long seconds = period.Ticks / TimeSpan.TicksPerSecond;
            long nanoseconds = period.Ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick;
            long* itimerspec = stackalloc long[] { seconds, nanoseconds, seconds, nanoseconds };
            Check(timerfd_settime(timer, 0, itimerspec, null), "timerfd_settime");
            return timer;
        }
        catch
        {
            timer.Dispose();
            throw;
        }
    }

    /// <summary>A counter, which is readable while it is not 0. A read takes it to 0.</summary>
    public static SafeFileHandle OpenCounter() => Check(eventfd(0, NewFlags), "eventfd");

    /// <summary>Adds 1 to a counter.</summary>
    public static void Increment(SafeFileHandle counter)
    {
        ulong one = 1;
        Check((int)write(counter, &one, sizeof(ulong)), "write");
    }

    /// <summary>A descriptor that is readable once the process has ended.</summary>
    public static SafeFileHandle OpenProcess(int id)
    {
        const nint SYS_pidfd_open = 434; // It is the same on every architecture. An older C library has no symbol for it.
        int fd = Check((int)syscall(SYS_pidfd_open, id, O_NONBLOCK), "pidfd_open");
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    /// <summary>A netlink socket that gets the messages of some groups of NETLINK_ROUTE.</summary>
    public static SafeFileHandle OpenRouteMessages(uint groups)
    {
        const int AF_NETLINK = 16, SOCK_RAW = 3, NETLINK_ROUTE = 0;
        SafeFileHandle netlink = Check(socket(AF_NETLINK, SOCK_RAW | NewFlags, NETLINK_ROUTE), "socket");
        try
        {
            NetlinkAddress address = new() { Family = AF_NETLINK, Groups = groups };
            Check(bind(netlink, &address, sizeof(NetlinkAddress)), "bind");
            return netlink;
        }
        catch
        {
            netlink.Dispose();
            throw;
        }
    }

    /// <summary>One recvfrom(2). The result is the datagram's whole length, of which the buffer may have a part; or an error below zero.</summary>
    public static TryResult<int> ReceiveFrom(nint fd, Span<byte> buffer, SocketAddress? from)
    {
        Span<byte> address = from is null ? default : from.Buffer.Span;
        int length = address.Length;
        fixed (byte* b = buffer, a = address)
        {
            nint result;
            do
            {
                result = recvfrom((int)fd, b, buffer.Length, MSG_TRUNC, a, from is null ? null : &length);
            }
            while (result < 0 && LastError == Errno.EINTR);
            if (result < 0 && LastError == Errno.EAGAIN) return TryResult.WouldBlock;
            if (result >= 0 && from is not null) from.Size = length;
            return result >= 0 ? (int)result : -LastError.Number;
        }
    }

    /// <summary>The name of a network link, or null if there is none with this number.</summary>
    public static string? LinkName(uint index)
    {
        const int NameSize = 16; // IF_NAMESIZE
        byte* name = stackalloc byte[NameSize];
        return if_indextoname(index, name) == 0 ? null : Marshal.PtrToStringUTF8((nint)name);
    }

    private static SafeFileHandle Check(SafeFileHandle handle, string call) =>
        handle.IsInvalid ? throw new NetpollException(call, LastError) : handle;

    private static int Check(int result, string call) => result < 0 ? throw new NetpollException(call, LastError) : result;

    [StructLayout(LayoutKind.Sequential)]
    private struct NetlinkAddress
    {
        public ushort Family;
        public ushort Padding;
        public uint Port;
        public uint Groups;
    }

    /// <summary>
    /// Whether a number is a descriptor that this program was started with. If not, the runtime may have it for a purpose of its own, and
    /// has made it close-on-exec.
    /// </summary>
    public static bool IsInherited(int fd)
    {
        const int F_GETFD = 1, FD_CLOEXEC = 1;
        int flags = fcntl(fd, F_GETFD, 0);
        return flags >= 0 && (flags & FD_CLOEXEC) == 0;
    }

    [LibraryImport(Library, SetLastError = true)]
    private static partial int fcntl(int fd, int command, nint argument);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle open(string path, int flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial SafeFileHandle posix_openpt(int flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int grantpt(SafeFileHandle fd);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int unlockpt(SafeFileHandle fd);

    [LibraryImport(Library)]
    private static partial int ptsname_r(SafeFileHandle fd, byte* name, nint size);

    [LibraryImport(Library, SetLastError = true)]
    private static partial SafeFileHandle inotify_init1(int flags);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int inotify_add_watch(SafeFileHandle fd, string path, uint mask);

    [LibraryImport(Library, SetLastError = true)]
    private static partial SafeFileHandle timerfd_create(int clock, int flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int timerfd_settime(SafeFileHandle fd, int flags, long* value, long* old);

    [LibraryImport(Library, SetLastError = true)]
    private static partial SafeFileHandle eventfd(uint initial, int flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint write(SafeFileHandle fd, void* buffer, nint count);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint syscall(nint number, nint id, nint flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial SafeFileHandle socket(int domain, int type, int protocol);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int bind(SafeFileHandle fd, NetlinkAddress* address, int length);

    [LibraryImport(Library, SetLastError = true)]
    private static partial nint recvfrom(int fd, byte* buffer, nint length, int flags, byte* address, int* addressLength);

    [LibraryImport(Library)]
    private static partial nint if_indextoname(uint index, byte* name);
}
