using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;
using Poller.Net;

namespace Poller.AspNetCore;

// The input of a connection. There is no pump: the app's read is the socket's read, and its continuation runs where the poller runs it. A
// read that waits holds no buffer.
//
// So nothing reads while the app does not. The contract wants to know of the peer's end all the same, and the poller reports that without a
// read. From then on the reader reads ahead: a pump reads into a pipe, up to the limit, as other transports do all the time, and the app's
// reads take from the pipe. Over a level-triggered poller, which reports nothing unasked, it reads ahead from the start.
//
//   from -> to          by
//   Idle -> Reading     a read of the app begins on the socket
//   Reading -> Idle     it is done; the app has its result
//   Idle -> Ahead       the hang-up was reported while nobody read, or before the last read was done: a pump begins
//   Idle -> Ended       a read found the end, or failed
//
// The poller sets its flag before the watch looks at the state (Execute). A read that is done sets the state before it looks at the flag
// (EndRead). Both have a full fence between, so one of the two begins the pump.

/// <summary>
/// Reads a connection. As with every <see cref="PipeReader"/>, one flow at a time reads; <see cref="CancelPendingRead"/> is safe from any
/// thread.
/// </summary>
internal sealed class ConnReader : PipeReader, IReadSink, IValueTaskSource<ReadResult>, IThreadPoolWorkItem
{
    private const int MinBuffer = 2048;

    // The values of _state.
    private const int Idle = 0;
    private const int Reading = 1;
    private const int Ahead = 2;
    private const int Ended = 3;

    // Constant.
    private readonly PollerConnection _connection;
    private readonly NetFd _fd;

    // Atomic. The flag says that a read is to end; whatever wakes a read that waits comes after it.
    private int _state;
    private bool _isCanceled;

    // Set before the state is Ahead, once: the watch and the end of a read may both begin to read ahead.
    private Pipe? _pipe;

    // What was read and not consumed: from _firstIndex of the first segment to the end of the last. The app's flow has it, or its read
    // while it is under way.
    private BufferSegment? _first;
    private BufferSegment? _last;
    private int _firstIndex;
    private long _buffered;
    private bool _isExamined = true;

    // A segment of the read that is under way, if it is not in the list yet.
    private BufferSegment? _next;

    // The read that waits.
    private PollOp? _op;

    // Atomic: whether the app has completed the reader.
    private bool _isCompleted;

    // Set before the state is Ended.
    private Exception? _error;

    public ConnReader(PollerConnection connection, NetFd fd)
    {
        _connection = connection;
        _fd = fd;
    }

    /// <summary>Begins to watch for the peer's end.</summary>
    public void Start()
    {
        if (_fd.ReportsHangupUnasked) _fd.WatchHangup(this);
        else TryReadAhead();
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<ReadResult>(cancellationToken);
        if (TryTake(out ReadResult result)) return new ValueTask<ReadResult>(result);
        _connection.SendDeferred();
        int state = Interlocked.CompareExchange(ref _state, Reading, Idle);
        if (state == Ahead) return ReadFromPipeAsync(cancellationToken);
        if (state == Reading) throw new InvalidOperationException("read: the last read is not done; one read at a time was expected.");

        PollOp? op = _fd.BeginRead(this, cancellationToken, out int count, out Exception? error);
        if (op is not null)
        {
            _op = op;
            return new ValueTask<ReadResult>(this, op.Version);
        }
        try
        {
            return new ValueTask<ReadResult>(error is null ? EndRead(count) : throw EndRead(error));
        }
#pragma warning disable CA1031 // It is the app's, which awaits it.
        catch (Exception e)
#pragma warning restore CA1031
        {
            // A ConnectionAbortedException is one too, and no cancellation of this read.
            return e is OperationCanceledException and not ConnectionAbortedException
                ? ValueTask.FromCanceled<ReadResult>(cancellationToken)
                : ValueTask.FromException<ReadResult>(e);
        }
    }

