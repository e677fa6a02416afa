using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of Go's internal/poll/fd_unix.go: the operations on a descriptor.
//
// Each one takes the lock of its side, prepares the side, tries the system call, and waits where that would block: EINTR again, EAGAIN
// wait, again. The lock holds a reference; Close sets the closed bit, ends the waits, and whoever drops the last reference unregisters
// and closes the descriptor. So a descriptor is closed once, and its number cannot be someone else's while a call uses it.
//
// After a short read of a stream the socket is drained: what comes next comes with an edge. The next read then neither forgets the edge
// that may have come since (it skips Reset) nor tries a read that would fail, but waits at once. Over a level-triggered poller that wait
// is safe in any case, as it is for what there is and not for what comes.
//
// A write does not Reset its side at all. Each edge of arriving bytes says "writable" too, so that the side is nearly always Ready:
// forgetting that for each write, and having the next edge set it again, costs two atomic operations a message. A write that does meet a
// full socket finds the old readiness, tries once more, and then waits.

/// <summary>An open descriptor in a poller. Safe from any thread: one operation a direction at a time, others queue.</summary>
internal abstract partial class PollFd : IDisposable
{
    private const int MaxChunk = 1 << 30;

    // Constant after Init.
    private protected readonly SocketNetwork _network;
    private readonly int _fd;
    private readonly bool _isStream;
    private PollLoop? _loop;
    private PollDesc? _desc;

    // Atomic.
    private FdMutex _mutex;
    private PollOp? _readOp;
    private PollOp? _writeOp;

    // Guarded by the read lock.
    private bool _drained;

    // Atomic.
    private bool _lingers;

    /// <summary>Takes over a descriptor that is non-blocking.</summary>
    protected PollFd(SocketNetwork network, nint fd, bool isStream)
    {
        _network = network;
        _fd = (int)fd;
        _isStream = isStream;
    }

    /// <summary>Closes a descriptor whose owner lost it.</summary>
    ~PollFd() => Close();

    protected ISocketApi Api => _network.Api;

    protected nint Fd => _fd;

    /// <summary>
    /// Whether close(2) may block, which it does for SO_LINGER even on a non-blocking socket: then the pool does it, and neither a loop
    /// nor the finalizer's thread.
    /// </summary>
    public bool Lingers { get => Volatile.Read(ref _lingers); set => Volatile.Write(ref _lingers, value); }

    /// <summary>An operation reads it before it queues, to tell "closed before the call" from "closed during it".</summary>
    public bool IsClosed => _mutex.IsClosed;

    private PollDesc Desc => _desc ?? throw NotInPoller();

    private PollLoop Loop => _loop ?? throw NotInPoller();

    /// <summary>What the backend threw that ended the descriptor's loop; else null.</summary>
    protected Exception? PollerFailure => _loop?.Failure;

    /// <summary>Registers the descriptor with a loop, for life. When that fails it is closed.</summary>
    public void Init(PollLoop loop)
    {
        try
        {
            _desc = loop.Open(Fd);
            _loop = loop;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Closes: no operation begins any more, those that wait end, and the last one out closes the descriptor.</summary>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        Close();
    }

    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken token)
    {
        PollOp? op = Begin(PollMode.Read, PollOpKind.Read, buffer, token, out IoResult result, out Exception? error, out FdWaiter? waiter);
        return op is not null ? new ValueTask<int>(op, op.Version)
            : error is not null ? FromError<int>(error, token)
            : waiter is not null ? RunQueuedAsync(waiter, PollMode.Read, PollOpKind.Read, buffer, token)
            : new ValueTask<int>(result.Value);
    }

