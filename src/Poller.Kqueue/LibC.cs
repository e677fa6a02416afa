using System.Runtime.InteropServices;

namespace Poller.Kqueue;

/// <summary>The calls that are alike on every Unix.</summary>
internal static unsafe partial class LibC
{
    private const string Library = "libc";

    [LibraryImport(Library, SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint read(int fd, void* buffer, nint count);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint write(int fd, void* buffer, nint count);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int pipe(int* ends);

    /// <summary>
    /// Variadic in C, and on Apple's arm64 such arguments go by the stack: there the pointer would not arrive. Only FIOCLEX, which has
    /// none, is called there (the pipe that needs FIONBIO is for systems without EVFILT_USER).
    /// </summary>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int ioctl(int fd, nuint request, void* argument);

    /// <summary>Linux's statx(2) of a descriptor, for its type alone.</summary>
    public static int statx(int fd, void* stat)
    {
        const nint AT_EMPTY_PATH = 0x1000, STATX_TYPE = 1;
        byte nothing = 0;
        return (int)syscall(NumberOfStatx(RuntimeInformation.ProcessArchitecture), fd, &nothing, AT_EMPTY_PATH, STATX_TYPE, stat);
    }

    // arch/*/…/syscall*.tbl of Linux; include/uapi/asm-generic/unistd.h for those that have no table of their own.
    internal static nint NumberOfStatx(Architecture architecture) => architecture switch
    {
        Architecture.X64 => 332,
        Architecture.S390x => 379,
        Architecture.Ppc64le => 383,
        _ => 291,
    };

    // A register holds each argument, as no 32-bit process gets here.
    [LibraryImport(Library, SetLastError = true)]
    private static partial nint syscall(nint number, nint fd, void* path, nint flags, nint mask, void* stat);
}
