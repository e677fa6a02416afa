using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.AspNetCore;

// The input of a connection. There is no pump: the app's read is the socket's read, and its continuation runs where the poller runs it. A
// read that waits holds no buffer.
//
// So nothing reads while the app does not. ConnectionClosed must fire at the peer's end all the same, and the poller reports that without a
// read. From then on the reader reads ahead: a pump reads into a pipe, up to the limit, as other transports do all the time, and the app's
// reads take from the pipe. A level-triggered poller reports nothing unasked, so over it the pump begins at once. An app that takes from
// the pipe runs on the pool, and never on the pump's stack, because the pump must go on if the app blocks.
//
//   from -> to          by
//   Idle -> Reading     a read of the app begins on the socket
//   Reading -> Taken    it is done after a wait; the app has not fetched its result
//   Reading -> Idle     it is done at once, or was found cancelled
//   Taken -> Idle       the app has fetched the result
//   Idle -> Ahead       the hang-up is reported while nobody reads: a pump begins
//   Taken -> Ahead      likewise
//   any -> Ended        a read of the socket found the end, or failed
//
// The poller sets its flag of the hang-up before the watch looks at the state (Execute). A read that is done changes the state before it
// looks at the flag (Settle). Both take the lock, so one of the two begins the pump.

/// <summary>
/// Reads a connection. As with every <see cref="PipeReader"/>, one flow at a time reads; <see cref="CancelPendingRead"/> and
/// <see cref="Complete"/> are safe from any thread.
/// </summary>
internal sealed class ConnReader : PipeReader, IReadSink, IValueTaskSource<ReadResult>, IThreadPoolWorkItem
{
    private const int MinBuffer = 2048;

    // How much one read takes from the pipe. What an app holds is in memory beside what the pipe fills up with meanwhile, so an app that
    // held all of a full pipe would double the limit.
    private const int MaxTaken = 64 * 1024;

    private enum State : byte
    {
        Idle,
        Reading,
        Taken,
        Ahead,
        Ended,
    }

    // Constant.
    private readonly PollerConnection _connection;
    private readonly NetFd _fd;

    // Nobody takes the connection's lock under this one.
    private readonly Lock _lock = new();

    // Guarded by the lock. _isLooking: the pool is about to run Execute. _pipe and _isPumping: the pump has begun, and has not ended.
    // _hasPipeEnded: all that it read was taken. _error: what the app's reads throw from now on. _done: WhenDone waits.
    private State _state;
    private bool _isCompleted;
    private bool _isLooking;
    private bool _isPumping;
    private bool _hasPipeEnded;
    private Exception? _error;
    private Pipe? _pipe;
    private TaskCompletionSource? _done;

    // Guarded by the lock, and read without it by the socket's read: whoever sets it wakes that read afterwards.
    private bool _isCanceled;

    // What was read and not consumed: from _firstIndex of the first segment to the end of the last, _buffered bytes. While the state is
    // Reading, only the socket's read touches them; otherwise the lock guards them.
    private BufferSegment? _first;
    private BufferSegment? _last;
    private int _firstIndex;
    private long _buffered;
    private bool _isExamined = true;

    // Written by the socket's read before it is done. _next: a segment that is not in the list yet. _hasEnded: it found the end, or failed.
    private BufferSegment? _next;
    private bool _hasEnded;

    // Written by the app's flow. _op: the read that waits. _isAwaited: its continuation runs as soon as the read is done.
    private PollOp? _op;
    private bool _isAwaited;

    public ConnReader(PollerConnection connection, NetFd fd)
    {
        _connection = connection;
        _fd = fd;
    }

    // After the descriptor is closed the answer is meaningless, and harmless.
    private bool HasHangup => _fd.HasHangup || _fd.IsPollerGone;

    /// <summary>Begins to watch for the peer's end.</summary>
    public void Start()
    {
        if (_fd.ReportsHangupUnasked) _fd.WatchHangup(this);
        else GoAhead();
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<ReadResult>(cancellationToken);
        Pipe? pipe;
        lock (_lock)
        {
            if (TryTake(out ReadResult there)) return new ValueTask<ReadResult>(there);
            pipe = BeginRead();
        }
        _connection.SendDeferred();
        if (pipe is not null) return ReadFromPipeAsync(pipe, cancellationToken);

        Volatile.Write(ref _isAwaited, false);
        PollOp? op = _fd.BeginRead(this, cancellationToken, out int count, out Exception? error);
        if (op is not null)
        {
            _op = op;
            return new ValueTask<ReadResult>(this, op.Version);
        }
        ReadResult result = default;
        error = error is null ? EndRead(count, out result) : EndRead(error);
        return error is null ? new ValueTask<ReadResult>(result)
            : error is OperationCanceledException && cancellationToken.IsCancellationRequested
                ? ValueTask.FromCanceled<ReadResult>(cancellationToken)
            : ValueTask.FromException<ReadResult>(error);
    }

