using Poller.Abstractions;

namespace Poller.Net;

// The twin of Go's internal/poll/fd_unix.go: a descriptor, its life and its waits. What is done with it is its children's.
//
// Each operation takes the lock of its side, prepares the side, tries the system call, and waits where that would block: EINTR again,
// EAGAIN wait, again. A blocking one does so in RunBlocking, one that awaits in PollOp. The lock holds a reference; Close sets the closed bit,
// ends the waits, and whoever drops the last reference unregisters and closes the descriptor. So a descriptor is closed once, and its number
// cannot be someone else's while a call uses it.
//
// A write does not Reset its side at all. Each edge of arriving bytes says "writable" too, so that the side is nearly always Ready:
// forgetting that for each write, and having the next edge set it again, costs two atomic operations a message. A write that does meet a
// full socket finds the old readiness, tries once more, and then waits.

/// <summary>An open descriptor in a poller. Safe from any thread: one operation a direction at a time, others queue.</summary>
internal abstract partial class PollFd : IDisposable
{
    /// <summary>One try of a blocking operation, under the lock of its side: EAGAIN when it has to wait.</summary>
    protected delegate IoResult Attempt<TState>(PollFd fd, ref TState state) where TState : allows ref struct;

    // Constant after Init.
    private protected readonly SocketNetwork _network;
    private readonly int _fd;
    private PollLoop? _loop;
    private PollDesc? _desc;

    // Atomic.
    private FdMutex _mutex;
    private int _linger;

    /// <summary>Takes over a descriptor that is non-blocking.</summary>
    protected PollFd(SocketNetwork network, nint fd)
    {
        _network = network;
        _fd = (int)fd;
    }

    /// <summary>Closes a descriptor whose owner lost it.</summary>
    ~PollFd() => Close();

    protected ISocketApi Api => _network.Api;

    protected nint Fd => _fd;

    /// <summary>For how many seconds SO_LINGER would have close(2) block: above 0 it is closed by <see cref="LingeringClose"/>.</summary>
    public int Linger { get => Volatile.Read(ref _linger); set => Volatile.Write(ref _linger, value); }

    public bool IsClosed => _mutex.IsClosed;

    /// <summary>Whether an end, an error or urgent data was reported: a short read no longer means that the socket is drained.</summary>
    protected bool HangupSeen => Desc.HangupSeen;

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

    /// <summary>
    /// Before this thread waits for an operation of this descriptor. With inline dispatch a thread of its own loop would wait for itself.
    /// </summary>
    /// <exception cref="InvalidOperationException">It is such a thread.</exception>
    public void BeforeBlocking(string operation)
    {
        if (LoopThreads.LoopOfThisThread is { } loop && loop == _loop && loop.Dispatch == NetpollDispatch.Inline)
        {
            throw new InvalidOperationException(
                $"{operation}: a blocking call on the loop's own thread would wait for itself: with inline dispatch, await the call's async form.");
        }
    }

    // What PollOp, an operation that waits, asks of its descriptor. It holds the lock of its side, unless a member says otherwise.

    /// <summary>Takes the lock of a side, or queues the operation for it. For a caller that holds nothing.</summary>
    public FdLock LockOrQueue(Direction direction, PollOp op) => _mutex.LockOrQueue(direction, op);

    /// <summary>Takes the lock of a side where it is free. For a caller that holds nothing.</summary>
    public FdLock TryLock(Direction direction) => _mutex.TryLock(direction);

    /// <summary>Gives the lock of a side back, to the one who queues longest.</summary>
    public void Unlock(Direction direction)
    {
        bool isLast = _mutex.Unlock(direction, out PollWaiter? next);
        if (next is not null) Schedule(next);
        if (isLast) Destroy();
    }

    /// <summary>
    /// Prepares an operation: starts its time-out, and forgets a reader's old readiness. The operation is to be tried next. 0, or why it
    /// cannot begin.
    /// </summary>
    public IoResult Prepare(Direction direction)
    {
        StartTimeout(direction.ToMode());
        return SkipsReset(direction) ? Desc.Check(direction) : Desc.Reset(direction);
    }

    /// <summary>0, or why nothing can wait in a side now.</summary>
    public IoResult Check(Direction direction) => Desc.Check(direction);

    /// <summary>The side that an operation waits in after a try that said EAGAIN: its own, unless it pauses.</summary>
    public virtual Direction SideToWaitIn(Direction direction) => direction;

    /// <summary>Parks the operation in a side. The caller is its only waiter.</summary>
    public PollPark Park(Direction side, PollOp op)
    {
        PollPark park = Loop.Park(Desc, side, op);
        if (park == PollPark.Ready) Waited(side);
        return park;
    }

    /// <summary>Ends the wait of an operation that was made runnable in a side: true when by readiness.</summary>
    public bool Consume(Direction side)
    {
        bool ready = Desc.Consume(side);
        if (ready) Waited(side);
        return ready;
    }

