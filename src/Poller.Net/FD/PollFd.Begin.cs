using Poller.Abstractions;

namespace Poller.Net;

// How an async operation begins. One that completes at once runs on its caller's stack and needs no object: it is an IAttempt, a value.
// One that must queue or wait becomes a PollOp, which goes on with the attempt.

/// <summary>What an operation was given, and how to try it once.</summary>
/// <remarks>It is a value, so that an operation which completes at once allocates nothing.</remarks>
internal interface IAttempt
{
    /// <summary>The operation's name in an error, such as <c>read</c>.</summary>
    string Name { get; }

    /// <summary>
    /// Whether its wait is for what the backend reports. If not, the attempt sees to it that <see cref="PollFd.MakeReady"/> ends the wait.
    /// </summary>
    static virtual bool Arms => true;

    /// <summary>
    /// Tries once, under the direction's lock. EAGAIN means that it must wait. The attempt keeps what was done, so that the next try goes
    /// on from there. An exception is the operation's error.
    /// </summary>
    IoResult Try(PollFd fd);
}

internal abstract partial class PollFd
{
    /// <summary>How an operation goes on after Begin.</summary>
    protected enum Rest : byte
    {
        /// <summary>It is done, with a value or an error.</summary>
        None,

        /// <summary>It queues for its direction's lock.</summary>
        Queue,

        /// <summary>It holds the lock. The loop tries it, because the turn has used up its budget.</summary>
        TryLater,

        /// <summary>It holds the lock, and waits.</summary>
        Wait,

        /// <summary>It cannot begin. The loop ends it, because the turn has used up its budget.</summary>
        FailLater,
    }

    /// <summary>The outcome of Begin.</summary>
    protected readonly struct Begun
    {
        public Rest Rest { get; init; }

        public Exception? Error { get; init; }

        public int Value { get; init; }
    }

    /// <summary>
    /// Begins an async operation. If it is done at once, the attempt holds what it has done; else <see cref="GoOn"/> must follow.
    /// </summary>
    protected Begun Begin<TAttempt>(Direction direction, ref TAttempt attempt, CancellationToken token) where TAttempt : struct, IAttempt
    {
        if (token.IsCancellationRequested) return Refuse(new OperationCanceledException(token));
        FdLock found = TryLock(direction);
        if (found == FdLock.Closed) return Refuse(Failed(attempt.Name, IoResult.Disposed));
        if (found == FdLock.Busy) return new Begun { Rest = Rest.Queue };
        if (TurnBudget.IsSpent) return new Begun { Rest = Rest.TryLater };

        IoResult result = 0;
        Exception? error = null;
        try
        {
            result = Prepare(direction);
            if (result.IsSuccess) result = attempt.Try(this);
        }
#pragma warning disable CA1031 // If the caller's code throws (MemoryManager.GetSpan, a file's function), that is the operation's error.
        catch (Exception e)
#pragma warning restore CA1031
        {
            error = e;
        }
        if (result == Errno.EAGAIN) return new Begun { Rest = Rest.Wait };

        // Under the lock: the exception names addresses, which a closed descriptor no longer has.
        if (!result.IsSuccess) error = Failed(attempt.Name, result, direction);
        else if (error is null) NoteActivity();
        Unlock(direction);
        if (error is not null) NoteError(error);
        TurnBudget.Spend();
        return error is null ? new Begun { Value = result.Value } : new Begun { Error = error };
    }

    // The error of an operation that cannot begin, and holds no lock.
    private static Begun Refuse(Exception error)
    {
        if (TurnBudget.IsSpent) return new Begun { Rest = Rest.FailLater, Error = error };
        TurnBudget.Spend();
        return new Begun { Error = error };
    }

