using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of gopark in netpollblock of Go's runtime/netpoll.go, for code that awaits: an operation that could not complete at once. It is
// both the waiter, first in a queue of FdMutex and then in a side of the PollDesc, and the source of the ValueTask. A descriptor keeps one
// for the next time, so waiting allocates nothing.
//
// An operation begins on its caller's stack. After a wait it continues only in Execute, which a loop or the pool calls. Where it is, what
// it holds, and what makes it runnable:
//
//   queued   waits for its direction's lock   Unlock (the operation now has the lock), IncrefAndClose, or a cancellation that takes it out
//   yielded  holds the lock                   its caller, at once: the caller's turn has used up its budget
//   parked   holds the lock                   readiness, a deadline, a close or a cancellation
//   late     is done, holds nothing           the awaiter, which came after the operation was done
//
// The awaiter and the thread that completes the operation meet in one word:
//
//   null -> continuation   the awaiter came first. The completing thread, which is in Execute, runs the continuation.
//   null -> Done           the operation is done. An awaiter that asks now sees that.
//   Done -> continuation   the awaiter asked before the operation was done, and attaches afterwards. The loop runs it, through Execute.
//
// _completed is set before the word is read, but counts only once the word is not null. So an awaiter that asks learns of the end last:
// after that, the completing thread no longer touches the operation, which may already be in use again. A continuation never runs on the
// stack of a close, a cancellation, a deadline, a write or its own awaiter. It runs on the pool only in thread-pool dispatch, in the
// overflow of a loop, and after the loop has stopped.
//
// The order at the end protects the next operation. First the token's registration is disposed, which waits for a callback that runs. Then
// the lock is given back. Only then does the awaiter continue.

/// <summary>
/// An async operation of a <see cref="PollFd"/>. It is reused. Whoever made it runnable, or holds its direction's lock for it, owns it;
/// once it is done, its awaiter does.
/// </summary>
internal abstract class PollOp(PollFd fd, Direction direction) : PollWaiter, IValueTaskSource
{
    /// <summary>What Execute must do.</summary>
    private enum Step : byte
    {
        /// <summary>Begin; LockState says whether the operation has the lock.</summary>
        Begin,

        /// <summary>Continue after a wait in a side.</summary>
        Resume,

        /// <summary>End with the error that it already has.</summary>
        Fail,

        /// <summary>Run the awaiter that came late.</summary>
        Continue,
    }

    private static readonly Action<object?> Done =
        static _ => throw new InvalidOperationException("the mark of an operation that is done was run as a continuation.");

    // Atomic.
    private Action<object?>? _continuation;
    private bool _completed;

    // The awaiter writes them before it attaches. The context is what it captured: an ExecutionContext to run in, a SynchronizationContext
    // or TaskScheduler to post to, or a pair of both kinds.
    private object? _continuationState;
    private object? _continuationContext;

    // The operation sets it before it completes, and the awaiter reads it afterwards: an exception, or what the operation made.
    private object? _outcome;

    // Changes with each use, so that a ValueTask of an earlier use is refused.
    private short _version;

    // Set for each wait, before another thread may run the operation.
    private Step _step;
    private CancellationTokenRegistration _registration;

    // Set and read as _outcome is. It is declared last, because the runtime places structs in the order of their declaration: the small
    // fields of derived classes then fill the gap behind it.
    private IoResult _result;

    /// <summary>The direction that it works in, and whose lock it takes.</summary>
    public Direction Direction { get; } = direction;

    public short Version => _version;

    /// <summary>Whether it waits for what the backend reports; if not, something else ends its wait.</summary>
    public virtual bool Arms => true;

    protected PollFd Fd { get; } = fd;

    /// <summary>The operation's name in an error, such as <c>read</c>.</summary>
    protected abstract string Name { get; }

    // Pairs with the exchange in Complete.
    private bool IsDone => Volatile.Read(ref _continuation) is not null && Volatile.Read(ref _completed);

    /// <summary>Begins an operation that has no lock yet. It may be done when this returns.</summary>
    public void Start(CancellationToken token)
    {
        _step = Step.Begin;
        LockState = FdLock.Left;
        if (token.IsCancellationRequested)
        {
            Fail(new OperationCanceledException(token));
            return;
        }
        if (!TryRegister(token)) return;
        switch (Fd.LockOrQueue(Direction, this))
        {
            case FdLock.Acquired when TurnBudget.IsSpent:
                Fd.Schedule(this);
                break;
            case FdLock.Acquired:
                Begin();
                TurnBudget.Spend();
                break;
            case FdLock.Queued:
                // A cancellation that came before the operation was in the queue did not find it there.
                if (IsCanceled) Fd.Cancel(Direction, this);
                break;
            default:
                Fail(Fd.Failed(Name, IoResult.Disposed, Direction));
                break;
        }
    }

