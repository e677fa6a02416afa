using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using Poller.Net;

namespace Poller.AspNetCore;

// The output of a connection. There is no pump: a flush sends, on the stack of its caller, all segments by one system call. If the socket's
// buffer is full, the poller sends the rest, and the flush is done when not much is left, as with a pipe. Large output goes in batches: the
// buffers of a batch go back as soon as it is sent, so a slow peer holds little memory.
//
// An app that flushes more than once for what it has read would pay a system call for each flush: HTTP/2 does so for its streams, and
// HTTP/1.1 for a body in chunks. So from the second flush on, and from the first where the last read had several, a flush is Deferred. What
// is flushed until somebody sends goes by one call: the app's flow when it reads next, or else the loop in its next turn; for an app on
// other threads than the loop's it is the pool.
//
//   from -> to            by
//   Quiet -> Sending      a flush, or the end of the writer, whose bytes the socket does not take at once
//   Quiet -> Deferred     a flush after the first
//   Deferred -> Sending   the app's next read, the loop or the pool
//   Sending -> Sending    what was flushed meanwhile goes next
//   Sending -> Quiet      all is sent
//   any -> Ended          the connection ends: what is flushed from here on is dropped
//
// While it is Quiet, only the app's flow touches the segments. Otherwise _isSending is set, and the connection's lock guards them.

/// <summary>Writes a connection. As with every <see cref="PipeWriter"/>, one flow at a time writes.</summary>
internal sealed class ConnWriter : PipeWriter, IValueTaskSource<FlushResult>, IThreadPoolWorkItem
{
    // The buffers of a batch go back when all of it is sent, and a flush that waits may be done then. With more, a slow peer would hold
    // more memory; with less, a fast one would cost more system calls.
    private const int MaxBatch = 256 * 1024;

    // Constant.
    private readonly PollerConnection _connection;
    private readonly NetFd _fd;
    private readonly long _pauseAt;

    // What is not sent yet: from _firstIndex of the first segment to the end of the last. The head of this file says what protects it.
    // _unflushed: how many bytes were written since the last flush. _isWriting: the app has asked for memory since then.
    private BufferSegment? _first;
    private BufferSegment? _last;
    private int _firstIndex;
    private long _unflushed;
    private bool _isWriting;

    // Guarded by the lock. _isSending is also read without it, and is cleared last.
    private bool _isSending;
    private bool _hasEnded;
    private bool _isCompleted;
    private Exception? _error;

    // Guarded by the lock; _isDeferred is also read without it. _isLoops: the loop is to send what is deferred, and not the pool.
    // _isScheduled: the flusher is in the loop's queue.
    private bool _isDeferred;
    private bool _isLoops;
    private bool _isScheduled;
    private Flusher? _flusher;

    // How often the app has flushed since its last read, and whether it flushed more than once between that read and the one before. The
    // reader writes them without the lock; a wrong value only costs a system call, or a hop.
    private int _flushes;
    private bool _flushesOften;

    // Guarded by the lock: how many flushed bytes are not sent, and where they end.
    private long _unsent;
    private BufferSegment? _flushedTo;
    private int _flushedIndex;

    // Guarded by the lock: the batch that is being sent.
    private BufferSegment? _batchTo;
    private int _batchIndex;
    private long _batchCount;
    private ValueTask _sending;
    private Action? _onSent;

    // Guarded by the lock: a flush that waits.
    private ManualResetValueTaskSourceCore<FlushResult> _flush;
    private CancellationTokenRegistration _registration;
    private bool _isFlushing;
    private bool _isCanceled;

    // Guarded by the lock: WhenSent waits.
    private TaskCompletionSource? _sent;

    public ConnWriter(PollerConnection connection, NetFd fd, long? pauseAt)
    {
        _connection = connection;
        _fd = fd;
        _pauseAt = pauseAt is > 0 and var limit ? limit : long.MaxValue;
    }

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _unflushed;

