using Microsoft.Win32.SafeHandles;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of SendFile in Go's internal/poll/sendfile_linux.go. The kernel moves the bytes from the page cache to the socket. If it cannot,
// because the file system or the system has no such call, we read and send.
internal abstract partial class SocketFd
{
    // Between two calls the operation looks at its deadline, its token and the close, and reports its progress. One call of this size took
    // about 0.2 ms from the page cache to the loopback. With half the value there are twice as many looks.
    private const int MaxFileChunk = 1 << 20;

    // What we read at once if we copy: what a Stream copies at once, in the nearest power of two.
    private const int CopySize = 1 << 16;

    /// <summary>Sends bytes of a file, and returns how many that was. Null as the length means up to the end.</summary>
    public ValueTask<long> SendFileAsync(
        SafeFileHandle file, long offset, long? length, IProgress<long>? progress, CancellationToken token)
    {
        SendFileAttempt attempt = new(file, offset, length, progress, token);
        return StartAsync<SendFileAttempt, long>(Direction.Write, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="SendFileAsync"/>.</summary>
    public long SendFile(SafeFileHandle file, long offset, long? length, IProgress<long>? progress)
    {
        SendFileAttempt attempt = new(file, offset, length, progress, CancellationToken.None);
        return Run<SendFileAttempt, long>(Direction.Write, ref attempt);
    }

    /// <summary>A send of a file. It keeps what is sent, and does not keep the file open while it waits.</summary>
    private struct SendFileAttempt(SafeFileHandle file, long offset, long? length, IProgress<long>? progress, CancellationToken token)
        : IAttempt<long>
    {
        private SafeFileHandle? _file = file;
        private IProgress<long>? _progress = progress;

        // What was read and not sent yet; null as long as the kernel moves the bytes.
        private byte[]? _buffer;
        private int _start;
        private int _end;

        /// <summary>How many bytes are sent.</summary>
        public long Result { get; private set; }

        public readonly string Name => "send file";

        public IoResult Try(PollFd fd)
        {
            bool held = false;
            try
            {
                _file!.DangerousAddRef(ref held);
                return Send((SocketFd)fd);
            }
            catch (ObjectDisposedException e) when (_file!.IsClosed)
            {
                throw new ObjectDisposedException($"{Name}: the file was disposed after {Result} bytes were sent.", e);
            }
            finally
            {
                if (held) _file!.DangerousRelease();
            }
        }

        public void Release()
        {
            _file = null;
            _progress = null;
            _buffer = null;
        }

        private IoResult Send(SocketFd socket)
        {
            while (Result < (length ?? long.MaxValue))
            {
                token.ThrowIfCancellationRequested();
                IoResult result = socket.Check(Direction.Write);
                if (!result.IsSuccess) return result;
                int count = (int)Math.Min(length - Result ?? MaxFileChunk, MaxFileChunk);
                result = _buffer is null
                    ? socket.Api.SendFile(socket.Fd, _file!.DangerousGetHandle(), offset + Result, count)
                    : Copy(socket, count);
                if (result == Errno.EINTR) continue;
                if (_buffer is null && IsUnable(result)) _buffer = new byte[CopySize];
                else if (!result.IsSuccess) return result;
                else if (result == 0) return length is null ? 0 : throw Shrunk();
                else
                {
                    Result += result.Value;
                    socket.NoteBytes(Direction.Write, result);
                    socket.NoteActivity(); // A slow disk can keep a whole file from a wait.
                    _progress?.Report(Result);
                }
            }
            return 0;
        }

        private IoResult Copy(SocketFd socket, int count)
        {
            if (_start == _end)
            {
                (_start, _end) = (0, RandomAccess.Read(_file!, _buffer.AsSpan(0, Math.Min(count, CopySize)), offset + Result));
                if (_end == 0) return 0;
            }
            IoResult sent = socket.Api.Send(socket.Fd, _buffer.AsSpan(_start, _end - _start));
            if (sent.IsSuccess) _start += sent.Value;
            return sent;
        }

        // EBADF: the file is not open for reading, and the read will say so. EINVAL: sendfile(2) says it of files that it cannot send.
        private static bool IsUnable(IoResult result) =>
            result == Errno.EINVAL || result == Errno.ENOSYS || result == Errno.EOPNOTSUPP || result == Errno.EBADF;

        private readonly EndOfStreamException Shrunk() => new(
            $"{Name}: the file ended after {Result} of {length} bytes from offset {offset} on; the {Result} bytes are sent.");
    }
}
