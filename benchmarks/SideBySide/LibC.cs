using System.ComponentModel;
using System.Net;
using System.Runtime.InteropServices;

namespace SideBySide;

/// <summary>
/// The C library's calls for the harness: plain sockets for the load, another process's CPU clock, and the processors of threads.
/// </summary>
internal static partial class LibC
{
    public const int EINTR = 4;
    public const int EAGAIN = 11;
    public const int SIGINT = 2;
    public const int MSG_PEEK = 0x2;
    public const int MSG_DONTWAIT = 0x40;
    public const int MSG_NOSIGNAL = 0x4000;

    private const int AF_INET = 2;
    private const int SOCK_STREAM = 1;
    private const int SOCK_CLOEXEC = 0x80000;
    private const int SHUT_WR = 1;
    private const int IPPROTO_IP = 0;
    private const int IP_BIND_ADDRESS_NO_PORT = 24;
    private const int IPPROTO_TCP = 6;
    private const int TCP_NODELAY = 1;
    private const int CLOCK_THREAD_CPUTIME_ID = 3;
    private const int CPUCLOCK_SCHED = 2;
    private const int MaskBytes = 128;
    private const int RUSAGE_CHILDREN = -1;

    /// <summary>
    /// Connects to a port of 127.0.0.1 from <c>127.0.0.</c><paramref name="from"/>. Each such address has its own ephemeral ports.
    /// </summary>
    public static int Connect(int port, int from = 1)
    {
        const uint Loopback = 0x7F000000;
        int fd = Check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
        try
        {
            int on = 1, size = Marshal.SizeOf<SockaddrIn>();
            Check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, on, sizeof(int)), "setsockopt TCP_NODELAY");
            Check(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, on, sizeof(int)), "setsockopt IP_BIND_ADDRESS_NO_PORT");
            Check(bind(fd, new SockaddrIn(Loopback | (uint)from, 0), size), "bind");
            Check(connect(fd, new SockaddrIn(Loopback | 1, port), size), $"connect to port {port}");
            return fd;
        }
        catch
        {
            Close(fd);
            throw;
        }
    }

    /// <summary>Never waits. Returns the count, or the negated errno.</summary>
    public static int Send(int fd, ReadOnlySpan<byte> data)
    {
        nint n = send(fd, MemoryMarshal.GetReference(data), data.Length, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n >= 0 ? (int)n : -Marshal.GetLastPInvokeError();
    }

    /// <summary>Never waits. Returns the count, 0 at the end, or the negated errno.</summary>
    public static int Receive(int fd, Span<byte> buffer, int flags = 0)
    {
        nint n = recv(fd, ref MemoryMarshal.GetReference(buffer), buffer.Length, flags | MSG_DONTWAIT);
        return n >= 0 ? (int)n : -Marshal.GetLastPInvokeError();
    }

    public static void EndWriting(int fd) => Check(shutdown(fd, SHUT_WR), "shutdown");

    public static void Close(int fd) => Check(close(fd), "close");

    /// <summary>CPU time of a process in ns, including its threads that have ended.</summary>
    public static long ProcessCpu(int pid) => Clock((~pid << 3) | CPUCLOCK_SCHED);

    /// <summary>CPU time of the calling thread, in ns.</summary>
    public static long ThreadCpu() => Clock(CLOCK_THREAD_CPUTIME_ID);

    /// <summary>CPU time of the processes that this one started and that have ended, in ns; the kernel counts it in µs.</summary>
    public static long ChildrenCpu()
    {
        Check(getrusage(RUSAGE_CHILDREN, out Rusage usage), "getrusage");
        return usage.UserSeconds * 1_000_000_000 + usage.UserMicroseconds * 1000
            + usage.SystemSeconds * 1_000_000_000 + usage.SystemMicroseconds * 1000;
    }

    public static void Signal(int pid, int signal) => Check(kill(pid, signal), $"kill {pid}");

    /// <summary>The processors on which the calling thread, and everything it starts from now on, may run.</summary>
    public static byte[] GetAffinity()
    {
        byte[] mask = new byte[MaskBytes];
        Check(sched_getaffinity(0, mask.Length, mask), "sched_getaffinity");
        return mask;
    }

    public static void SetAffinity(byte[] mask) => Check(sched_setaffinity(0, mask.Length, mask), "sched_setaffinity");

    private static long Clock(int clock)
    {
        Check(clock_gettime(clock, out Timespec time), $"clock_gettime {clock}");
        return time.Seconds * 1_000_000_000 + time.Nanoseconds;
    }

    private static int Check(int result, string operation)
    {
        if (result >= 0) return result;
        int errno = Marshal.GetLastPInvokeError();
        throw new Win32Exception(errno, $"{operation}: {Marshal.GetPInvokeErrorMessage(errno)}");
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct SockaddrIn(uint address, int port)
    {
        private readonly ushort _family = AF_INET;
        private readonly short _port = IPAddress.HostToNetworkOrder((short)port);
        private readonly int _address = IPAddress.HostToNetworkOrder((int)address);
        private readonly ulong _zero;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [StructLayout(LayoutKind.Sequential, Size = 144)] // The other fields count other things.
    private struct Rusage
    {
        public long UserSeconds;
        public long UserMicroseconds;
        public long SystemSeconds;
        public long SystemMicroseconds;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setsockopt(int fd, int level, int name, in int value, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int bind(int fd, in SockaddrIn address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(int fd, in SockaddrIn address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(int fd, in byte buffer, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(int fd, ref byte buffer, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int shutdown(int fd, int how);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int signal);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int clock_gettime(int clock, out Timespec time);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getrusage(int who, out Rusage usage);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sched_getaffinity(int pid, nint size, [Out] byte[] mask);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sched_setaffinity(int pid, nint size, byte[] mask);
}