    public ValueTask<bool> WaitToReadAsync(CancellationToken token)
    {
        PollOp? op = Begin(PollMode.Read, PollOpKind.WaitToRead, default, token, out IoResult result, out Exception? error, out FdWaiter? waiter);
        return op is not null ? new ValueTask<bool>(op, op.Version)
            : error is not null ? FromError<bool>(error, token)
            : waiter is not null ? Queued(waiter, token)
            : new ValueTask<bool>(result.Value != 0);

        async ValueTask<bool> Queued(FdWaiter waiter, CancellationToken token) =>
            await RunQueuedAsync(waiter, PollMode.Read, PollOpKind.WaitToRead, default, token).ConfigureAwait(false) != 0;
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken token)
    {
        // Only ever read from: one field of the operation serves both directions.
        Memory<byte> bytes = MemoryMarshal.AsMemory(buffer);
        PollOp? op = Begin(PollMode.Write, PollOpKind.Write, bytes, token, out _, out Exception? error, out FdWaiter? waiter);
        return op is not null ? new ValueTask(op, op.Version)
            : error is OperationCanceledException ? ValueTask.FromCanceled(token)
            : error is not null ? ValueTask.FromException(error)
            : waiter is not null ? new ValueTask(RunQueuedAsync(waiter, PollMode.Write, PollOpKind.Write, bytes, token).AsTask())
            : ValueTask.CompletedTask;
    }

    /// <summary>The blocking form of every kind of operation. Returns what it came to.</summary>
    public int RunBlocking(PollMode mode, PollOpKind kind, Span<byte> buffer)
    {
        bool closedBefore = IsClosed;
        if (!Lock(mode)) throw Failed(NameOf(kind), closedBefore ? IoResult.Disposed : IoResult.ClosedInQueue);
        try
        {
            int done = 0;
            IoResult result = Prepare(mode);
            if (result == 0) result = Attempt(kind, buffer, ref done);
            while (result == Errno.EAGAIN)
            {
                // Before the wait: a thread that is interrupted may take an edge with it, and the next read is to try.
                if (mode == PollMode.Read) _drained = false;
                result = WaitReady(mode);
                if (result == 0) result = Attempt(kind, buffer, ref done);
            }
            return result.IsSuccess ? result.Value : throw Failed(NameOf(kind), result);
        }
        finally
        {
            Unlock(mode);
        }
    }

