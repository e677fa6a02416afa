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
}