    /// <summary>
    /// Makes an operation runnable that was cancelled, wherever it waits. From any thread. One that waits nowhere has yet to look; then it may
    /// be that another operation is woken in the side, which finds no reason to and waits on.
    /// </summary>
    public void Cancel(Direction direction, PollOp op)
    {
        if (_mutex.TryLeaveQueue(direction, op)) Schedule(op);
        else Loop.Schedule(Desc.Cancel(op.WaitsIn));
    }

    /// <summary>Has the loop run an operation, or wakes the thread that waits. From any thread.</summary>
    public void Schedule(PollWaiter waiter) => Loop.Schedule(waiter);

    /// <summary>Keeps an operation that is done, for the next one.</summary>
    public abstract void Return(PollOp op);

    public void Report(string operation, Exception exception) => Loop.Report(operation, exception);

    /// <summary>
    /// The exception for an operation that came to <paramref name="result"/>. The operation holds a reference, unless the result says that it
    /// never got one.
    /// </summary>
    public abstract Exception Failed(string operation, IoResult result);

    /// <summary>
    /// A blocking operation: tries until it has not to wait. <paramref name="waitFirst"/>: it has been tried already. Returns what it came to.
    /// </summary>
    protected int RunBlocking<TState>(
        Direction direction, string operation, ref TState state, Attempt<TState> attempt, bool waitFirst = false)
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
                result = WaitReady(direction);
                if (result.IsSuccess) result = attempt(this, ref state);
            }
            return result.IsSuccess ? result.Value : throw Failed(operation, result);
        }
        finally
        {
            Unlock(direction);
        }
    }

    /// <summary>Whether readiness that earlier operations left is to be kept.</summary>
    protected virtual bool SkipsReset(Direction direction) => direction == Direction.Write;

    /// <summary>An operation has waited in a side, or is about to block in it.</summary>
    protected virtual void Waited(Direction direction) { }

    /// <summary>Takes a reference for an operation without a lock. False when the descriptor is closed.</summary>
    protected bool Incref() => _mutex.Incref();

    protected void Decref()
    {
        if (_mutex.Decref()) Destroy();
    }

    /// <summary>False when it was closed before.</summary>
    protected virtual bool Close()
    {
        if (!_mutex.IncrefAndClose(out PollWaiter? sentOff)) return false;
        try
        {
            while (sentOff is not null)
            {
                PollWaiter? next = sentOff.Next;
                sentOff.Next = null; // Before it runs: it may queue again at once.
                Schedule(sentOff);
                sentOff = next;
            }
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
        if (_desc is not null) Loop.Close(_desc);
        if (Linger > 0 && _loop is not null) LingeringClose.Begin(Api, _loop, Fd, Linger);
        else CloseDescriptor(Api, _loop, Fd);
    }

    private InvalidOperationException NotInPoller() => new($"fd {Fd} is not in a poller; Init was expected to be called first.");

    // Takes the lock of a side, blocking the thread.
    private void Lock(Direction direction, string operation)
    {
        FdLock found = _mutex.TryLock(direction);
        if (found == FdLock.Busy)
        {
            // The one who holds the lock may wait for this very loop.
            LoopThreads.LoopOfThisThread?.HandOff();
            ThreadWaiter waiter = ThreadWaiter.OfThisThread;
            if (_mutex.LockOrQueue(direction, waiter) == FdLock.Queued) WaitForLock(direction, waiter, operation);
            found = waiter.Lock;
        }
        if (found != FdLock.Acquired) throw Failed(operation, IoResult.Disposed);
    }

    private void WaitForLock(Direction direction, ThreadWaiter waiter, string operation)
    {
        // One that is interrupted leaves the queue; unless somebody took it out already, and is about to wake this thread.
        ThreadInterruptedException? interrupted = null;
        while (waiter.Sleep() is { } e)
        {
            interrupted = e;
            if (_mutex.TryLeaveQueue(direction, waiter)) break;
        }
        if (interrupted is not null)
        {
            if (waiter.Lock == FdLock.Acquired) Unlock(direction);
            throw interrupted;
        }
        if (waiter.Lock == FdLock.Closed) throw Failed(operation, IoResult.ClosedInQueue);
    }

    // 0, also when the wait ended for a reason that is gone, as a deadline that was moved; or why the operation is not to go on.
    private IoResult WaitReady(Direction direction)
    {
        Direction side = SideToWaitIn(direction);
        Waited(side); // Before the wait: a thread that is interrupted may take an edge with it.
        try
        {
            return ThreadWaiter.Wait(Loop, Desc, side) ? 0 : Check(direction);
        }
        catch (NetpollException e)
        {
            return e.Error;
        }
    }

    /// <summary>Closes a descriptor that is in no poller, and reports when it was not open.</summary>
    internal static void CloseDescriptor(ISocketApi api, PollLoop? loop, nint fd)
    {
        IoResult result = api.Close(fd);

        // close(2) frees the descriptor whatever it returns; EBADF says that someone else had closed it.
        if (result != Errno.EBADF) return;
        string operation = $"close fd {fd}";
        loop?.Report(operation, new NetpollException(operation, Errno.EBADF, "it was closed elsewhere"));
    }
}