    private Lock Lock => _connection.Lock;

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        if (_isCompleted) throw new InvalidOperationException("write: the writer was completed before.");
        if (!Volatile.Read(ref _isSending)) return GetFree(sizeHint);
        lock (Lock) return GetFree(sizeHint);
    }

    public override void Advance(int bytes)
    {
        if (bytes == 0) return;
        if (_last is not { } last || bytes < 0 || bytes > last.FreeLength)
        {
            throw new ArgumentOutOfRangeException(nameof(bytes), bytes, "at most the length of the last GetMemory was expected.");
        }
        last.Advance(bytes);
        _unflushed += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<FlushResult>(cancellationToken);
        lock (Lock)
        {
            if (_isFlushing) throw new InvalidOperationException("flush: the last flush is not done; one at a time was expected.");
            Flush();
            if (_error is { } error) return ValueTask.FromException<FlushResult>(error);
            if (_isCanceled || _hasEnded || _unsent < _pauseAt)
            {
                FlushResult result = new(_isCanceled, _hasEnded);
                _isCanceled = false;
                return new ValueTask<FlushResult>(result);
            }
            _isFlushing = true;
            _flush.Reset();
            if (cancellationToken.CanBeCanceled)
            {
                _registration = cancellationToken.UnsafeRegister(static (writer, token) => ((ConnWriter)writer!).OnCanceled(token), this);

                // It was cancelled since the look above: then the callback has run, and found no registration yet.
                if (_registration == default && cancellationToken.IsCancellationRequested)
                {
                    _isFlushing = false;
                    return ValueTask.FromCanceled<FlushResult>(cancellationToken);
                }
            }
            return new ValueTask<FlushResult>(this, _flush.Version);
        }
    }

    public override void CancelPendingFlush()
    {
        lock (Lock)
        {
            if (_isFlushing) EndFlush(new FlushResult(isCanceled: true, isCompleted: false));
            else _isCanceled = true;
        }
    }

    public override void Complete(Exception? exception = null)
    {
        lock (Lock)
        {
            if (_isCompleted) return;
            _isCompleted = true;
            if (exception is not null) _connection.SendFailed(exception);
            Flush();
            if (_isSending) return;
            Drop();
            _connection.SentAll();
        }
    }

    /// <summary>The connection has ended: flushes are done from here on, and fail if there is an error.</summary>
    public void End(Exception? error)
    {
        lock (Lock)
        {
            if (_hasEnded) return;
            _hasEnded = true;
            _error = error;
            if (_isFlushing) EndFlush(new FlushResult(isCanceled: false, isCompleted: true), error);
        }
    }

    /// <summary>The app has read something, and will answer it.</summary>
    public void NoteRead()
    {
        _flushesOften = _flushes > 1;
        _flushes = 0;
    }

    /// <summary>The app is about to wait for more. Sends what the loop would send in its next turn.</summary>
    public void SendDeferred()
    {
        if (Volatile.Read(ref _isDeferred)) SendDeferred(isApp: true);
    }

    /// <summary>Completes when nothing is under way any more. Call it after the end.</summary>
    public Task WhenSent()
    {
        lock (Lock)
        {
            if (!_isSending) return Task.CompletedTask;
            _sent ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _sent.Task;
        }
    }

    FlushResult IValueTaskSource<FlushResult>.GetResult(short token) => _flush.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _flush.GetStatus(token);

    void IValueTaskSource<FlushResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _flush.OnCompleted(continuation, state, token, flags);

    private Memory<byte> GetFree(int sizeHint)
    {
        _isWriting = true;
        if (_last is { } last && last.FreeLength >= Math.Max(sizeHint, 1)) return last.Free;
        BufferSegment next = BufferSegment.Rent(_connection.MemoryPool, sizeHint);
        if (_last is null) (_first, _firstIndex) = (next, 0);
        else _last.Append(next);
        _last = next;
        return next.Free;
    }

    // Sends what was written since the last flush, or has the poller send it. The caller holds the lock.
    private void Flush()
    {
        if (_unflushed == 0) return;
        _isWriting = false;
        if (_hasEnded)
        {
            _unflushed = 0;
            if (!_isSending) Drop();
            return;
        }
        _unsent += _unflushed;
        _unflushed = 0;
        (_flushedTo, _flushedIndex) = (_last, _last!.Length);
        bool isOneOfSeveral = _flushes++ > 0 || _flushesOften;
        if (_isSending) return;
        if (isOneOfSeveral) Defer();
        else SendOn();
    }

    // Sends what is flushed, until the socket takes no more; OnSent then goes on. Under the lock. If it returns true, the caller has to
    // leave the lock and call Resume, which runs the app.
    private bool SendOn()
    {
        bool isPending = false;
        while (_unsent > 0 && !_hasEnded && !isPending)
        {
            ValueTask sending = Send();
            isPending = !sending.IsCompleted;
            if (isPending) Await(sending);
            else Sent(sending);
        }
        if (!isPending)
        {
            _unsent = 0;
            if (!_isWriting) Drop();
            if (_isCompleted) _connection.SentAll();
            _sent?.TrySetResult();
            Volatile.Write(ref _isSending, false);
        }
        if (!_isFlushing || _unsent > _pauseAt / 2) return false;
        _isFlushing = false;
        return true;
    }

    // Begins to send the next batch. Under the lock.
    private ValueTask Send()
    {
        BufferSegment first = _first!;
        (BufferSegment to, int index, long count) = (_flushedTo!, _flushedIndex, _unsent);
        if (count > MaxBatch)
        {
            (to, index, count) = (first, _firstIndex, 0);
            while (count + to.Length - index < MaxBatch) (to, index, count) = (to.Next!, 0, count + to.Length - index);
            index += (int)(MaxBatch - count);
            count = MaxBatch;
        }
        (_batchTo, _batchIndex, _batchCount) = (to, index, count);
        return first == to
            ? _fd.WriteAsync(first.Memory[_firstIndex..index], default)
            : _fd.WriteAsync(new Pieces(new ReadOnlySequence<byte>(first, _firstIndex, to, index)), default);
    }

    // Has the poller go on when the batch is sent. It never runs OnSent on this stack.
    private void Await(ValueTask sending)
    {
        _isSending = true;
        _sending = sending;
        sending.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_onSent ??= OnSent);
    }

    private void OnSent()
    {
        bool resumes;
        lock (Lock)
        {
            Sent(_sending);
            resumes = SendOn();
        }
        if (resumes) Resume();
    }

    // Ends a batch. Under the lock.
    private void Sent(ValueTask sending)
    {
        _sending = default;
        try
        {
            sending.GetAwaiter().GetResult();
        }
#pragma warning disable CA1031 // Whatever it is, it ends the connection.
        catch (Exception e)
#pragma warning restore CA1031
        {
            _connection.SendFailed(e);
        }
        while (_first != _batchTo) DropFirst();
        _firstIndex = _batchIndex;
        _unsent -= _batchCount;
    }

    // Under the lock.
    private void Defer()
    {
        _isSending = true;
        _isDeferred = true;
        _isLoops = _fd.IsOnItsLoop;
        if (!_isLoops)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
        else if (!_isScheduled)
        {
            _isScheduled = true;
            _fd.Schedule(_flusher ??= new Flusher(this));
        }
    }

    void IThreadPoolWorkItem.Execute() => SendDeferred(isApp: false);

    private void SendDeferred(bool isApp)
    {
        bool resumes;
        lock (Lock)
        {
            // To end a flush that waits would run the app's code inside the app's own read.
            if (!_isDeferred || (isApp && (!_isLoops || _isFlushing))) return;
            _isDeferred = false;
            resumes = SendOn();
        }
        if (resumes) Resume();
    }

    // Ends a flush that waited, on this thread of the poller.
    private void Resume()
    {
        _registration.Dispose();
        _registration = default;
        _flush.RunContinuationsAsynchronously = false;
        _flush.SetResult(new FlushResult(isCanceled: false, _hasEnded));
    }

    private void OnCanceled(CancellationToken token)
    {
        lock (Lock)
        {
            if (!_isFlushing || _registration.Token != token) return;
            _isFlushing = false;
            _flush.RunContinuationsAsynchronously = true;
            _flush.SetException(new OperationCanceledException(token));
        }
    }

    // Under the lock. The continuation runs on the pool, and not on the stack of an abort.
    private void EndFlush(FlushResult result, Exception? error = null)
    {
        _isFlushing = false;
        _registration.Unregister();
        _registration = default;
        _flush.RunContinuationsAsynchronously = true;
        if (error is null) _flush.SetResult(result);
        else _flush.SetException(error);
    }

    private void Drop()
    {
        while (_first is not null) DropFirst();
    }

    private void DropFirst()
    {
        BufferSegment first = _first!;
        _first = first.Next;
        if (_first is null) _last = null;
        first.Return();
        _firstIndex = 0;
    }

    /// <summary>Has the loop send what was deferred.</summary>
    private sealed class Flusher(ConnWriter writer) : PollWaiter
    {
        public override void Execute()
        {
            lock (writer.Lock) writer._isScheduled = false;
            writer.SendDeferred(isApp: false);
        }

        internal override bool TryWakeThread() => false;
    }
}
