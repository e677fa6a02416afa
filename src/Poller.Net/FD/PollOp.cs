using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of gopark in netpollblock of Go's runtime/netpoll.go, for code that awaits: an operation that could not complete at once. It is
// what waits, in a queue of FdMutex and then in a side of the PollDesc, and the source of the ValueTask in one. A descriptor keeps one for
// the next time, so waiting allocates nothing.
//
// It begins on its caller's stack, and goes on in Execute alone, which a loop or the pool calls. Where it is, and who makes it runnable:
//
//   queued   for the lock of its side   by Unlock (the lock is its own), IncrefAndClose, or a cancellation that takes it out
//   yielded  it has the lock            at once: its caller's turn has used up its budget
//   parked   it has the lock            by readiness, a deadline, a close or a cancellation
//   late     it is done                 by the awaiter that came after it was done
//
// Who awaits and who completes meet in one word:
//
//   null -> continuation   the awaiter came first: who completes runs it, and is in Execute then
//   null -> Done           it is done; an awaiter that has yet to ask finds so
//   Done -> continuation   the awaiter had asked before it was done, and comes after: the loop runs it, by Execute
//
// _completed is set before the word is looked at, and counts only once the word is not null. So an awaiter that asks is told last: after that,
// whoever completed touches the operation no more, which may be in use again. Nobody else's stack ever runs a continuation: not that of a
// close, a cancellation, a deadline, a write, or of the awaiter itself; and no pool's but in thread-pool dispatch and after the loop has
// stopped.
//
// The order at the end guards the next operation: first the registration is gone (Dispose waits for a callback that runs), then the lock
// is given back, and only then the awaiter goes on.

/// <summary>
/// An async operation of a <see cref="PollFd"/>, reused. Owned by whoever made it runnable or holds the lock of its side for it, and when
/// it is done by the awaiter.
/// </summary>
internal abstract class PollOp(PollFd fd, Direction direction) : PollWaiter, IValueTaskSource
{
    /// <summary>What Execute is to do.</summary>
    private enum Step : byte
    {
        /// <summary>Begin, with the lock if it is Acquired.</summary>
        Begin,

        /// <summary>Go on after a wait in a side.</summary>
        Resume,

        /// <summary>Run the awaiter that came late.</summary>
        Continue,
    }

    private static readonly Action<object?> Done =
        static _ => throw new InvalidOperationException("an operation that was done was run as a continuation.");

    // Atomic.
    private Action<object?>? _continuation;
    private bool _completed;

    // Written by the awaiter before it attaches. The context is what it captured: an ExecutionContext to run in, a SynchronizationContext
    // or TaskScheduler to post to, or one of each.
    private object? _continuationState;
    private object? _continuationContext;

    // Set by the operation before it is completed, and read by the awaiter after that.
    private IoResult _result;
    private object? _outcome;

    // Changes with each use. A ValueTask of an earlier one is told so.
    private short _version;

    // Set for each wait, before another thread may run it.
    private Step _step;
    private Direction _waitsIn = direction;
    private CancellationTokenRegistration _registration;

    /// <summary>Whose lock it holds.</summary>
    public Direction Direction { get; } = direction;

    public short Version => _version;

    protected PollFd Fd { get; } = fd;

    /// <summary>The operation's name in an error, as <c>read</c>.</summary>
    protected abstract string Name { get; }

    // Pairs with the exchange in Complete.
    private bool IsDone => Volatile.Read(ref _continuation) is not null && Volatile.Read(ref _completed);

