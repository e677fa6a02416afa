using Poller.Abstractions;

namespace Poller.Net;

// A read that takes its buffer when it tries, and not when it begins: one that waits holds none. A wait and then a read would do the same,
// but for one more recv(2), which peeks.

/// <summary>Where a read puts its bytes. The read calls it under the read lock, on whatever thread tries.</summary>
internal interface IReadSink
{
    /// <summary>A buffer for a try. An empty one ends the read with 0 bytes.</summary>
    Memory<byte> GetBuffer();

    /// <summary>
    /// Ends a try that had a buffer. The result is the number of bytes in it, 0 at the end, EAGAIN if nothing was there, or why the read
    /// fails.
    /// </summary>
    void Advance(IoResult result);

    /// <summary>A read that had to wait is done, with whatever result. Its awaiter continues afterwards.</summary>
    void Done();
}

internal abstract partial class SocketFd
{
    /// <summary>
    /// Begins a read. Returns the operation that waits, whose result is the number of bytes; or null if the read is done. It then has
    /// failed with <paramref name="error"/>, or <paramref name="count"/> is the number of bytes.
    /// </summary>
    public PollOp? BeginRead(IReadSink sink, CancellationToken token, out int count, out Exception? error)
    {
        SinkAttempt attempt = new(sink);
        Begun begun = Begin(Direction.Read, ref attempt, token);
        (count, error) = (begun.Value, begun.Error);
        return begun.Rest == Rest.None ? null : GoOn<SinkAttempt, int>(Direction.Read, attempt, begun, token);
    }

    /// <summary>
    /// Reads what is there, without a wait. False if nothing is there, or if another read is under way. It may fail with
    /// <paramref name="error"/>.
    /// </summary>
    public bool TryRead(IReadSink sink, out int count, out Exception? error)
    {
        (count, error) = (0, null);
        FdLock found = TryLock(Direction.Read);
        if (found == FdLock.Busy) return false;
        if (found == FdLock.Closed)
        {
            error = Failed(NameOf(Kind.Read), IoResult.Disposed);
            return true;
        }
        try
        {
            // Nobody waits, so nobody takes the edge of what has come since the socket was drained: take it here. A level-triggered poller
            // raises none.
            if (!ReportsHangupUnasked) _drained.Waited();
            else if (_drained == DrainedFlag.Drained) Consume(Direction.Read);

            IoResult result = Prepare(Direction.Read);
            if (result.IsSuccess) result = new SinkAttempt(sink).Try(this);
            if (result == Errno.EAGAIN) return false;
            if (result.IsSuccess) count = result.Value;
            else error = Failed(NameOf(Kind.Read), result, Direction.Read);
            return true;
        }
        finally
        {
            Unlock(Direction.Read);
        }
    }

    private struct SinkAttempt(IReadSink sink) : IAttempt<int>
    {
        private IReadSink? _sink = sink;

        public int Result { get; private set; }

        public readonly string Name => NameOf(Kind.Read);

        public IoResult Try(PollFd fd)
        {
            SocketFd socket = (SocketFd)fd;
            if (socket._drained.BeforeTry(socket.HangupSeen)) return Errno.EAGAIN;
            Memory<byte> buffer = _sink!.GetBuffer();
            if (buffer.IsEmpty) return Result = 0;
            IoResult result = socket.Receive(buffer.Span);
            Result = result.IsSuccess ? result.Value : 0;
            _sink.Advance(result);
            return result;
        }

        public void Release()
        {
            _sink!.Done();
            _sink = null;
        }
    }
}
