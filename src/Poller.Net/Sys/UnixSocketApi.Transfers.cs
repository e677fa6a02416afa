using Poller.Abstractions;

namespace Poller.Net;

// macOS and FreeBSD have a sendfile(2) with other forms, which we do not use. splice(2) is Linux's alone.
internal abstract partial class UnixSocketApi
{
    public virtual IoResult SendFile(nint fd, nint file, long offset, int count) => Errno.EOPNOTSUPP;

    public virtual IoResult Pipe(out nint read, out nint write)
    {
        read = write = -1;
        return Errno.EOPNOTSUPP;
    }

    public virtual IoResult Splice(nint from, nint to, int count) => Errno.EOPNOTSUPP;

    public IoResult ReadPipe(nint fd, Span<byte> buffer) => UnixFileApi.Read(fd, buffer);
}