    /// <summary>Has the loop begin an operation that holds its direction's lock, because the turn has used up its budget.</summary>
    public void StartLater(CancellationToken token)
    {
        _step = Step.Begin;
        LockState = FdLock.Acquired;
        if (TryRegister(token)) Fd.Schedule(this);
    }

    /// <summary>Begins an operation that holds its direction's lock and must wait before its first or next try.</summary>
    public void StartWaiting(CancellationToken token)
    {
        LockState = FdLock.Acquired;
        if (TryRegister(token)) Advance(parkFirst: true);
    }

    /// <summary>Has the loop end an operation that cannot begin and holds no lock, because the turn has used up its budget.</summary>
    public void FailLater(Exception error)
    {
        _step = Step.Fail;
        LockState = FdLock.Left;
        _outcome = error;
        Fd.Schedule(this);
    }

    public override void Execute()
    {
        try
        {
            switch (_step)
            {
                case Step.Begin when LockState == FdLock.Closed: Complete(IoResult.ClosedInQueue); break;
                case Step.Begin when IsCanceled: Complete(IoResult.Canceled); break;
                case Step.Begin: Begin(); break;
                case Step.Resume: Resume(); break;
                case Step.Fail: Complete(0, (Exception)_outcome!); break;
                default: Continue(); break;
            }
        }
#pragma warning disable CA1031 // Whatever a continuation throws, the loop's other connections and the pool's thread must go on.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Fd.Report("continuation", e);
        }
    }

    internal override bool TryWakeThread() => false;

    public ValueTaskSourceStatus GetStatus(short token)
    {
        Validate(token);
        return !IsDone ? ValueTaskSourceStatus.Pending
            : _outcome is not Exception ? ValueTaskSourceStatus.Succeeded
            : _outcome is OperationCanceledException ? ValueTaskSourceStatus.Canceled
            : ValueTaskSourceStatus.Faulted;
    }

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        Validate(token);
        if (Volatile.Read(ref _continuation) is { } before && before != Done) throw AwaitedTwice();
        _continuationContext = CaptureContext(flags);
        _continuationState = state;
        Action<object?>? found = Interlocked.CompareExchange(ref _continuation, continuation, null);
        if (found is null) return;
        if (found != Done) throw AwaitedTwice();
        _continuation = continuation;
        _step = Step.Continue;
        Fd.Schedule(this);
    }

    void IValueTaskSource.GetResult(short token) => TakeResult(token, out _);

    /// <summary>
    /// Returns the result to the awaiter; <paramref name="made"/> is the object that <see cref="Try"/> made. The operation may then be
    /// reused.
    /// </summary>
    protected IoResult TakeResult(short token, out object? made)
    {
        CheckDone(token);
        IoResult result = _result;
        made = _outcome;
        _outcome = _continuation = null;
        _continuationState = _continuationContext = null;
        _completed = false;
        _version++;
        Fd.Return(this);
        if (made is Exception error) ExceptionDispatchInfo.Throw(error);
        return result;
    }

    /// <summary>Throws unless the operation is done and its result was not taken yet.</summary>
    protected void CheckDone(short token)
    {
        Validate(token);
        if (!IsDone) throw new InvalidOperationException("the operation is not done, so it has no result yet; await it.");
    }

    /// <summary>Tries once, under the direction's lock. EAGAIN means that it must wait. An exception is the operation's error.</summary>
    protected abstract IoResult Try(ref object? made);

    /// <summary>
    /// Drops what the operation was given, once it is over and holds nothing of the descriptor. Its awaiter continues later.
    /// </summary>
    protected virtual void Release() { }

    private bool TryRegister(CancellationToken token)
    {
        if (!token.CanBeCanceled) return true;
        _registration = token.UnsafeRegister(static op => ((PollOp)op!).OnCanceled(), this);
        if (_registration != default || !IsCanceled) return true;

        // The token was already cancelled, and the callback has run. The empty registration does not hold the token, so we pass it here.
        Complete(IoResult.Canceled, new OperationCanceledException(token));
        return false;
    }

    // Ends an operation that cannot begin, and holds no lock.
    private void Fail(Exception error)
    {
        if (TurnBudget.IsSpent) FailLater(error);
        else
        {
            Complete(0, error);
            TurnBudget.Spend();
        }
    }

    private void OnCanceled()
    {
        SetCanceled(true);
        Fd.Cancel(Direction, this);
    }

    private void Begin()
    {
        IoResult ready;
        try
        {
            ready = Fd.Prepare(Direction);
        }
#pragma warning disable CA1031 // If the clock throws, that is the operation's error.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Complete(0, e);
            return;
        }
        if (ready.IsSuccess) Advance(parkFirst: false);
        else Complete(ready);
    }

    private void Resume()
    {
        Direction side = Fd.SideToWaitIn(Direction); // Only a try changes it, so the operation has waited there.
        if (Fd.Consume(side)) Advance(parkFirst: false);
        else if (WaitError() is { IsSuccess: false } reason) Complete(reason);
        else Advance(parkFirst: side == Direction); // Its deadline was moved: wait again. Or a pause is over: try.
    }

    private void Advance(bool parkFirst)
    {
        while (true)
        {
            if (!parkFirst)
            {
                IoResult result;
                try
                {
                    result = Try(ref _outcome);
                }
#pragma warning disable CA1031 // If the buffer's owner throws (MemoryManager.GetSpan), that is the operation's error.
                catch (Exception e)
#pragma warning restore CA1031
                {
                    Complete(0, e);
                    return;
                }
                if (result != Errno.EAGAIN)
                {
                    Complete(result);
                    return;
                }
            }
            Direction side = Fd.SideToWaitIn(Direction);
            _step = Step.Resume;
            PollPark park;
            try
            {
                park = Fd.Park(side, this);
            }
            catch (NetpollException e)
            {
                Complete(e.Error);
                return;
            }
            catch (IOException e)
            {
                Complete(0, e); // The backend threw an exception of its own.
                return;
            }
            switch (park)
            {
                case PollPark.Parked:
                    return; // The operation may already run on another thread.
                case PollPark.Ready:
                    parkFirst = false;
                    break;
                default:
                    IoResult reason = WaitError();
                    if (!reason.IsSuccess)
                    {
                        Complete(reason);
                        return;
                    }
                    parkFirst = side == Direction;
                    break;
            }
        }
    }

    private IoResult WaitError() => IsCanceled ? IoResult.Canceled : Fd.Check(Direction);

    private void Complete(IoResult result, Exception? error = null)
    {
        CancellationToken token = _registration.Token;
        _registration.Dispose();
        _registration = default;
        if (IsCanceled) SetCanceled(false);

        // Under the lock: the exception names addresses, which a closed descriptor no longer has.
        if (error is null && !result.IsSuccess)
        {
            error = result == IoResult.Canceled ? new OperationCanceledException(token) : Fd.Failed(Name, result, Direction);
        }
        if (error is null) Fd.NoteActivity();
        else _outcome = error;
        _result = result;
        if (LockState == FdLock.Acquired) Fd.Unlock(Direction);
        if (error is not null) Fd.NoteError(error);
        Release();

        Volatile.Write(ref _completed, true);
        Action<object?>? continuation =
            Volatile.Read(ref _continuation) ?? Interlocked.CompareExchange(ref _continuation, Done, null);
        if (continuation is not null) Continue();
    }

    private void Continue()
    {
        switch (_continuationContext)
        {
            case null: RunContinuation(this); break;
            case ExecutionContext flow: ExecutionContext.Run(flow, RunContinuation, this); break;
            case Tuple<ExecutionContext, object> both: Post(both.Item2, FlowInto(both.Item1)); break;
            case var scheduler: Post(scheduler, RunContinuation); break;
        }
    }

    private void Post(object scheduler, ContextCallback run)
    {
        if (scheduler is SynchronizationContext context) context.Post(run.Invoke, this);
        else
        {
            Task.Factory.StartNew(run.Invoke, this, CancellationToken.None, TaskCreationOptions.DenyChildAttach, (TaskScheduler)scheduler);
        }
    }

    private static ContextCallback FlowInto(ExecutionContext flow) => op => ExecutionContext.Run(flow, RunContinuation, op);

    private static void RunContinuation(object? op)
    {
        PollOp self = (PollOp)op!;
        Action<object?> continuation = self._continuation!;
        object? state = self._continuationState;
        LoopThread.Current?.NoteHandler(self.Fd, continuation, state);
        continuation(state);
    }

    // Captures what ManualResetValueTaskSourceCore would.
    private static object? CaptureContext(ValueTaskSourceOnCompletedFlags flags)
    {
        if (flags == ValueTaskSourceOnCompletedFlags.None) return null;
        ExecutionContext? flow =
            (flags & ValueTaskSourceOnCompletedFlags.FlowExecutionContext) != 0 ? ExecutionContext.Capture() : null;
        object? scheduler = null;
        if ((flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0)
        {
            SynchronizationContext? context = SynchronizationContext.Current;
            if (context is not null && context.GetType() != typeof(SynchronizationContext)) scheduler = context;
            else if (TaskScheduler.Current != TaskScheduler.Default) scheduler = TaskScheduler.Current;
        }
        return flow is null ? scheduler : scheduler is null ? flow : Tuple.Create(flow, scheduler);
    }

    private void Validate(short token)
    {
        if (token == _version) return;
        throw new InvalidOperationException("the ValueTask was used after its result was taken; await a ValueTask only once.");
    }

    private static InvalidOperationException AwaitedTwice() => new("the operation was awaited twice; await a ValueTask only once.");
}
