namespace Poller.Net;

/// <summary>What a descriptor is: the type bits of st_mode.</summary>
internal enum FileKind : byte
{
    /// <summary>The system does not tell: on Linux an eventfd, a timerfd, an inotify and their like.</summary>
    Unknown,
    Pipe,
    CharacterDevice,
    Directory,
    BlockDevice,
    RegularFile,
    Socket,
}

/// <summary>What tells one file from all others while it exists: st_dev and st_ino.</summary>
internal readonly record struct FileIdentity(ulong Device, ulong Inode);

internal static class FileKinds
{
    /// <summary>The kind for a st_mode. Its type bits are the same on every Unix.</summary>
    public static FileKind Of(uint mode) => (mode & 0xf000) switch
    {
        0x1000 => FileKind.Pipe,
        0x2000 => FileKind.CharacterDevice,
        0x4000 => FileKind.Directory,
        0x6000 => FileKind.BlockDevice,
        0x8000 => FileKind.RegularFile,
        0xc000 => FileKind.Socket,
        _ => FileKind.Unknown,
    };

    /// <summary>Whether no system can poll such a descriptor: poll(2) and select(2) call it always ready.</summary>
    public static bool IsUnpollable(this FileKind kind) => kind is FileKind.RegularFile or FileKind.Directory or FileKind.BlockDevice;
}
