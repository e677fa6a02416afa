using System.Runtime.InteropServices;

namespace Poller.Kqueue;

/// <summary>The system calls that are alike on every Unix; and statx, which is Linux's.</summary>
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
    /// It is variadic in C. Apple's arm64 passes variadic arguments on the stack, so the pointer would not arrive there. We call only
    /// FIOCLEX there, which has no argument: FIONBIO is for the pipe, and only systems without EVFILT_USER need the pipe.
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

    // From Linux's arch/*/…/syscall*.tbl, or include/uapi/asm-generic/unistd.h for an architecture without its own table.
    internal static nint NumberOfStatx(Architecture architecture) => architecture switch
    {
        Architecture.X64 => 332,
        Architecture.S390x => 379,
        Architecture.Ppc64le => 383,
        _ => 291,
    };

    // Each argument fits a register, because only a 64-bit process gets here.
    [LibraryImport(Library, SetLastError = true)]
    private static partial nint syscall(nint number, nint fd, void* path, nint flags, nint mask, void* stat);
}