    /// <summary>Begins an operation whose caller holds nothing. It may be done when this returns.</summary>
    public void Start(CancellationToken token)
    {
        _step = Step.Begin;
        Lock = FdLock.Left;
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
                // A cancellation that came before it queued did not find it there.
                if (IsCanceled) Fd.Cancel(Direction, this);
                break;
            default:
                Complete(IoResult.Disposed);
                break;
        }
    }

    /// <summary>Begins an operation that holds the lock of its side, on the loop: the turn has used up its budget.</summary>
    public void StartLater(CancellationToken token)
    {
        _step = Step.Begin;
        Lock = FdLock.Acquired;
        if (TryRegister(token)) Fd.Schedule(this);
    }

    /// <summary>Begins an operation that holds the lock of its side, and is to wait before it is tried, or tried again.</summary>
    public void StartWaiting(CancellationToken token)
    {
        Lock = FdLock.Acquired;
        if (TryRegister(token)) Advance(parkFirst: true);
    }

    public override void Execute()
    {
        try
        {
            switch (_step)
            {
                case Step.Begin when Lock == FdLock.Closed: Complete(IoResult.ClosedInQueue); break;
                case Step.Begin when IsCanceled: Complete(IoResult.Canceled); break;
                case Step.Begin: Begin(); break;
                case Step.Resume: Resume(); break;
                default: Continue(); break;
            }
        }
#pragma warning disable CA1031 // Whatever a continuation throws, the other connections of the loop go on, and so does the pool's thread.
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

    /// <summary>What it came to, for the awaiter; <paramref name="made"/> is what <see cref="Try"/> made. It is used again after that.</summary>
    protected IoResult TakeResult(short token, out object? made)
    {
        Validate(token);
        if (!IsDone)
        {
            throw new InvalidOperationException("the result of an operation was asked for before it was done; await it.");
        }
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

    /// <summary>One try, under the lock of the side: EAGAIN when it has to wait. What it throws is the operation's error.</summary>
    protected abstract IoResult Try(ref object? made);

    /// <summary>The operation is over: forgets what it was given.</summary>
    protected virtual void Release() { }

    private bool TryRegister(CancellationToken token)
    {
        if (!token.CanBeCanceled) return true;
        _registration = token.UnsafeRegister(static op => ((PollOp)op!).OnCanceled(), this);
        if (_registration != default || !IsCanceled) return true;

        // It was cancelled before, and the callback has run; and the registration is what keeps the token.
        Complete(IoResult.Canceled, new OperationCanceledException(token));
        return false;
    }

    private void OnCanceled()
    {
        SetCanceled(true);
        Fd.Cancel(Direction, this);
    }

    /// <summary>Where it is parked, for a cancellation. Pairs with the exchange to Wait in PollDesc.Park, as IsCanceled does.</summary>
    internal Direction WaitsIn => _waitsIn;

    private void Begin()
    {
        IoResult ready = Fd.Prepare(Direction);
        if (ready.IsSuccess) Advance(parkFirst: false);
        else Complete(ready);
    }

    private void Resume()
    {
        if (Fd.Consume(_waitsIn)) Advance(parkFirst: false);
        else if (WaitError() is { IsSuccess: false } reason) Complete(reason);
        else Advance(parkFirst: _waitsIn == Direction); // Its deadline was moved; or it has paused, and the pause is over.
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
#pragma warning disable CA1031 // The buffer's owner may be gone by now (MemoryManager.GetSpan throws what it likes): the operation's error.
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
            _waitsIn = Fd.SideToWaitIn(Direction);
            _step = Step.Resume;
            PollPark park;
            try
            {
                park = Fd.Park(_waitsIn, this);
            }
            catch (NetpollException e)
            {
                Complete(e.Error);
                return;
            }
            catch (IOException e)
            {
                Complete(0, e); // The backend threw, in words of its own.
                return;
            }
            switch (park)
            {
                case PollPark.Parked:
                    return; // It may run elsewhere by now.
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
                    parkFirst = _waitsIn == Direction;
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

        // Made under the lock: it names addresses that a closed descriptor no longer tells.
        if (error is null && !result.IsSuccess)
        {
            error = result == IoResult.Canceled ? new OperationCanceledException(token) : Fd.Failed(Name, result);
        }
        if (error is not null) _outcome = error;
        _result = result;
        _waitsIn = Direction;
        Release();
        if (Lock == FdLock.Acquired) Fd.Unlock(Direction);

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
        self._continuation!(self._continuationState);
    }

    // As ManualResetValueTaskSourceCore captures it.
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
        throw new InvalidOperationException("a ValueTask was used after its result was taken; it is awaited once.");
    }

    private static InvalidOperationException AwaitedTwice() => new("an operation was awaited twice; a ValueTask is awaited once.");
}
