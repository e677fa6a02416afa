using System.Runtime.InteropServices;

namespace Poller.Tests.Shared;

/// <summary>A non-blocking descriptor of a test's own, closed once. Calls return their result, or the errno below zero.</summary>
internal sealed unsafe partial class Fd(int number) : IDisposable
{
    public const int NonBlocking = 0x800;
    public const int CloseOnExec = 0x80000;
    public const int NoSignal = 0x4000;
    public const int OutOfBand = 1;
    public const int ShutdownWrite = 1;

    public const int ReadOnly = 0;
    public const int WriteOnly = 1;
    public const int ReadWrite = 2;

    private const int NoTerminal = 0x100; // O_NOCTTY
    private const int GetFlags = 3, SetFlags = 4;
    private const int DuplicateOnly = 0; // F_DUPFD
    private const int DuplicateCloseOnExec = 1030; // F_DUPFD_CLOEXEC
    private const int UnixFamily = 1, InetFamily = 2, StreamType = 1;
    private const int Chunk = 64 * 1024;

    private bool _closed;

    public int Number { get; } = Check(number);

    public static implicit operator nint(Fd fd) => fd.Number;

    public static (Fd Read, Fd Write) Pipe(bool blocking = false)
    {
        int* ends = stackalloc int[2];
        Check(pipe2(ends, (blocking ? 0 : NonBlocking) | CloseOnExec));
        return (new Fd(ends[0]), new Fd(ends[1]));
    }

    public static (Fd A, Fd B) SocketPair()
    {
        int* ends = stackalloc int[2];
        Check(socketpair(UnixFamily, StreamType | NonBlocking | CloseOnExec, 0, ends));
        return (new Fd(ends[0]), new Fd(ends[1]));
    }

    public static Fd EventFd() => new(eventfd(0, NonBlocking | CloseOnExec));

    /// <summary>A timerfd that fires after a time, and then each time it has passed again.</summary>
    public static Fd Timer(TimeSpan period)
    {
        const int Monotonic = 1;
        Fd timer = new(timerfd_create(Monotonic, NonBlocking | CloseOnExec));
        long seconds = (long)period.TotalSeconds, nanoseconds = (long)(period - TimeSpan.FromSeconds(seconds)).TotalNanoseconds;
        long* times = stackalloc long[] { seconds, nanoseconds, seconds, nanoseconds };
        Check(timerfd_settime(timer.Number, 0, times, null));
        return timer;
    }

    /// <summary>An inotify that tells of what is created and deleted in a directory.</summary>
    public static Fd Inotify(string directory)
    {
        const uint CreateOrDelete = 0x100 | 0x200;
        Fd inotify = new(inotify_init1(NonBlocking | CloseOnExec));
        Check(inotify_add_watch(inotify.Number, directory, CreateOrDelete));
        return inotify;
    }

    /// <summary>The master end of a new pseudo-terminal, and the path of the other end.</summary>
    public static (Fd Master, string SlavePath) Terminal()
    {
        const int NameSize = 64;
        Fd master = new(posix_openpt(ReadWrite | NoTerminal | NonBlocking | CloseOnExec));
        byte* name = stackalloc byte[NameSize];
        Check(grantpt(master.Number));
        Check(unlockpt(master.Number));
        Check(-ptsname_r(master.Number, name, NameSize));
        return (master, Marshal.PtrToStringUTF8((nint)name)!);
    }

    public static void MakeFifo(string path) => Check(mkfifo(path, Convert.ToUInt32("600", 8)));

    public static Fd Open(string path, int flags) => new(open(path, flags | NoTerminal | CloseOnExec));

    public static Fd TcpSocket() => new(socket(InetFamily, StreamType | NonBlocking | CloseOnExec, 0));

    public static Fd Directory(string path) => new(open(path, CloseOnExec));