    public override bool TryRead(out ReadResult result)
    {
        if (TryTake(out result)) return true;
        int state = Interlocked.CompareExchange(ref _state, Reading, Idle);
        if (state == Reading) throw new InvalidOperationException("read: the last read is not done; one read at a time was expected.");
        if (state == Ahead) return _pipe!.Reader.TryRead(out ReadResult read) && TryTakeFromPipe(read, out result);
        if (!_fd.TryRead(this, out int count, out Exception? error))
        {
            LeaveReading();
            return false;
        }
        result = error is null ? EndRead(count) : throw EndRead(error);
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        ThrowIfCompleted();
        BufferSegment? to = (BufferSegment?)consumed.GetObject();
        BufferSegment? seen = (BufferSegment?)examined.GetObject();
        if (to is null || seen is null || _first is null) return;
        int index = consumed.GetInteger();
        _isExamined = seen == _last && examined.GetInteger() == _last!.Length;
        long count = to.RunningIndex + index - _first.RunningIndex - _firstIndex;
        if (count < 0 || count > _buffered)
        {
            throw new ArgumentOutOfRangeException(nameof(consumed), "a position in the last result's buffer was expected.");
        }
        _buffered -= count;
        while (_first != to) DropFirst();
        _firstIndex = index;
        if (_buffered == 0) Drop();
        else if (index == to.Length) DropFirst();
    }

    public override void CancelPendingRead()
    {
        Interlocked.Exchange(ref _isCanceled, true);
        if (Volatile.Read(ref _state) == Ahead) _pipe!.Reader.CancelPendingRead();
        else _fd.MakeReady(Direction.Read);
    }

    public override void Complete(Exception? exception = null)
    {
        if (Interlocked.Exchange(ref _isCompleted, true)) return;
        int state = Volatile.Read(ref _state);
        if (state == Reading) return; // The read still has the buffers; it gives them back.
        Drop();
        if (state == Ahead) _pipe!.Reader.Complete();
    }

    // IReadSink: the socket's read, under its lock.

    Memory<byte> IReadSink.GetBuffer()
    {
        if (Volatile.Read(ref _isCanceled)) return default;
        if (_last is { FreeLength: >= MinBuffer }) return _last.Free;
        _next = BufferSegment.Rent(_connection.MemoryPool, 0);
        return _next.Free;
    }

    void IReadSink.Advance(int count)
    {
        if (_next is { } next)
        {
            _next = null;
            if (count == 0)
            {
                next.Return();
                return;
            }
            if (_last is null) (_first, _firstIndex) = (next, 0);
            else _last.Append(next);
            _last = next;
        }
        if (count == 0) return;
        _last!.Advance(count);
        _buffered += count;
        _isExamined = false;
    }

