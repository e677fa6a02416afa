using System.Runtime.InteropServices;

namespace Poller.Net;

/// <summary>The function that tells what a descriptor or a path is.</summary>
internal enum StatSymbol : byte
{
    /// <summary>statx(2), which has one layout on every architecture of Linux.</summary>
    Statx,

    /// <summary><c>fstat</c> and <c>lstat</c>.</summary>
    Fstat,

    /// <summary><c>fstat$INODE64</c> and <c>lstat$INODE64</c>, of macOS on x64.</summary>
    FstatInode64,

    /// <summary><c>__fstat50</c> and <c>__lstat50</c>, of NetBSD.</summary>
    Fstat50,
}

/// <summary>The numbers of one system's calls for descriptors of any kind.</summary>
internal sealed record FileNumbers
{
    /// <summary>Linux: include/uapi/asm-generic/poll.h and fcntl.h, include/uapi/linux/limits.h and stat.h.</summary>
    public static readonly FileNumbers Linux = new()
    {
        POLLRDHUP = 0x2000,
        O_NONBLOCK = 0x800,
        PIPE_BUF = 4096,
        F_DUPFD_CLOEXEC = 1030,
        StatSymbol = StatSymbol.Statx,
        ModeOffset = 28,
        ModeSize = 2,
        DeviceOffset = 136, // stx_dev_major and stx_dev_minor.
        DeviceSize = 8,
        InodeOffset = 32,
    };

    /// <summary>xnu: bsd/sys/stat.h.</summary>
    public static readonly FileNumbers MacOS = new()
    {
        F_DUPFD_CLOEXEC = 67,
        StatSymbol = StatSymbol.Fstat,
        ModeOffset = 4,
        ModeSize = 2,
        DeviceOffset = 0,
        DeviceSize = 4,
        InodeOffset = 8,
    };

    /// <summary>FreeBSD 12 and later: sys/sys/stat.h.</summary>
    public static readonly FileNumbers FreeBSD = new()
    {
        F_DUPFD_CLOEXEC = 17,
        StatSymbol = StatSymbol.Fstat,
        ModeOffset = 24,
        ModeSize = 2,
        DeviceOffset = 0,
        DeviceSize = 8,
        InodeOffset = 8,
    };

    /// <summary>NetBSD: sys/sys/stat.h.</summary>
    public static readonly FileNumbers NetBSD = new()
    {
        F_DUPFD_CLOEXEC = 12,
        StatSymbol = StatSymbol.Fstat50,
        ModeOffset = 8,
        ModeSize = 4,
        DeviceOffset = 0,
        DeviceSize = 8,
        InodeOffset = 16,
    };

    /// <summary>OpenBSD: sys/sys/stat.h.</summary>
    public static readonly FileNumbers OpenBSD = new()
    {
        F_DUPFD_CLOEXEC = 10,
        StatSymbol = StatSymbol.Fstat,
        ModeOffset = 0,
        ModeSize = 4,
        DeviceOffset = 4,
        DeviceSize = 4,
        InodeOffset = 8,
    };

    /// <summary>The numbers of the system that this process runs on. On an unknown system they are Linux's.</summary>
    public static FileNumbers Current { get; } =
        OperatingSystem.IsMacOS() ? RuntimeInformation.ProcessArchitecture == Architecture.X64 ? MacOSX64 : MacOS
        : OperatingSystem.IsFreeBSD() ? FreeBSD
        : RuntimeInformation.IsOSPlatform(OSPlatform.Create("NETBSD")) ? NetBSD
        : RuntimeInformation.IsOSPlatform(OSPlatform.Create("OPENBSD")) ? OpenBSD
        : Linux;

    private static FileNumbers MacOSX64 => MacOS with { StatSymbol = StatSymbol.FstatInode64 };

    /// <summary>POLLRDHUP; 0 on a system that has none.</summary>
    public short POLLRDHUP { get; init; }

    public required int F_DUPFD_CLOEXEC { get; init; }

    public int O_NONBLOCK { get; init; } = 4;

    public int PIPE_BUF { get; init; } = 512;

    public required StatSymbol StatSymbol { get; init; }

    /// <summary>Where st_mode is in what <see cref="StatSymbol"/> fills, and how many bytes it has.</summary>
    public required int ModeOffset { get; init; }

    /// <inheritdoc cref="ModeOffset"/>
    public required int ModeSize { get; init; }

    /// <summary>Where st_dev is, and how many bytes it has.</summary>
    public required int DeviceOffset { get; init; }

    /// <inheritdoc cref="DeviceOffset"/>
    public required int DeviceSize { get; init; }

    /// <summary>Where st_ino is. It has 8 bytes.</summary>
    public required int InodeOffset { get; init; }

    /// <summary>
    /// The number of statx(2), from Linux's arch/*/…/syscall*.tbl, or include/uapi/asm-generic/unistd.h for an architecture without its
    /// own table.
    /// </summary>
    public static nint SYS_statx(Architecture architecture) => architecture switch
    {
        Architecture.X64 => 332,
        Architecture.X86 => 383,
        Architecture.Arm or Architecture.Armv6 => 397,
        Architecture.S390x => 379,
        Architecture.Ppc64le => 383,
        _ => 291,
    };
}