    /// <summary>The blocking form of <see cref="WriteAsync"/>.</summary>
    public void Write(ReadOnlySpan<byte> buffer)
    {
        Span<byte> bytes = MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(buffer), buffer.Length); // Only ever read from.
        RunBlocking(PollMode.Write, PollOpKind.Write, bytes);
    }

    /// <summary>
    /// Waits until a side is ready. The caller holds a reference and is the side's only waiter. 0, or why the wait ended; a cancelled
    /// token throws.
    /// </summary>
    public ValueTask<IoResult> WaitReadyAsync(PollMode mode, CancellationToken token)
    {
        PollOp op = TakeOp(mode);
        op.Start(PollOpKind.WaitReady, default, 0, token);
        return new ValueTask<IoResult>(op, op.Version);
    }

    /// <summary>
    /// The blocking form of <see cref="WaitReadyAsync"/>. It is 0 too when the wait ended for a reason that is gone, as a deadline that was
    /// moved.
    /// </summary>
    public IoResult WaitReady(PollMode mode)
    {
        try
        {
            return ThreadWaiter.Wait(Loop, Desc, mode) ? 0 : Check(mode);
        }
        catch (NetpollException e)
        {
            return e.Error;
        }
    }

    /// <summary>
    /// Prepares an operation: starts its time-out, and forgets a reader's old readiness. The operation is to be tried next. 0, or why it
    /// cannot begin.
    /// </summary>
    public IoResult Prepare(PollMode mode)
    {
        StartTimeout(mode);
        return mode == PollMode.Write || _drained ? Desc.Check(mode) : Desc.Reset(mode);
    }

    /// <summary>Tries an operation whose lock is held. EAGAIN when it has to wait.</summary>
    public IoResult Attempt(PollOpKind kind, Span<byte> buffer, ref int done)
    {
        switch (kind)
        {
            case PollOpKind.Read: return Receive(buffer);
            case PollOpKind.WaitToRead: return Peek();
            case PollOpKind.Write: return Send(buffer, ref done);
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "an operation that makes a system call was expected.");
        }
    }

    /// <summary>Why nothing can wait in a side now, or 0.</summary>
    public IoResult Check(PollMode mode) => Desc.Check(mode);

    public PollPark Park(PollMode mode, PollOp op)
    {
        PollPark park = Loop.Park(Desc, mode, op);
        if (park == PollPark.Ready && mode == PollMode.Read) _drained = false;
        return park;
    }

    public bool Consume(PollMode mode)
    {
        bool ready = Desc.Consume(mode);
        if (ready && mode == PollMode.Read) _drained = false;
        return ready;
    }

    public void Report(string operation, Exception exception) => Loop.Report(operation, exception);

    /// <summary>Ends the wait of an operation that was cancelled.</summary>
    public void Cancel(PollMode mode) => Loop.Schedule(Desc.Cancel(mode));

    /// <summary>Takes the lock of a side. False when the descriptor is closed.</summary>
    public ValueTask<bool> LockAsync(PollMode mode, CancellationToken token) => _mutex.LockOrQueue(mode, out FdWaiter? waiter) switch
    {
        FdLock.Acquired => new ValueTask<bool>(true),
        FdLock.Closed => new ValueTask<bool>(false),
        _ => WaitForLockAsync(waiter!, mode, token),
    };

    /// <summary>Takes the lock of a side, blocking the thread. False when the descriptor is closed.</summary>
    public bool Lock(PollMode mode) => _mutex.LockOrQueue(mode, out FdWaiter? waiter) switch
    {
        FdLock.Acquired => true,
        FdLock.Closed => false,
        _ => WaitForLock(waiter!, mode),
    };

    public void Unlock(PollMode mode)
    {
        if (_mutex.Unlock(mode)) Destroy();
    }

    public void Return(PollMode mode, PollOp op) => Volatile.Write(ref OpOf(mode), op);

    /// <summary>
    /// The exception for an operation that came to <paramref name="result"/>. The
    /// operation holds a reference, unless the result says that it never got one.
    /// </summary>
    public abstract Exception Failed(string operation, IoResult result);

    public static string NameOf(PollOpKind kind) => kind switch
    {
        PollOpKind.Read => "read",
        PollOpKind.WaitToRead => "wait to read",
        PollOpKind.Write => "write",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "an operation that its caller knows by name was expected."),
    };

    /// <summary>Takes a reference for an operation without a lock. False when the descriptor is closed.</summary>
    protected bool Incref() => _mutex.Incref();

    /// <summary>False when it was closed before.</summary>
    protected virtual bool Close()
    {
        if (!_mutex.IncrefAndClose()) return false;
        try
        {
            if (_desc is not null) Loop.Evict(_desc);
        }
        finally
        {
            Decref();
        }
        return true;
    }

    protected void Decref()
    {
        if (_mutex.Decref()) Destroy();
    }

    private InvalidOperationException NotInPoller() => new($"fd {Fd} is not in a poller; Init was expected to be called first.");

    private static ValueTask<T> FromError<T>(Exception error, CancellationToken token) =>
        error is OperationCanceledException ? ValueTask.FromCanceled<T>(token) : ValueTask.FromException<T>(error);

    // One of these: an operation that waits, an error, a place in the queue, a result.
    private PollOp? Begin(
        PollMode mode, PollOpKind kind, Memory<byte> buffer, CancellationToken token,
        out IoResult result, out Exception? error, out FdWaiter? waiter)
    {
        error = null;
        waiter = null;
        result = 0;
        if (token.IsCancellationRequested)
        {
            error = new OperationCanceledException(token);
            return null;
        }
        switch (_mutex.LockOrQueue(mode, out waiter))
        {
            case FdLock.Acquired: return BeginLocked(mode, kind, buffer, token, out result, out error);
            case FdLock.Queued: return null;
            default: error = Failed(NameOf(kind), IoResult.Disposed); return null;
        }
    }

    private PollOp? BeginLocked(
        PollMode mode, PollOpKind kind, Memory<byte> buffer, CancellationToken token, out IoResult result, out Exception? error)
    {
        error = null;
        int done = 0;
        bool waits = false;
        try
        {
            result = Prepare(mode);
            if (result == 0) result = Attempt(kind, buffer.Span, ref done);
            waits = result == Errno.EAGAIN;
            if (!waits)
            {
                if (!result.IsSuccess) error = Failed(NameOf(kind), result);
                return null;
            }
        }
        finally
        {
            if (!waits) Unlock(mode);
        }
        PollOp op = TakeOp(mode);
        op.Start(kind, buffer, done, token);
        return op;
    }

    private async ValueTask<int> RunQueuedAsync(
        FdWaiter waiter, PollMode mode, PollOpKind kind, Memory<byte> buffer, CancellationToken token)
    {
        if (!await WaitForLockAsync(waiter, mode, token).ConfigureAwait(false)) throw Failed(NameOf(kind), IoResult.ClosedInQueue);
        PollOp? op = BeginLocked(mode, kind, buffer, token, out IoResult result, out Exception? error);
        return op is not null ? await new ValueTask<int>(op, op.Version).ConfigureAwait(false) : error is null ? result.Value : throw error;
    }

    private async ValueTask<bool> WaitForLockAsync(FdWaiter waiter, PollMode mode, CancellationToken token)
    {
        try
        {
            return await waiter.Task.WaitAsync(token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // One that has left the queue too late is told what it came to, and what it was handed is for the next.
            if (!_mutex.TryLeaveQueue(mode, waiter) && await waiter.Task.ConfigureAwait(false)) Unlock(mode);
            throw;
        }
    }

    private bool WaitForLock(FdWaiter waiter, PollMode mode)
    {
        try
        {
            // The one who holds the lock may wait for this very loop.
            LoopThreads.LoopOfThisThread?.HandOff();
            return waiter.Task.GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is InvalidOperationException or ThreadInterruptedException)
        {
            if (!_mutex.TryLeaveQueue(mode, waiter) && waiter.Task.GetAwaiter().GetResult()) Unlock(mode);
            throw;
        }
    }

    private IoResult Receive(Span<byte> buffer)
    {
        if (IsDrained()) return Errno.EAGAIN;
        if (buffer.IsEmpty) return Peek() is { IsSuccess: false } reason ? reason : 0;
        if (buffer.Length > MaxChunk) buffer = buffer[..MaxChunk];
        IoResult result;
        do
        {
            result = Api.Receive(Fd, buffer);
        }
        while (result == Errno.EINTR);
        _drained = _isStream && result.IsSuccess && result.Value > 0 && result.Value < buffer.Length;
        return result;
    }

    // 1 for bytes, 0 for the end.
    private IoResult Peek()
    {
        if (IsDrained()) return Errno.EAGAIN;
        Span<byte> one = stackalloc byte[1];
        IoResult result;
        do
        {
            result = Api.Peek(Fd, one);
        }
        while (result == Errno.EINTR);
        return result;
    }

    // A hang-up's edge comes once, and may have come with the bytes that the short read took.
    private bool IsDrained()
    {
        if (_drained && Desc.HangupSeen) _drained = false;
        return _drained;
    }

    private IoResult Send(ReadOnlySpan<byte> buffer, ref int done)
    {
        while (done < buffer.Length)
        {
            IoResult result = Api.Send(Fd, buffer.Slice(done, Math.Min(buffer.Length - done, MaxChunk)));
            if (result.IsSuccess) done += result.Value;
            else if (result != Errno.EINTR) return result;
        }
        return done;
    }

    // By the side's only waiter, so nobody else takes. One may come back meanwhile, from an awaiter that was late: then one of two is lost,
    // and no harm done.
    private PollOp TakeOp(PollMode mode)
    {
        ref PollOp? kept = ref OpOf(mode);
        PollOp? op = Volatile.Read(ref kept);
        if (op is null) return new PollOp(this, mode);
        Volatile.Write(ref kept, null);
        return op;
    }

    private ref PollOp? OpOf(PollMode mode) => ref mode == PollMode.Read ? ref _readOp : ref _writeOp;

    /// <summary>Frees the descriptor, once, when it is closed and nobody uses it any more.</summary>
    protected virtual void Destroy()
    {
        if (_desc is not null) Loop.Close(_desc);
        if (Lingers) ThreadPool.UnsafeQueueUserWorkItem(static fd => fd.CloseDescriptor(), this, preferLocal: false);
        else CloseDescriptor();
    }

    private void CloseDescriptor()
    {
        IoResult result = Api.Close(Fd);

        // close(2) frees the descriptor whatever it returns; EBADF says that someone else had closed it.
        if (result != Errno.EBADF) return;
        string operation = $"close fd {Fd}";
        _loop?.Report(operation, new NetpollException(operation, Errno.EBADF, "it was closed elsewhere"));
    }
}
