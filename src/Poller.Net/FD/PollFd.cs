using Poller.Abstractions;

namespace Poller.Net;

// The twin of Go's internal/poll/fd_unix.go: a descriptor, its life and its waits. Derived classes add the operations.
//
// An operation takes its direction's lock, prepares the side, and tries the system call. After EINTR it tries again; after EAGAIN it waits
// and then tries again. The blocking form does this in RunBlocking, the async form in PollOp. The lock holds a reference. Close sets the
// closed bit and ends the waits. Whoever drops the last reference unregisters and closes the descriptor. So a descriptor is closed once,
// and its number cannot belong to another while a call uses it.
//
// A write does not Reset its side. Each edge of arriving bytes also says "writable", so the side is nearly always Ready. If each write
// cleared that, and the next edge set it again, each message would cost two more atomic operations. A write that finds the socket full
// consumes the old readiness, tries once more, and then waits.

/// <summary>
/// An open descriptor in a poller. Safe from any thread: one operation runs at a time in each direction, and others queue.
/// </summary>
internal abstract partial class PollFd : IDisposable
{
    /// <summary>Tries a blocking operation once, under its direction's lock. EAGAIN means that it must wait.</summary>
    protected delegate IoResult Attempt<TState>(PollFd fd, ref TState state) where TState : allows ref struct;

    // Constant after Init.
    private readonly int _fd;
    private PollLoop? _loop;
    private PollDesc? _desc;

    // Atomic. Kept for the next operation that waits.
    private PollOp? _readOp;
    private PollOp? _writeOp;

    // Atomic.
    private FdMutex _mutex;

    // A socket's own: the first three are atomic, the last is guarded by the read lock. They are here because they fill a gap. In SocketFd
    // they would cost each connection 8 bytes.
    private protected bool _mayLinger;
    private protected SocketEnd _socketEnd;
    private volatile IdleState _idle;
    private protected DrainedFlag _drained;

    protected PollFd(nint fd) => _fd = (int)fd;

    /// <summary>Closes a descriptor that its owner dropped without Dispose.</summary>
    ~PollFd() => Close();

    protected nint Fd => _fd;

    public bool IsClosed => _mutex.IsClosed;

    /// <summary>What it is, for a report: <c>pipe fd 7</c>, or a network and the addresses that are known. Needs no system call.</summary>
    public abstract string Description { get; }

    /// <summary>
    /// Whether the end, an error or urgent data was reported. If so, a short read no longer means that the socket is drained.
    /// </summary>
    protected bool HangupSeen => Desc.HangupSeen;

    private PollDesc Desc => _desc ?? throw NotInPoller();

    internal PollLoop Loop => _loop ?? throw NotInPoller();

    /// <summary>The backend's exception that ended the descriptor's loop; null if none did.</summary>
    protected Exception? PollerFailure => _loop?.Failure;

