using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Poller.Net;

namespace Poller.Torture;

/// <summary>The system calls that make descriptors small and terminals plain. Linux's numbers.</summary>
internal static unsafe partial class LibC
{
    private const int SolSocket = 1, SoSndBuf = 7, SoRcvBuf = 8;
    private const uint Fionread = 0x541B, Tiocoutq = 0x5411;
    private const int SetPipeSize = 1031; // F_SETPIPE_SZ

    /// <summary>Makes the buffers of a socket small, so that its writes block.</summary>
    public static void Shrink(nint socket, int size)
    {
        foreach (int option in (ReadOnlySpan<int>)[SoSndBuf, SoRcvBuf])
        {
            if (setsockopt((int)socket, SolSocket, option, &size, sizeof(int)) != 0) throw Failed("setsockopt");
        }
    }

    /// <inheritdoc cref="Shrink(nint, int)"/>
    public static void Shrink(Conn conn, int size) => Shrink(NumberOf(NetFdOf(conn)), size);

    /// <summary>Makes the buffer of a pipe as small as it can be: a page.</summary>
    public static void ShrinkPipe(nint pipe)
    {
        if (fcntl((int)pipe, SetPipeSize, 4096) < 0) throw Failed("fcntl");
    }

    /// <summary>Has a terminal pass each byte on as it is: cfmakeraw(3).</summary>
    public static void MakeRaw(nint terminal)
    {
        byte* settings = stackalloc byte[256]; // Larger than struct termios.
        if (tcgetattr((int)terminal, settings) != 0) throw Failed("tcgetattr");
        cfmakeraw(settings);
        if (tcsetattr((int)terminal, 0, settings) != 0) throw Failed("tcsetattr");
    }

    /// <summary>How many bytes a descriptor has to read and, if it is a socket, has not sent or has no acknowledgment for.</summary>
    public static string Queues(nint fd)
    {
        int unread, unsent;
        string input = ioctl((int)fd, Fionread, &unread) == 0 ? $"{unread:N0} B to read" : "";
        return ioctl((int)fd, Tiocoutq, &unsent) == 0 ? $"{input}, {unsent:N0} B not sent" : input;
    }

    private static InvalidOperationException Failed(string call) => new($"{call}: {Marshal.GetLastPInvokeErrorMessage()}");

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Fd")]
    private static extern nint NumberOf(PollFd fd);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_fd")]
    private static extern ref NetFd NetFdOf(Conn conn);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setsockopt(int fd, int level, int name, void* value, uint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(int fd, int command, nint argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(int fd, nuint request, int* value);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int tcgetattr(int fd, void* settings);

    [LibraryImport("libc")]
    private static partial void cfmakeraw(void* settings);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int tcsetattr(int fd, int when, void* settings);
}
