using Poller.Abstractions;

namespace Poller.Net;

// The twin of Splice in Go's internal/poll/splice_linux.go: bytes go from one stream socket to another through a pipe, and no copy of them
// comes into the process.
//
// Each step is an operation of its own: a read of the source, which ends with bytes in a pipe, and a write of the destination, which ends
// when the pipe is empty. So each has the lock, the deadline and the close of its side, and the source is not read while the destination
// is full. A read that must wait gives its pipe back first.
//
// What a pipe, or the buffer of a copy without one, still holds when its write ends early goes with the exception. The source may stay
// usable, so its bytes must not be lost.
internal abstract partial class SocketFd
{
    private const int MaxSplice = 1 << 20;

    // The key of the bytes in an exception's data.
    private static readonly object UnwrittenKey = new();

    /// <summary>The bytes that a copy had read and not written when it ended with this exception; empty if there are none.</summary>
    public static ReadOnlyMemory<byte> UnwrittenOf(Exception error) => error.Data[UnwrittenKey] as byte[];

    /// <summary>Copies until the source ends. Both sockets are streams.</summary>
    public static async ValueTask CopyAsync(SocketFd from, SocketFd to, int bufferSize, bool blocking, CancellationToken token)
    {
        SplicePipes pipes = from._network.Pipes;
        CopyBuffer? buffer = null;
        pipes.BeginCopy();
        try
        {
            while (true)
            {
                SpliceReadAttempt read = new();
                Spliced spliced = blocking
                    ? from.Run<SpliceReadAttempt, Spliced>(Direction.Read, ref read)
                    : await from.StartAsync<SpliceReadAttempt, Spliced>(Direction.Read, ref read, token).ConfigureAwait(false);
                if (spliced.Pipe is { } pipe)
                {
                    try
                    {
                        await to.WriteAsync(pipe, buffer: null, blocking, token).ConfigureAwait(false);
                    }
                    finally
                    {
                        pipes.Return(pipe);
                    }
                    continue;
                }
                if (!spliced.MustCopy) return;
                buffer ??= new CopyBuffer(bufferSize);
                buffer.Sent = 0;
                buffer.Count = blocking ? from.Read(buffer.Bytes) : await from.ReadAsync(buffer.Bytes, token).ConfigureAwait(false);
                if (buffer.Count == 0) return;
                await to.WriteAsync(pipe: null, buffer, blocking, token).ConfigureAwait(false);
            }
        }
        finally
        {
            pipes.EndCopy();
        }
    }

