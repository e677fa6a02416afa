using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

internal sealed unsafe partial class LinuxSocketApi
{
    private const int F_SETPIPE_SZ = 1031;
    private const int PipeSize = 1 << 20; // /proc/sys/fs/pipe-max-size for a user without privileges.
    private const uint SPLICE_F_MOVE = 1;
    private const uint SPLICE_F_NONBLOCK = 2;

    public override IoResult SendFile(nint fd, nint file, long offset, int count)
    {
        nint position = (nint)offset; // off_t, which has 32 bits on a system of 32 bits.
        return position == offset ? Transferred(sendfile((int)fd, (int)file, &position, count)) : Errno.EOPNOTSUPP;
    }

    public override IoResult Pipe(out nint read, out nint write)
    {
        int* ends = stackalloc int[2];
        IoResult result = Result(pipe2(ends, SOCK_NONBLOCK | SOCK_CLOEXEC)); // They have the numbers of O_NONBLOCK and O_CLOEXEC.
        (read, write) = result.IsSuccess ? (ends[0], ends[1]) : (-1, -1);

        // The system refuses it to a user who has many pipes. Then the pipe has its usual size, and a copy takes more calls.
        if (result.IsSuccess) _ = fcntl(ends[1], F_SETPIPE_SZ, PipeSize);
        return result;
    }

    public override IoResult Splice(nint from, nint to, int count) =>
        Transferred(splice((int)from, null, (int)to, null, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));

    [LibraryImport(Library)]
    private static partial nint sendfile(int to, int from, nint* offset, nint count);

    [LibraryImport(Library)]
    private static partial nint splice(int from, long* fromOffset, int to, long* toOffset, nint count, uint flags);

    [LibraryImport(Library, SetLastError = true)]
    private static partial int pipe2(int* ends, int flags);

    [LibraryImport(Library)]
    private static partial int fcntl(int fd, int command, nint argument);
}