    // IValueTaskSource: the app awaits the socket's read itself.

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _op!.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _op!.OnCompleted(continuation, state, token, flags);

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        int count;
        try
        {
            count = ((IValueTaskSource<int>)_op!).GetResult(token);
        }
        catch (Exception e) when (e is ObjectDisposedException or not InvalidOperationException) // The others tell of a second await.
        {
            throw EndRead(e);
        }
        return EndRead(count);
    }

    /// <summary>The poller has reported the peer's end, or has stopped.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        // A late event of the descriptor's earlier life may have run this too early.
        if (!_fd.HasHangup && !_fd.IsPollerGone) _fd.WatchHangup(this);
        else TryReadAhead();
    }

    // What there is without the socket: bytes that the app has not examined, a cancellation, the end or an error.
    private bool TryTake(out ReadResult result)
    {
        ThrowIfCompleted();
        if (Volatile.Read(ref _isCanceled))
        {
            Volatile.Write(ref _isCanceled, false);
            result = Result(isCanceled: true);
            return true;
        }
        bool hasEnded = Volatile.Read(ref _state) == Ended;
        if (hasEnded && _error is not null) throw _error;
        result = hasEnded || !_isExamined ? Result() : default;
        return hasEnded || !_isExamined;
    }

    private ReadResult Result(bool isCanceled = false)
    {
        ReadOnlySequence<byte> buffer = _first is null ? default : new(_first, _firstIndex, _last!, _last!.Length);
        return new ReadResult(buffer, isCanceled, Volatile.Read(ref _state) == Ended);
    }

    // Ends a read of the socket.
    private ReadResult EndRead(int count)
    {
        if (count > 0)
        {
            _connection.NoteRead();
            LeaveReading();
            return Result();
        }
        if (Volatile.Read(ref _isCanceled))
        {
            Volatile.Write(ref _isCanceled, false);
            LeaveReading();
            return Result(isCanceled: true);
        }
        _error = _connection.ReceivedEnd();
        Volatile.Write(ref _state, Ended);
        return _error is null ? Result() : throw _error;
    }

    // Ends a read of the socket that failed. Returns what the app sees.
    private Exception EndRead(Exception error)
    {
        if (error is OperationCanceledException)
        {
            LeaveReading();
            return error;
        }
        _error = _connection.ReceiveFailed(error);
        Volatile.Write(ref _state, Ended);
        return _error;
    }

    private void LeaveReading()
    {
        Interlocked.Exchange(ref _state, Idle);
        if (_isCompleted) Drop();
        if (_fd.HasHangup) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private void DropFirst()
    {
        BufferSegment first = _first!;
        _first = first.Next;
        if (_first is null) _last = null;
        first.Return();
        _firstIndex = 0;
    }

    private void Drop()
    {
        while (_first is not null) DropFirst();
        _buffered = 0;
        _isExamined = true;
    }

    private void ThrowIfCompleted()
    {
        if (_isCompleted) throw new InvalidOperationException("read: the reader was completed before.");
    }

    // Reading ahead.

    private void TryReadAhead()
    {
        if (Volatile.Read(ref _state) != Idle) return;
        if (Volatile.Read(ref _pipe) is null) Interlocked.CompareExchange(ref _pipe, new Pipe(_connection.InputOptions), null);
        if (Interlocked.CompareExchange(ref _state, Ahead, Idle) != Idle) return;
        if (_isCompleted) _pipe!.Reader.Complete(); // Complete sets this before it looks at the state, so one of the two does it.
        _ = _connection.PumpAsync(_pipe!.Writer);
    }

    private async ValueTask<ReadResult> ReadFromPipeAsync(CancellationToken token)
    {
        while (true)
        {
            ReadResult read = await _pipe!.Reader.ReadAsync(token).ConfigureAwait(false);
            if (TryTakeFromPipe(read, out ReadResult result)) return result;
        }
    }

    // Moves bytes from the pipe behind those that the app has not consumed. False for a cancellation that was taken before.
    private bool TryTakeFromPipe(ReadResult read, out ReadResult result)
    {
        foreach (ReadOnlyMemory<byte> piece in read.Buffer)
        {
            for (ReadOnlyMemory<byte> rest = piece; !rest.IsEmpty;)
            {
                if (_last is not { FreeLength: > 0 }) _next = BufferSegment.Rent(_connection.MemoryPool, 0);
                Memory<byte> into = (_next ?? _last)!.Free;
                int count = Math.Min(into.Length, rest.Length);
                rest[..count].CopyTo(into);
                ((IReadSink)this).Advance(count);
                rest = rest[count..];
            }
        }
        if (!read.Buffer.IsEmpty) _connection.NoteRead();
        _pipe!.Reader.AdvanceTo(read.Buffer.End);
        bool isCanceled = read.IsCanceled && Interlocked.Exchange(ref _isCanceled, false);
        ReadOnlySequence<byte> buffer = _first is null ? default : new(_first, _firstIndex, _last!, _last!.Length);
        result = new ReadResult(buffer, isCanceled, read.IsCompleted);
        return isCanceled || read.IsCompleted || !_isExamined;
    }
}