    // Writes all that one of the two holds.
    private async ValueTask WriteAsync(SplicePipe? pipe, CopyBuffer? buffer, bool blocking, CancellationToken token)
    {
        CopyWriteAttempt write = new(pipe, buffer);
        try
        {
            if (blocking) Run<CopyWriteAttempt, int>(Direction.Write, ref write);
            else await StartAsync<CopyWriteAttempt, int>(Direction.Write, ref write, token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            throw WithUnwritten(e, pipe is null ? buffer!.Unsent.ToArray() : TakeAll(pipe));
        }
    }

    private byte[] TakeAll(SplicePipe pipe)
    {
        byte[] bytes = new byte[pipe.Length];
        int count = 0;
        while (count < bytes.Length)
        {
            IoResult result = Api.ReadPipe(pipe.ReadEnd, bytes.AsSpan(count));
            if (result == Errno.EINTR) continue;
            if (!result.IsSuccess || result.Value == 0)
            {
                throw new InvalidOperationException($"a pipe gave {count} of its {bytes.Length} bytes.");
            }
            count += result.Value;
        }
        pipe.Length = 0;
        return bytes;
    }

    // The same kind of exception. Its message says how many bytes there are, and it holds them.
    private static Exception WithUnwritten(Exception e, byte[] bytes)
    {
        string note = $"{bytes.Length} bytes were read from the source and not written";
        Exception error = e switch
        {
            NetOpException failed => failed.With(note),
            OperationCanceledException canceled => new OperationCanceledException($"{e.Message} {note}.", e, canceled.CancellationToken),
            ObjectDisposedException closed =>
                new ObjectDisposedException(closed.ObjectName, $"{NameOf(Kind.Write)}: closed before the operation; {note}."),
            ThreadInterruptedException => new ThreadInterruptedException($"{e.Message} {note}.", e),
            InvalidOperationException => new InvalidOperationException($"{e.Message} {note}.", e),
            _ => new IOException($"{e.Message} {note}.", e),
        };
        error.Data[UnwrittenKey] = bytes;
        return error;
    }

    private IoResult SpliceInto(SplicePipes pipes, bool hasWaited, out Spliced spliced)
    {
        spliced = default;
        if (_drained.BeforeTry(HangupSeen)) return Errno.EAGAIN;
        if (!pipes.Rent(out SplicePipe? pipe).IsSuccess)
        {
            spliced = new Spliced { MustCopy = true };
            return 0;
        }
        IoResult result;
        do
        {
            result = Api.Splice(Fd, pipe!.WriteEnd, MaxSplice);
        }
        while (result == Errno.EINTR);
        if (result.IsSuccess && result.Value > 0)
        {
            pipe.Length = result.Value;
            NoteBytes(Direction.Read, result);
            spliced = new Spliced { Pipe = pipe };
            return result;
        }
        pipes.Return(pipe);

        // The pipe is empty, so EAGAIN means that the socket is empty, or that the next byte is an urgent one, which a read skips and
        // splice does not. An edge-triggered poller reports it as a hang-up. A level-triggered one calls the socket readable.
        if (result == Errno.EAGAIN && (hasWaited || HangupSeen))
        {
            IoResult next = Peek();
            if (!next.IsSuccess) return next;
            spliced = new Spliced { MustCopy = true };
            return 0;
        }
        if (result != Errno.EINVAL && result != Errno.ENOSYS && result != Errno.EOPNOTSUPP) return result;
        spliced = new Spliced { MustCopy = true };
        return 0;
    }

    private IoResult SpliceFrom(SplicePipe pipe)
    {
        while (pipe.Length > 0)
        {
            IoResult result = Api.Splice(pipe.ReadEnd, Fd, pipe.Length);
            if (result == 0) throw new InvalidOperationException($"splice moved none of the {pipe.Length} bytes of a pipe.");
            NoteBytes(Direction.Write, result);
            if (result.IsSuccess) pipe.Length -= result.Value;
            else if (result != Errno.EINTR) return result;
        }
        return 0;
    }

    /// <summary>What a read of the source found: a pipe with bytes, bytes that must be copied, or the end.</summary>
    private readonly struct Spliced
    {
        public SplicePipe? Pipe { get; init; }

        public bool MustCopy { get; init; }
    }

    private struct SpliceReadAttempt : IAttempt<Spliced>
    {
        private Spliced _result;
        private bool _hasWaited;

        public readonly Spliced Result => _result;

        public readonly string Name => NameOf(Kind.Read);

        public IoResult Try(PollFd fd)
        {
            SocketFd socket = (SocketFd)fd;
            IoResult result = socket.SpliceInto(socket._network.Pipes, _hasWaited, out _result);
            _hasWaited = true;
            return result;
        }

        public readonly void Release() { }
    }

    /// <summary>The bytes of a copy without a pipe.</summary>
    private sealed class CopyBuffer(int size)
    {
        public byte[] Bytes { get; } = new byte[size];

        /// <summary>How many bytes are in it, and how many of them are sent.</summary>
        public int Count, Sent;

        public ReadOnlySpan<byte> Unsent => Bytes.AsSpan(Sent, Count - Sent);
    }

    private struct CopyWriteAttempt(SplicePipe? pipe, CopyBuffer? buffer) : IAttempt<int>
    {
        private SplicePipe? _pipe = pipe;
        private CopyBuffer? _buffer = buffer;

        public readonly int Result => 0;

        public readonly string Name => NameOf(Kind.Write);

        public readonly IoResult Try(PollFd fd) => _pipe is null
            ? ((SocketFd)fd).Send(_buffer!.Bytes.AsSpan(0, _buffer.Count), ref _buffer.Sent)
            : ((SocketFd)fd).SpliceFrom(_pipe);

        public void Release() => (_pipe, _buffer) = (null, null);
    }
}
