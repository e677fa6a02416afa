using System.Runtime.InteropServices;

namespace Poller.Kqueue;

/// <summary>kqueue(2) on one system: its numbers, its layouts and the names of its functions.</summary>
internal sealed record KqueuePlatform
{
    // The same everywhere: <sys/event.h> of all five.
    public const uint EV_ADD = 0x1;
    public const uint EV_DELETE = 0x2;
    public const uint EV_ENABLE = 0x4;
    public const uint EV_CLEAR = 0x20;
    public const uint EV_RECEIPT = 0x40;
    public const uint EV_ERROR = 0x4000;
    public const uint EV_EOF = 0x8000;
    public const uint NOTE_TRIGGER = 0x0100_0000;

    // The same everywhere: <sys/stat.h>.
    public const uint S_IFMT = 0xf000;
    public const uint S_IFDIR = 0x4000;
    public const uint S_IFBLK = 0x6000;
    public const uint S_IFREG = 0x8000;

    /// <summary>xnu: bsd/sys/event.h, bsd/sys/stat.h (the struct with 64-bit inodes, which has a symbol of its own on x64).</summary>
    public static readonly KqueuePlatform MacOS = new()
    {
        Name = "macOS",
        Layout = KEventLayout.Common,
        EVFILT_READ = -1,
        EVFILT_WRITE = -2,
        EVFILT_USER = -10,
        EVFILT_EXCEPT = -15,
        NOTE_OOB = 2,
        Fstat = "fstat",
        FstatX64 = "fstat$INODE64",
        ModeOffset = 4,
        ModeSize = 2,
    };

    /// <summary>FreeBSD: sys/sys/event.h, sys/sys/stat.h, since 12.</summary>
    public static readonly KqueuePlatform FreeBSD = new()
    {
        Name = "FreeBSD",
        Layout = KEventLayout.FreeBsd,
        EVFILT_READ = -1,
        EVFILT_WRITE = -2,
        EVFILT_USER = -11,
        Fstat = "fstat",
        ModeOffset = 24,
        ModeSize = 2,
    };

    /// <summary>OpenBSD: sys/sys/event.h, sys/sys/stat.h. EVFILT_USER was added later than the rest.</summary>
    public static readonly KqueuePlatform OpenBSD = new()
    {
        Name = "OpenBSD",
        Layout = KEventLayout.Common,
        EVFILT_READ = -1,
        EVFILT_WRITE = -2,
        EVFILT_USER = -10,
        EVFILT_EXCEPT = -9,
        NOTE_OOB = 4,
        Fstat = "fstat",
        ModeOffset = 0,
        ModeSize = 4,
    };

    /// <summary>
    /// NetBSD: sys/sys/event.h, sys/sys/stat.h. EVFILT_USER came with NetBSD 10. NetBSD renames a function when its struct changes.
    /// </summary>
    public static readonly KqueuePlatform NetBSD = new()
    {
        Name = "NetBSD",
        Layout = KEventLayout.NetBsd,
        EVFILT_READ = 0,
        EVFILT_WRITE = 1,
        EVFILT_USER = 8,
        Kevent = "__kevent50",
        Fstat = "__fstat50",
        ModeOffset = 8,
        ModeSize = 4,
    };

    /// <summary>
    /// libkqueue on Linux: its include/sys/event.h. Instead of fstat we call statx(2), which has one layout on every architecture. We call
    /// it by number, because not every C library has a symbol for it (musl 1.2.3 has none).
    /// </summary>
    public static readonly KqueuePlatform Linux = new()
    {
        Name = "Linux",
        Layout = KEventLayout.Common,
        EVFILT_READ = -1,
        EVFILT_WRITE = -2,
        EVFILT_USER = -11,
        ModeOffset = 28,
        ModeSize = 2,
        FIOCLEX = 0x5451,
        FIONBIO = 0x5421,
    };

    public required string Name { get; init; }

    public required KEventLayout Layout { get; init; }

    public required int EVFILT_READ { get; init; }

    public required int EVFILT_WRITE { get; init; }

    public required int EVFILT_USER { get; init; }

    /// <summary>The filter that reports urgent data; null if the system has none.</summary>
    public int? EVFILT_EXCEPT { get; init; }

    /// <summary>The flag that asks EVFILT_EXCEPT for urgent data.</summary>
    public uint NOTE_OOB { get; init; }

    public string Kevent { get; init; } = "kevent";

    /// <summary>The symbol of fstat; null on Linux.</summary>
    public string? Fstat { get; init; }

    /// <summary>The symbol of fstat on x64, if it differs there.</summary>
    public string? FstatX64 { get; init; }

    /// <summary>The offset of st_mode in struct stat, in bytes.</summary>
    public required int ModeOffset { get; init; }

    /// <summary>The size of st_mode, in bytes.</summary>
    public required int ModeSize { get; init; }

    // <sys/filio.h>: _IO('f', 1) and _IOW('f', 126, int).

    public uint FIOCLEX { get; init; } = 0x2000_6601;

    public uint FIONBIO { get; init; } = 0x8004_667e;

    public int EventSize => KEvents.SizeOf(Layout);

    /// <summary>The system that this process runs on; null if kqueue does not exist for it.</summary>
    public static KqueuePlatform? Current =>
        OperatingSystem.IsMacOS() ? MacOS
        : OperatingSystem.IsFreeBSD() ? FreeBSD
        : RuntimeInformation.IsOSPlatform(OSPlatform.Create("OPENBSD")) ? OpenBSD
        : RuntimeInformation.IsOSPlatform(OSPlatform.Create("NETBSD")) ? NetBSD
        : OperatingSystem.IsLinux() ? Linux
        : null;

    public override string ToString() => Name;
}