    public override bool TryRead(out ReadResult result)
    {
        Pipe? pipe;
        lock (_lock)
        {
            if (TryTake(out result)) return true;
            pipe = BeginRead();
        }
        if (pipe is not null) return pipe.Reader.TryRead(out ReadResult read) && TryTakeFromPipe(pipe, read, out result);

        int count;
        Exception? error;
        bool isDone = false;
        try
        {
            isDone = _fd.TryRead(this, out count, out error);
        }
        finally
        {
            if (!isDone)
            {
                lock (_lock) LeaveReading();
            }
        }
        if (!isDone) return false;
        error = error is null ? EndRead(count, out result) : EndRead(error);
        if (error is not null) ExceptionDispatchInfo.Throw(error);
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        lock (_lock)
        {
            ThrowIfCompleted();
            if (_first is null || consumed.GetObject() is null || examined.GetObject() is null) return;
            long count = CountTo(consumed);
            long seen = CountTo(examined);
            const string Expected = "a position in the last result's buffer was expected.";
            if (count < 0) throw new ArgumentOutOfRangeException(nameof(consumed), Expected);
            if (seen < 0) throw new ArgumentOutOfRangeException(nameof(examined), Expected);
            if (seen < count) throw new ArgumentOutOfRangeException(nameof(examined), "a position behind what is consumed was expected.");
            _isExamined = seen == _buffered;
            BufferSegment to = (BufferSegment)consumed.GetObject()!;
            int index = consumed.GetInteger();
            _buffered -= count;
            while (_first != to) DropFirst();
            _firstIndex = index;
            if (_buffered == 0) Drop();
            else if (index == to.Length) DropFirst();
        }
    }

    public override void CancelPendingRead()
    {
        Pipe? pipe;
        lock (_lock)
        {
            Volatile.Write(ref _isCanceled, true);
            pipe = _pipe;
        }
        if (pipe is not null) pipe.Reader.CancelPendingRead();
        else _fd.MakeReady(Direction.Read);
    }

    public override void Complete(Exception? exception = null)
    {
        Pipe? pipe;
        lock (_lock)
        {
            if (_isCompleted) return;
            _isCompleted = true;
            pipe = _pipe;
            if (_state != State.Reading) Drop(); // A read of the socket that is under way gives them back when it is done.
        }
        pipe?.Reader.Complete();
    }

    /// <summary>Has the pump end, also if it waits for the app. The connection has its reason by now.</summary>
    public void Abort()
    {
        Pipe? pipe;
        lock (_lock) pipe = _pipe;
        pipe?.Writer.CancelPendingFlush();
    }

    /// <summary>Completes when no read of the socket is under way any more. Call it after the end of the connection.</summary>
    public Task WhenDone()
    {
        lock (_lock)
        {
            if (_state != State.Reading && !_isPumping) return Task.CompletedTask;
            _done ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _done.Task;
        }
    }

    // IReadSink: the socket's read, under its lock, while it is Reading.

    Memory<byte> IReadSink.GetBuffer()
    {
        if (Volatile.Read(ref _isCanceled)) return default;
        if (_last is { FreeLength: >= MinBuffer }) return _last.Free;
        _next = BufferSegment.Rent(_connection.MemoryPool, 0);
        return _next.Free;
    }

    void IReadSink.Advance(IoResult result)
    {
        if (result.IsSuccess && result.Value > 0)
        {
            Append(result.Value);
            return;
        }
        _next?.Return();
        _next = null;
        if (result == Errno.EAGAIN) return;

        _hasEnded = true;
        if (result.IsSuccess) _error = _connection.Reason;
    }