    /// <summary>A second descriptor of the same file, at the lowest number from <paramref name="atLeast"/> on.</summary>
    public Fd Duplicate(int atLeast = 0) => new(fcntl(Number, DuplicateCloseOnExec, atLeast));

    /// <summary>As <see cref="Duplicate"/>, not close-on-exec, as one is that came through execve(2).</summary>
    public Fd DuplicateInherited(int atLeast) => new(fcntl(Number, DuplicateOnly, atLeast));

    /// <summary>A second descriptor of the same file, or null where the process may have no more.</summary>
    public Fd? TryDuplicate()
    {
        int number = fcntl(Number, DuplicateCloseOnExec, 0);
        return number < 0 ? null : new Fd(number);
    }

    public int Write(int count = 1)
    {
        byte* bytes = stackalloc byte[Chunk];
        return Result(write(Number, bytes, Math.Min(count, Chunk)));
    }

    /// <summary>read(2) of a number.</summary>
    public static int Read(nint number, Span<byte> buffer)
    {
        fixed (byte* bytes = buffer) return Result(read((int)number, bytes, buffer.Length));
    }

    /// <summary>write(2) of a number.</summary>
    public static int Write(nint number, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* bytes = buffer) return Result(write((int)number, bytes, buffer.Length));
    }

    /// <summary>Whether O_NONBLOCK is set on its description.</summary>
    public bool IsNonBlocking
    {
        get => (Check(fcntl(Number, GetFlags, 0)) & NonBlocking) != 0;
        set => Check(fcntl(Number, SetFlags, (Check(fcntl(Number, GetFlags, 0)) & ~NonBlocking) | (value ? NonBlocking : 0)));
    }

    public int Read(int count = Chunk)
    {
        byte* bytes = stackalloc byte[Chunk];
        return Result(read(Number, bytes, Math.Min(count, Chunk)));
    }

    /// <summary>send(2) without SIGPIPE.</summary>
    public int Send(int count, int flags = 0)
    {
        byte* bytes = stackalloc byte[Chunk];
        return Result(send(Number, bytes, Math.Min(count, Chunk), flags | NoSignal));
    }

    /// <summary>An eventfd's write: it becomes readable.</summary>
    public void Signal()
    {
        ulong one = 1;
        Check((int)write(Number, &one, sizeof(ulong)));
    }

    public void Shutdown(int how = ShutdownWrite) => Check(shutdown(Number, how));

    /// <summary>Writes until there is no room, and returns how much that was.</summary>
    public int Fill()
    {
        int total = 0;
        while (Write(Chunk) is > 0 and var count) total += count;

        // A pipe takes single bytes where it refuses a page.
        while (Write() > 0) total++;
        return total;
    }

    /// <summary>Reads until there is nothing, an end or an error, and returns how much that was.</summary>
    public int Drain()
    {
        int total = 0;
        while (Read() is > 0 and var count) total += count;
        return total;
    }

    /// <summary>Gives the descriptor to another owner.</summary>
    public int Release()
    {
        _closed = true;
        return Number;
    }

    public void Dispose()
    {
        if (_closed) return;
        _closed = true;
        Check(close(Number));
    }

    private static int Result(nint result) => result >= 0 ? (int)result : -Marshal.GetLastPInvokeError();

    private static int Check(int result) =>
        result >= 0 ? result : throw new InvalidOperationException("test setup: " + Marshal.GetLastPInvokeErrorMessage());

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int pipe2(int* ends, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socketpair(int domain, int type, int protocol, int* ends);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint initial, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int timerfd_create(int clock, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int timerfd_settime(int fd, int flags, long* value, long* old);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int inotify_init1(int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int inotify_add_watch(int fd, string path, uint mask);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int posix_openpt(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int grantpt(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unlockpt(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ptsname_r(int fd, byte* name, nint size);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkfifo(string path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(int fd, void* buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(int fd, void* buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(int fd, void* buffer, nint count, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int shutdown(int fd, int how);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(int fd, int command, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int fd);
}
