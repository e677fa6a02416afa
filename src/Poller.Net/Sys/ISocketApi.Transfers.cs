namespace Poller.Net;

// The calls that move bytes inside of the kernel. A system without a call, or whose call we do not use, answers EOPNOTSUPP; the operation
// then copies.
internal partial interface ISocketApi
{
    /// <summary>
    /// sendfile(2) of at most so many bytes of <paramref name="file"/> from <paramref name="offset"/> on. The file's own position stays.
    /// Returns 0 at the end of the file.
    /// </summary>
    IoResult SendFile(nint fd, nint file, long offset, int count);

    /// <summary>pipe2(2): a pipe that is non-blocking, close-on-exec, and takes 1 MiB if the system allows it.</summary>
    IoResult Pipe(out nint read, out nint write);

    /// <summary>splice(2) of at most so many bytes. One of the two is a pipe. It does not wait for the pipe.</summary>
    IoResult Splice(nint from, nint to, int count);

    /// <summary>read(2) of a pipe of <see cref="Pipe"/>.</summary>
    IoResult ReadPipe(nint fd, Span<byte> buffer);
}