    /// <summary>
    /// Takes the kept object for an operation that is not done, if it holds its lock and the object is of this type; an object of another
    /// type stays. Null if there is none.
    /// </summary>
    protected TOp? TakeKept<TOp>(Direction direction, in Begun begun) where TOp : PollOp
    {
        // Nobody else takes it while the caller holds the lock. A late awaiter may return another one meanwhile; then one of the two is
        // lost, which does no harm.
        ref PollOp? kept = ref KeptOf(direction);
        if (begun.Rest is not (Rest.TryLater or Rest.Wait) || Volatile.Read(ref kept) is not TOp op) return null;
        Volatile.Write(ref kept, null);
        return op;
    }

    /// <summary>Goes on with an operation that is not done.</summary>
    protected static void GoOn(PollOp op, in Begun begun, CancellationToken token)
    {
        switch (begun.Rest)
        {
            case Rest.Queue: op.Start(token); break;
            case Rest.TryLater: op.StartLater(token); break;
            case Rest.Wait: op.StartWaiting(token); break;
            case Rest.FailLater: op.FailLater(begun.Error!); break;
            default: throw new InvalidOperationException("the operation is done.");
        }
    }

    /// <summary>Begins an async operation whose attempt has a result.</summary>
    protected ValueTask<T> StartAsync<TAttempt, T>(Direction direction, ref TAttempt attempt, CancellationToken token)
        where TAttempt : struct, IAttempt<T>
    {
        Begun begun = Begin(direction, ref attempt, token);
        if (begun.Rest == Rest.None)
        {
            return begun.Error is { } error ? FromError<T>(error, token) : new ValueTask<T>(attempt.Result);
        }
        AttemptOp<TAttempt, T> op = GoOn<TAttempt, T>(direction, attempt, begun, token);
        return new ValueTask<T>(op, op.Version);
    }

    /// <summary>Begins an async operation whose result nobody needs.</summary>
    protected ValueTask StartAsync<TAttempt>(Direction direction, ref TAttempt attempt, CancellationToken token)
        where TAttempt : struct, IAttempt<int>
    {
        Begun begun = Begin(direction, ref attempt, token);
        if (begun.Rest == Rest.None) return begun.Error is { } error ? FromError(error, token) : ValueTask.CompletedTask;
        AttemptOp<TAttempt, int> op = GoOn<TAttempt, int>(direction, attempt, begun, token);
        return new ValueTask(op, op.Version);
    }

    /// <summary>The blocking form of <see cref="StartAsync{TAttempt, T}"/>.</summary>
    protected T Run<TAttempt, T>(Direction direction, ref TAttempt attempt) where TAttempt : struct, IAttempt<T>
    {
        RunBlocking(direction, attempt.Name, ref attempt, static (fd, ref attempt) => attempt.Try(fd), arms: TAttempt.Arms);
        return attempt.Result;
    }

    /// <summary>Goes on with an operation that is not done, by an object for its attempt.</summary>
    protected AttemptOp<TAttempt, T> GoOn<TAttempt, T>(Direction direction, in TAttempt attempt, in Begun begun, CancellationToken token)
        where TAttempt : struct, IAttempt<T>
    {
        AttemptOp<TAttempt, T> op = TakeKept<AttemptOp<TAttempt, T>>(direction, begun) ?? new AttemptOp<TAttempt, T>(this, direction);
        GoOn(op.With(attempt), begun, token);
        return op;
    }

    /// <summary>Keeps the object of an operation that is done, for the next operation of its type.</summary>
    public virtual void Return(PollOp op) => Volatile.Write(ref KeptOf(op.Direction), op);

    private ref PollOp? KeptOf(Direction direction) => ref direction == Direction.Read ? ref _readOp : ref _writeOp;

    /// <summary>The task of an operation that failed before it waited.</summary>
    protected static ValueTask<T> FromError<T>(Exception error, CancellationToken token) =>
        error is OperationCanceledException && token.IsCancellationRequested
            ? ValueTask.FromCanceled<T>(token)
            : ValueTask.FromException<T>(error);

    /// <inheritdoc cref="FromError{T}"/>
    protected static ValueTask FromError(Exception error, CancellationToken token) =>
        error is OperationCanceledException && token.IsCancellationRequested
            ? ValueTask.FromCanceled(token)
            : ValueTask.FromException(error);
}
