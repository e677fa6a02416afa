using System.Buffers;
using System.Runtime.InteropServices;

namespace Poller.Tests.Shared;

/// <summary>What the emulator stands on. Each call returns its result, or the errno below zero.</summary>
internal static unsafe partial class LinuxKernel
{
    public const uint In = 0x001, Urgent = 0x002, Out = 0x004, Error = 0x008, HangUp = 0x010, ReadHangUp = 0x2000, EdgeTriggered = 1u << 31;
    public const int Add = 1, Delete = 2, Modify = 3;

    private const int CloseOnExec = 0x80000, NonBlocking = 0x800;

    // struct epoll_event, which is packed on x64 alone.
    private static readonly int DataOffset = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86 ? 4 : 8;
    private static readonly int EventSize = DataOffset + sizeof(ulong);

    public static int Epoll() => Result(epoll_create1(CloseOnExec));

    public static int Eventfd() => Result(eventfd(0, CloseOnExec | NonBlocking));

    /// <summary>epoll_ctl(2).</summary>
    public static int Control(int epoll, int operation, int fd, uint mask, ulong data)
    {
        byte* change = stackalloc byte[EventSize];
        *(uint*)change = mask;
        *(ulong*)(change + DataOffset) = data;
        return Result(epoll_ctl(epoll, operation, fd, change));
    }

    /// <summary>epoll_wait(2) that does not block.</summary>
    public static int Take(int epoll, Span<(uint Mask, ulong Data)> found)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(found.Length * EventSize);
        fixed (byte* b = bytes)
        {
            int count = Result(epoll_wait(epoll, b, found.Length, 0));
            for (int i = 0; i < count; i++) found[i] = (*(uint*)(b + i * EventSize), *(ulong*)(b + i * EventSize + DataOffset));
            ArrayPool<byte>.Shared.Return(bytes);
            return count;
        }
    }

    /// <summary>ppoll(2) for reading. The time-out is in ns; below zero the wait has no end.</summary>
    public static int Await(ReadOnlySpan<int> fds, long timeout)
    {
        const long Second = 1_000_000_000;
        const short PollIn = 1;
        PollFd* set = stackalloc PollFd[fds.Length];
        for (int i = 0; i < fds.Length; i++) set[i] = new PollFd { Fd = fds[i], Events = PollIn };
        long* timespec = stackalloc long[2] { timeout / Second, timeout % Second };
        return Result(ppoll(set, (nuint)fds.Length, timeout < 0 ? null : timespec, null));
    }

    public static int Pipe(out int read, out int write)
    {
        int* ends = stackalloc int[2];
        int result = Result(pipe2(ends, CloseOnExec | NonBlocking));
        (read, write) = result < 0 ? (-1, -1) : (ends[0], ends[1]);
        return result;
    }

    public static int Read(int fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)read(fd, b, buffer.Length));
    }

    public static int Write(int fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)write(fd, b, buffer.Length));
    }

    public static int Close(int fd) => Result(close(fd));

    private static int Result(int result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    [StructLayout(LayoutKind.Sequential)]
    private struct PollFd
    {
        public int Fd;
        public short Events;
        public short Returned;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(int epoll, int operation, int fd, void* change);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_wait(int epoll, void* events, int room, int timeout);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ppoll(PollFd* fds, nuint count, long* timeout, void* signals);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int pipe2(int* ends, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(int fd, void* buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(int fd, void* buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int fd);
}
