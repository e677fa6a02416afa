using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Poller.Kqueue;

// We look kqueue and kevent up at run time: on macOS and the BSDs they are in libc, on Linux in a library of their own.

/// <summary>The real system calls.</summary>
internal sealed unsafe class KqueueApi : IKqueueApi
{
    /// <summary>The environment variable with the path of the library to load on Linux.</summary>
    public const string LibraryVariable = "POLLER_KQUEUE_LIBRARY";

    /// <summary>The library to load on Linux if the variable is not set.</summary>
    public const string DefaultLibrary = "libkqueue.so.0";

    private const long NanosecondsPerSecond = 1_000_000_000;

    // xnu returns EINVAL for a time-out that is too long (Go's runtime/netpoll_kqueue.go). A caller that wakes after eleven days polls
    // again.
    private const long MaxSeconds = 1_000_000;

    private readonly delegate* unmanaged<int> _kqueue;
    private readonly delegate* unmanaged<int, void*, nint, void*, nint, Timespec*, int> _kevent;
    private readonly nint _fstat;

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary>Takes the functions' addresses; fstat is 0 if the platform has none.</summary>
    public KqueueApi(KqueuePlatform platform, nint kqueue, nint kevent, nint fstat)
    {
        Platform = platform;
        _kqueue = (delegate* unmanaged<int>)kqueue;
        _kevent = (delegate* unmanaged<int, void*, nint, void*, nint, Timespec*, int>)kevent;
        _fstat = fstat;
    }

    public KqueuePlatform Platform { get; }

    /// <summary>Finds the functions on this machine, or says why not.</summary>
    public static bool TryLoad([NotNullWhen(true)] out KqueueApi? api, [NotNullWhen(false)] out string? reason) =>
        TryLoad(KqueuePlatform.Current, Environment.GetEnvironmentVariable(LibraryVariable), out api, out reason);

    /// <summary>The same for any platform, and for a library by path.</summary>
    internal static bool TryLoad(
        KqueuePlatform? platform, string? path, [NotNullWhen(true)] out KqueueApi? api, [NotNullWhen(false)] out string? reason)
    {
        api = null;
        if (platform is null)
        {
            reason = "it needs macOS, FreeBSD, OpenBSD or NetBSD, or Linux with a kqueue library, and this process runs on "
                + RuntimeInformation.OSDescription;
            return false;
        }
        if (!Environment.Is64BitProcess)
        {
            reason = "it needs a 64-bit process: the udata of a kevent carries the 64 bits of a token";
            return false;
        }

        // The main program has the C library loaded, whatever its name on this system.
        nint libc = NativeLibrary.GetMainProgramHandle();
        nint library = libc;
        string name = "the C library";
        if (platform == KqueuePlatform.Linux && !TryLoadLibrary(path, out library, out name, out reason)) return false;

        bool isX64 = RuntimeInformation.ProcessArchitecture == Architecture.X64;
        string? fstatName = isX64 && platform.FstatX64 is { } other ? other : platform.Fstat;
        nint fstat = 0;
        if (!TryFind(library, name, "kqueue", out nint kqueue, out reason)) return false;
        if (!TryFind(library, name, platform.Kevent, out nint kevent, out reason)) return false;
        if (fstatName is not null && !TryFind(libc, "the C library", fstatName, out fstat, out reason)) return false;
        api = new KqueueApi(platform, kqueue, kevent, fstat);
        return true;
    }

    public int Kqueue()
    {
        Marshal.SetLastSystemError(0);
        int kq = _kqueue();
        if (kq < 0) return -Marshal.GetLastSystemError();
        int result = Result(LibC.ioctl(kq, Platform.FIOCLEX, null));
        if (result >= 0) return kq;
        Close(kq);
        return result;
    }

    public int Kevent(int kq, ReadOnlySpan<byte> changes, Span<byte> events, long timeout)
    {
        Timespec timespec = new() { Seconds = timeout / NanosecondsPerSecond, Nanoseconds = timeout % NanosecondsPerSecond };
        if (timespec.Seconds >= MaxSeconds) timespec = new() { Seconds = MaxSeconds };
        int size = Platform.EventSize;
        fixed (byte* c = changes, e = events)
        {
            Marshal.SetLastSystemError(0);
            int result = _kevent(kq, c, changes.Length / size, e, events.Length / size, timeout < 0 ? null : &timespec);
            return result >= 0 ? result : -Marshal.GetLastSystemError();
        }
    }

    public int Mode(int fd, out uint mode)
    {
        const int LongestStat = 512;
        byte* stat = stackalloc byte[LongestStat];
        mode = 0;
        int result = Platform.Fstat is null ? Result(LibC.statx(fd, stat)) : Fstat(fd, stat);
        if (result < 0) return result;
        mode = Platform.ModeSize == sizeof(ushort) ? *(ushort*)(stat + Platform.ModeOffset) : *(uint*)(stat + Platform.ModeOffset);
        return 0;
    }

    public int Pipe(out int read, out int write)
    {
        int* ends = stackalloc int[2];
        read = write = -1;
        int result = Result(LibC.pipe(ends));
        if (result < 0) return result;
        int yes = 1;
        for (int i = 0; i < 2 && result >= 0; i++)
        {
            result = Result(LibC.ioctl(ends[i], Platform.FIOCLEX, null));
            if (result >= 0) result = Result(LibC.ioctl(ends[i], Platform.FIONBIO, &yes));
        }
        if (result < 0)
        {
            Close(ends[0]);
            Close(ends[1]);
            return result;
        }
        (read, write) = (ends[0], ends[1]);
        return 0;
    }

    public int Read(int fd, Span<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)LibC.read(fd, b, buffer.Length));
    }

    public int Write(int fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* b = buffer) return Result((int)LibC.write(fd, b, buffer.Length));
    }

    public int Close(int fd) => Result(LibC.close(fd));

    private int Fstat(int fd, byte* stat)
    {
        Marshal.SetLastSystemError(0);
        int result = ((delegate* unmanaged<int, void*, int>)_fstat)(fd, stat);
        return result >= 0 ? result : -Marshal.GetLastSystemError();
    }

    private static int Result(int result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();

    private static bool TryLoadLibrary(string? path, out nint library, out string name, [NotNullWhen(false)] out string? reason)
    {
        reason = null;
        library = 0;
        if (string.IsNullOrEmpty(path))
        {
            name = DefaultLibrary;
            if (NativeLibrary.TryLoad(name, out library)) return true;
            reason = $"on Linux it needs a kqueue library: the dynamic loader finds no {name}, and {LibraryVariable}, "
                + "which may name another, is not set";
            return false;
        }
        name = $"{LibraryVariable} is \"{path}\", which";
        if (!File.Exists(path))
        {
            reason = $"{name} is no file; the path of a kqueue library was expected";
            return false;
        }
        try
        {
            library = NativeLibrary.Load(Path.GetFullPath(path));
            return true;
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            reason = $"{name} cannot be loaded; a kqueue library was expected: {e.Message.ReplaceLineEndings(" ").Trim()}";
            return false;
        }
    }

    private static bool TryFind(nint library, string name, string function, out nint address, [NotNullWhen(false)] out string? reason)
    {
        reason = null;
        if (NativeLibrary.TryGetExport(library, function, out address)) return true;
        reason = $"{name} has no function {function}; a kqueue library was expected";
        return false;
    }
}