    /// <summary>
    /// Registers the descriptor with a loop, for life: the next one, or <paramref name="wanted"/>. If the loop fails meanwhile, it takes
    /// the next one. If no loop takes the descriptor, the descriptor is closed.
    /// </summary>
    /// <exception cref="IOException">Every loop has failed.</exception>
    public void Init(Netpoller poller, PollLoop? wanted = null)
    {
        try
        {
            while (_loop is null)
            {
                PollLoop loop = wanted is { Failure: null } ? wanted : poller.NextLoop(); // It skips those that have failed, so this ends.
                try
                {
                    _desc = Enter(loop);
                    _loop = loop;
                }
#pragma warning disable CA1031 // A backend may throw anything.
                catch (Exception) when (loop.Failure is not null)
#pragma warning restore CA1031
                {
                    // The loop's failure was reported. Try the next loop.
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Closes: no new operation begins, and waiting ones end. The last operation to leave closes the descriptor.</summary>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        Close();
    }

    /// <summary>
    /// Call it before this thread blocks on an operation of this descriptor. With inline dispatch, a thread of the descriptor's own loop
    /// would wait for itself.
    /// </summary>
    /// <exception cref="InvalidOperationException">This is such a thread.</exception>
    public void BeforeBlocking(string operation)
    {
        if (LoopThreads.LoopOfThisThread is { } loop && loop == _loop && loop.Dispatch == NetpollDispatch.Inline)
        {
            throw WouldWaitForItself(operation);
        }
    }

    /// <summary>The error of a blocking call on a thread of the loop that it would wait for, with inline dispatch.</summary>
    public static InvalidOperationException WouldWaitForItself(string operation) =>
        new($"{operation}: a blocking call on the loop's thread would wait for itself; with inline dispatch, await the async form.");

    // PollOp, an operation that waits, calls these members. It holds its direction's lock unless a member says otherwise.

    /// <summary>Takes a direction's lock, or queues the operation for it. The caller holds no lock.</summary>
    public FdLock LockOrQueue(Direction direction, PollOp op) => _mutex.LockOrQueue(direction, op);

    /// <summary>Takes a direction's lock if it is free. The caller holds no lock.</summary>
    public FdLock TryLock(Direction direction) => _mutex.TryLock(direction);

    /// <summary>Gives back a direction's lock; the waiter that has queued longest gets it.</summary>
    public void Unlock(Direction direction)
    {
        bool isLast = _mutex.Unlock(direction, out PollWaiter? next);
        if (next is not null) Schedule(next);
        if (isLast) Destroy();
    }

    /// <summary>
    /// Prepares an operation: starts its time-out and, for a read, clears old readiness. The caller must try the operation next. Returns 0,
    /// or why the operation cannot begin.
    /// </summary>
    public IoResult Prepare(Direction direction)
    {
        StartTimeout(direction);
        bool keepsReadiness = direction == Direction.Write || _drained == DrainedFlag.Drained;
        return keepsReadiness ? Desc.CheckBegin(direction) : Desc.Reset(direction);
    }

    /// <summary>0, or why nothing can wait in a side now.</summary>
    public IoResult Check(Direction direction) => Desc.Check(direction);

    /// <summary>
    /// The side in which an operation waits after EAGAIN: its own, unless the operation pauses. Only a try changes it. A cancellation asks
    /// without the lock.
    /// </summary>
    public virtual Direction SideToWaitIn(Direction direction) => direction;

    /// <summary>Parks the operation in a side, which has no other waiter.</summary>
    public PollPark Park(Direction side, PollOp op)
    {
        PollPark park = Loop.Park(Desc, side, op, op.Arms);
        if (park == PollPark.Ready) Waited(side);
        return park;
    }

    /// <summary>Ends the wait of an operation that is runnable. True if the side was ready.</summary>
    public bool Consume(Direction side)
    {
        bool ready = Desc.Consume(side);
        if (ready)
        {
            Waited(side);
            NoteActivity();
        }
        return ready;
    }

    /// <summary>
    /// Makes a cancelled operation runnable, wherever it waits. Safe from any thread, and the caller holds no lock. An operation that does
    /// not wait yet will check for the cancellation itself. This may then wake another operation in the side, which finds no reason and
    /// waits again.
    /// </summary>
    public void Cancel(Direction direction, PollOp op)
    {
        if (_mutex.TryLeaveQueue(direction, op)) Schedule(op);
        else Loop.Schedule(Desc.Cancel(SideToWaitIn(direction)));
    }

    /// <summary>Makes a side ready that the backend does not report, unless the descriptor is closed. Safe from any thread.</summary>
    public void MakeReady(Direction side)
    {
        if (!Incref()) return;
        using Reference held = new(this);
        Loop.Schedule(Desc.MakeReady(side));
    }

    /// <summary>Has the loop run an operation, or wakes the thread that waits. Safe from any thread; the caller needs no lock.</summary>
    public void Schedule(PollWaiter waiter) => Loop.Schedule(waiter);

    /// <summary>Counts the error of an operation, for the metrics. A dial counts its own, because it may try several addresses.</summary>
    public void NoteError(Exception error)
    {
        if (error is NetOpException { IsClosed: false, Operation: not "dial" } e) Loop.Metrics.CountError(Loop, e);
    }

    public void Report(string operation, Exception exception) => Loop.Report(operation, exception);

    /// <summary>
    /// The exception for an operation that ended with <paramref name="result"/>. The operation holds a reference, unless the result says
    /// that it never got one.
    /// </summary>
    public abstract Exception Failed(string operation, IoResult result);

    /// <summary>
    /// As <see cref="Failed(string, IoResult)"/>, for an operation that holds a direction's lock. Such an operation may have timed out.
    /// </summary>
    public Exception Failed(string operation, IoResult result, Direction direction) =>
        result == IoResult.Timeout ? TimedOut(operation, PassedTimeout(direction)) : Failed(operation, result);

    /// <summary>
    /// Runs a blocking operation: tries it until the result is not EAGAIN, and waits before each further try. With
    /// <paramref name="waitFirst"/> the caller has already tried it, so it waits before the first try too. <paramref name="arms"/> is
    /// <see cref="IAttempt.Arms"/>. Returns the value.
    /// </summary>
    protected int RunBlocking<TState>(
        Direction direction, string operation, ref TState state, Attempt<TState> attempt, bool waitFirst = false, bool arms = true)
        where TState : allows ref struct
    {
        BeforeBlocking(operation);
        Lock(direction, operation);
        try
        {
            IoResult result = waitFirst ? Check(direction) : Prepare(direction);
            if (result.IsSuccess) result = waitFirst ? Errno.EAGAIN : attempt(this, ref state);
            while (result == Errno.EAGAIN)
            {
                result = WaitReady(direction, arms);
                if (!result.IsSuccess) break;
                NoteActivity();
                result = attempt(this, ref state);
            }
            if (!result.IsSuccess) throw Failed(operation, result, direction);
            NoteActivity();
            return result.Value;
        }
        catch (NetOpException e)
        {
            NoteError(e);
            throw;
        }
        finally
        {
            Unlock(direction);
        }
    }

    /// <summary>Starts what has an async form alone, and blocks until it is done.</summary>
    protected T WaitFor<T>(string operation, Func<Task<T>> start)
    {
        BeforeBlocking(operation);
        Task<T> task = start();
        if (!task.IsCompleted) LoopThreads.LoopOfThisThread?.HandOff();
        return task.GetAwaiter().GetResult();
    }

    /// <summary>
    /// Has a write that waits try again, where the system has news for it and raises no event. The caller holds a reference.
    /// </summary>
    protected void WakeWriter()
    {
        Desc.Notify(new PollEvent(Desc.Token, PollReadiness.Writable), out _, out PollWaiter? writer, out _);
        Loop.Schedule(writer);
    }

    /// <summary>Whether <see cref="NoteBytes"/> counts anything.</summary>
    protected bool CountsBytes => Loop.Metrics.CountsBytes;

    /// <summary>Counts bytes that a read received or a write sent, for the metrics.</summary>
    protected void NoteBytes(Direction direction, IoResult result)
    {
        if (result.IsSuccess && result.Value > 0) Loop.NoteBytes(direction, result.Value);
    }

    /// <summary>Keeps the descriptor open for an operation without a lock, until what this returns is disposed.</summary>
    /// <exception cref="ObjectDisposedException">The descriptor is closed.</exception>
    protected Reference Hold(string operation) => Incref() ? new Reference(this) : throw Failed(operation, IoResult.Disposed);

    /// <summary>Takes a reference for an operation without a lock. False if the descriptor is closed.</summary>
    protected bool Incref() => _mutex.Incref();

    protected void Decref()
    {
        if (_mutex.Decref()) Destroy();
    }

    /// <summary>What <see cref="Hold"/> holds.</summary>
    protected readonly ref struct Reference(PollFd fd)
    {
        public void Dispose() => fd.Decref();
    }

    /// <summary>Closes the descriptor. False if it was already closed.</summary>
    protected virtual bool Close()
    {
        if (!_mutex.IncrefAndClose(out PollWaiter? sentOff)) return false;
        try
        {
            while (PollWaiter.TryPop(ref sentOff, out PollWaiter? waiter)) Schedule(waiter);
            if (_desc is not null) Loop.Evict(_desc);
        }
        finally
        {
            Decref();
        }
        return true;
    }

    /// <summary>Frees the descriptor, once, when it is closed and nobody uses it any more.</summary>
    protected virtual void Destroy()
    {
        if (_desc is not null) Leave(Loop, _desc);
        CloseDescriptor(_loop);
    }

    /// <summary>Puts the descriptor into a loop.</summary>
    protected virtual PollDesc Enter(PollLoop loop) => loop.Open(Fd);

    /// <summary>Takes the descriptor out of its loop, when nobody uses it any more.</summary>
    protected virtual void Leave(PollLoop loop, PollDesc desc) => loop.Close(desc);

    /// <summary>
    /// Closes the descriptor, or gives it back. It is in no loop any more. <paramref name="loop"/> is the one it was in; null if none.
    /// </summary>
    protected abstract void CloseDescriptor(PollLoop? loop);

    private InvalidOperationException NotInPoller() => new($"fd {Fd} is not in a poller; call Init first.");

    // Takes a direction's lock, and blocks the thread until it has it.
    private void Lock(Direction direction, string operation)
    {
        FdLock found = _mutex.TryLock(direction);
        if (found == FdLock.Busy)
        {
            // The operation that holds the lock may need this thread's loop to continue.
            LoopThreads.LoopOfThisThread?.HandOff();
            ThreadWaiter waiter = ThreadWaiter.OfThisThread;
            if (_mutex.LockOrQueue(direction, waiter) == FdLock.Queued) WaitForLock(direction, waiter, operation);
            found = waiter.LockState;
        }
        if (found != FdLock.Acquired) throw Failed(operation, IoResult.Disposed);
    }

    private void WaitForLock(Direction direction, ThreadWaiter waiter, string operation)
    {
        // A thread that is interrupted leaves the queue. If another thread has already taken the waiter out, it is about to wake this
        // thread: sleep until then.
        ThreadInterruptedException? interrupted = null;
        while (waiter.Sleep() is { } e)
        {
            interrupted = e;
            if (_mutex.TryLeaveQueue(direction, waiter)) break;
        }
        if (interrupted is not null)
        {
            if (waiter.LockState == FdLock.Acquired) Unlock(direction);
            throw interrupted;
        }
        if (waiter.LockState == FdLock.Closed) throw Failed(operation, IoResult.ClosedInQueue);
    }

    // Notes that an operation has waited in a side, or is about to block in it.
    private void Waited(Direction side)
    {
        if (side == Direction.Read) _drained.Waited();
    }

    // Returns 0, or why the operation must not continue. It also returns 0 if the reason has gone meanwhile, such as a deadline that was
    // moved.
    private IoResult WaitReady(Direction direction, bool arms)
    {
        Direction side = SideToWaitIn(direction);
        Waited(side); // Note it before the wait, because a thread that is interrupted may take an edge with it.
        try
        {
            return ThreadWaiter.Wait(Loop, Desc, side, arms) ? 0 : Check(direction);
        }
        catch (NetpollException e)
        {
            return e.Error;
        }
    }
}