    void IReadSink.Done()
    {
        lock (_lock)
        {
            if (_state == State.Reading) _state = State.Taken;
            Settle();
        }

        // An app that awaits the read fetches the end at once, and that fires ConnectionClosed. Another app may fetch it late.
        if (_hasEnded && !Volatile.Read(ref _isAwaited)) _connection.FireConnectionClosed();
    }

    // IValueTaskSource: the app awaits the socket's read itself.

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token)
    {
        ValueTaskSourceStatus status = _op!.GetStatus(token);
        return status == ValueTaskSourceStatus.Succeeded && _error is not null ? ValueTaskSourceStatus.Faulted : status;
    }

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        bool isPosted = (flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0 && SynchronizationContext.Current is not null;
        Volatile.Write(ref _isAwaited, !isPosted);
        _op!.OnCompleted(continuation, state, token, flags);
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        int count = 0;
        ReadResult result = default;
        Exception? error = null;
        try
        {
            count = ((IValueTaskSource<int>)_op!).GetResult(token);
        }
        catch (Exception e) when (e is ObjectDisposedException or not InvalidOperationException) // The latter tells of a second await.
        {
            error = e;
        }
        error = error is null ? EndRead(count, out result) : EndRead(error);
        if (error is not null) ExceptionDispatchInfo.Throw(error);
        return result;
    }

    /// <summary>The poller has reported the peer's end, or has stopped.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        lock (_lock) _isLooking = false;

        // A late event of the slot's earlier descriptor may have run this too early.
        if (!HasHangup) _fd.WatchHangup(this);
        else GoAhead();
    }

    // The members from here on are called under the lock, unless they say otherwise.

    // Takes what needs no read of the socket: a cancellation, an error, the end, or bytes that the app has not examined.
    private bool TryTake(out ReadResult result)
    {
        ThrowIfCompleted();
        result = default;
        if (_isCanceled)
        {
            _isCanceled = false;
            result = Result(isCanceled: true);
            return true;
        }
        if (_state == State.Ended && _error is not null) ExceptionDispatchInfo.Throw(_error);
        if (_state != State.Ended && _isExamined) return false;
        result = Result(isCanceled: false);
        return true;
    }

    // Returns the pipe to read from; null means the socket.
    private Pipe? BeginRead()
    {
        if (_state is State.Reading or State.Taken)
        {
            throw new InvalidOperationException("read: the last read is not done; one read at a time was expected.");
        }
        if (_state == State.Idle) _state = State.Reading;
        return _pipe;
    }

    private ReadResult Result(bool isCanceled)
    {
        ReadOnlySequence<byte> buffer = _first is null ? default : new(_first, _firstIndex, _last!, _last!.Length);
        return new ReadResult(buffer, isCanceled, _hasPipeEnded || _state == State.Ended);
    }

    // Ends a read of the socket. Returns the error that the app sees, or null. Takes the lock.
    private Exception? EndRead(int count, out ReadResult result)
    {
        if (count > 0) _connection.NoteRead();
        else if (_hasEnded) _connection.ReceivedEnd();
        lock (_lock)
        {
            LeaveReading();
            bool isCanceled = count == 0 && !_hasEnded;
            if (isCanceled) _isCanceled = false;
            result = Result(isCanceled);
            return _error;
        }
    }

    // Ends a read of the socket that failed. Returns what the app sees. Takes the lock.
    private Exception EndRead(Exception error)
    {
        bool isCanceled = error is OperationCanceledException;
        if (!isCanceled) error = _connection.ReceiveFailed(error);
        lock (_lock)
        {
            if (!isCanceled)
            {
                _error = error;
                _hasEnded = true;
            }
            LeaveReading();
        }
        return error;
    }

    private void LeaveReading()
    {
        if (_state is State.Reading or State.Taken) _state = State.Idle;
        Settle();
    }

    // The socket's read is done. If the peer's end was reported meanwhile, the pool begins to read ahead.
    private void Settle()
    {
        if (_hasEnded) _state = State.Ended;
        if (_isCompleted) Drop();
        if (!_isPumping) _done?.TrySetResult();
        if (_isLooking || _state is not (State.Idle or State.Taken) || !HasHangup) return;
        _isLooking = true;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    // Begins the pump. While a read of the socket is under way it does not: that read has it begin when it is done. Takes the lock.
    private void GoAhead()
    {
        Pipe pipe;
        lock (_lock)
        {
            if (_state is not (State.Idle or State.Taken)) return;
            _state = State.Ahead;
            _pipe = pipe = new Pipe(_connection.InputOptions);
            _isPumping = true;
            if (_isCompleted) pipe.Reader.Complete();
        }
        _ = PumpAsync(pipe.Writer);
    }

    // Reads into the pipe, until the end or until the pipe's reader is done. Takes the lock.
    private async Task PumpAsync(PipeWriter into)
    {
        Conn conn = _connection.Conn;
        Exception? error = null;
        try
        {
            bool isOver = false;
            while (!isOver && await conn.WaitToReadAsync().ConfigureAwait(false))
            {
                int count = await conn.ReadAsync(into.GetMemory(MinBuffer)).ConfigureAwait(false);
                if (count == 0) break;
                into.Advance(count);
                ValueTask<FlushResult> flush = into.FlushAsync();
                bool pauses = !flush.IsCompleted;
                if (pauses && _connection.DebugLog is { } pause) TransportLog.ConnectionPause(pause, _connection.ConnectionId);
                FlushResult flushed = await flush.ConfigureAwait(false);
                isOver = flushed.IsCompleted || flushed.IsCanceled;
                if (pauses && _connection.DebugLog is { } resume) TransportLog.ConnectionResume(resume, _connection.ConnectionId);
            }
            if (!isOver && _connection.DebugLog is { } log) TransportLog.ConnectionReadFin(log, _connection.ConnectionId);
        }
#pragma warning disable CA1031 // The app's read throws it, whatever it is.
        catch (Exception e)
#pragma warning restore CA1031
        {
            error = _connection.Translate(e);
        }
        await into.CompleteAsync(_connection.Reason ?? error).ConfigureAwait(false);
        _connection.FireConnectionClosed();
        lock (_lock)
        {
            _isPumping = false;
            _done?.TrySetResult();
        }
    }

    private void Append(int count)
    {
        if (_next is { } next)
        {
            _next = null;
            if (_last is null) (_first, _firstIndex) = (next, 0);
            else _last.Append(next);
            _last = next;
        }
        _last!.Advance(count);
        _buffered += count;
        _isExamined = false;
    }

    // How many bytes of the list are before a position; below 0 if it is no position in the list.
    private long CountTo(SequencePosition position)
    {
        object? of = position.GetObject();
        BufferSegment? found = _last;
        if (of != found)
        {
            for (found = _first; found is not null && found != of;) found = found.Next;
        }
        int index = position.GetInteger();
        return found is null || index < 0 || index > found.Length ? -1 : found.RunningIndex + index - _first!.RunningIndex - _firstIndex;
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

    // Takes the lock.
    private async ValueTask<ReadResult> ReadFromPipeAsync(Pipe pipe, CancellationToken token)
    {
        while (true)
        {
            ReadResult read = await pipe.Reader.ReadAsync(token).ConfigureAwait(false);
            if (TryTakeFromPipe(pipe, read, out ReadResult result)) return result;
        }
    }

    // Moves bytes from the pipe behind those that the app has not consumed. Returns false for a cancellation that an earlier read has taken
    // already. Takes the lock.
    private bool TryTakeFromPipe(Pipe pipe, ReadResult read, out ReadResult result)
    {
        if (!read.Buffer.IsEmpty) _connection.NoteRead();
        bool isAll = read.Buffer.Length <= MaxTaken;
        ReadOnlySequence<byte> rest = isAll ? read.Buffer : read.Buffer.Slice(0, MaxTaken);
        try
        {
            lock (_lock)
            {
                ThrowIfCompleted();
                while (!rest.IsEmpty)
                {
                    if (_last is not { FreeLength: > 0 }) _next = BufferSegment.Rent(_connection.MemoryPool, 0);
                    Memory<byte> into = (_next ?? _last)!.Free;
                    ReadOnlySequence<byte> part = rest.Slice(0, Math.Min(into.Length, rest.Length));
                    part.CopyTo(into.Span);
                    Append((int)part.Length);
                    rest = rest.Slice(part.End);
                }
                bool isCanceled = read.IsCanceled && _isCanceled;
                if (isCanceled) _isCanceled = false;
                _hasPipeEnded |= isAll && read.IsCompleted;
                result = Result(isCanceled);
                return isCanceled || _hasPipeEnded || !_isExamined;
            }
        }
        finally
        {
            pipe.Reader.AdvanceTo(rest.Start); // It may run the pump.
        }
    }
}
