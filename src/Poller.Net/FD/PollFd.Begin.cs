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
    /// Tries once, under the direction's lock. EAGAIN means that it must wait. The attempt keeps what was done, so that the next try goes
    /// on from there. An exception is the operation's error.
    /// </summary>
    IoResult Try(PollFd fd);

    /// <summary>
    /// An operation that goes on with this attempt. Only a caller that holds the direction's lock may reuse the kept one.
    /// </summary>
    PollOp ToOp(PollFd fd, Direction direction, bool mayReuse);
}

internal abstract partial class PollFd
{
    /// <summary>The outcome of Begin: an operation that queues or waits, an error, or a value.</summary>
    protected readonly struct Begun
    {
        public PollOp? Op { get; init; }

        public Exception? Error { get; init; }

        public int Value { get; init; }
    }

    /// <summary>Begins an async operation. If it completes at once, the attempt holds what it has done.</summary>
    protected Begun Begin<TAttempt>(Direction direction, ref TAttempt attempt, CancellationToken token) where TAttempt : struct, IAttempt
    {
        if (token.IsCancellationRequested) return Refuse(direction, ref attempt, new OperationCanceledException(token));
        FdLock found = TryLock(direction);
        if (found == FdLock.Closed) return Refuse(direction, ref attempt, Failed(attempt.Name, IoResult.Disposed));
        if (found == FdLock.Busy)
        {
            PollOp queued = attempt.ToOp(this, direction, mayReuse: false);
            queued.Start(token);
            return new Begun { Op = queued };
        }
        if (TurnBudget.IsSpent)
        {
            PollOp later = attempt.ToOp(this, direction, mayReuse: true);
            later.StartLater(token);
            return new Begun { Op = later };
        }

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
        if (result == Errno.EAGAIN)
        {
            PollOp op = attempt.ToOp(this, direction, mayReuse: true);
            op.StartWaiting(token);
            return new Begun { Op = op };
        }

        // Under the lock: the exception names addresses, which a closed descriptor no longer has.
        if (!result.IsSuccess) error = Failed(attempt.Name, result, direction);
        else if (error is null) NoteActivity();
        if (error is not null) NoteError(error);
        Unlock(direction);
        TurnBudget.Spend();
        return error is null ? new Begun { Value = result.Value } : new Begun { Error = error };
    }

    // The error of an operation that cannot begin, and holds no lock.
    private Begun Refuse<TAttempt>(Direction direction, ref TAttempt attempt, Exception error) where TAttempt : struct, IAttempt
    {
        if (!TurnBudget.IsSpent)
        {
            TurnBudget.Spend();
            return new Begun { Error = error };
        }
        PollOp later = attempt.ToOp(this, direction, mayReuse: false);
        later.FailLater(error);
        return new Begun { Op = later };
    }

    /// <summary>Begins an async operation whose attempt has a result.</summary>
    protected ValueTask<T> StartAsync<TAttempt, T>(Direction direction, ref TAttempt attempt, CancellationToken token)
        where TAttempt : struct, IAttempt<T>
    {
        Begun begun = Begin(direction, ref attempt, token);
        return begun.Op is { } op ? new ValueTask<T>((AttemptOp<TAttempt, T>)op, op.Version)
            : begun.Error is { } error ? FromError<T>(error, token)
            : new ValueTask<T>(attempt.Result);
    }

    /// <summary>Begins an async operation whose result nobody needs.</summary>
    protected ValueTask StartAsync<TAttempt>(Direction direction, ref TAttempt attempt, CancellationToken token)
        where TAttempt : struct, IAttempt
    {
        Begun begun = Begin(direction, ref attempt, token);
        return begun.Op is { } op ? new ValueTask(op, op.Version)
            : begun.Error is { } error ? FromError(error, token)
            : ValueTask.CompletedTask;
    }

    /// <summary>The blocking form of <see cref="StartAsync{TAttempt, T}"/>.</summary>
    protected T Run<TAttempt, T>(Direction direction, ref TAttempt attempt) where TAttempt : struct, IAttempt<T>
    {
        RunBlocking(direction, attempt.Name, ref attempt, static (fd, ref attempt) => attempt.Try(fd));
        return attempt.Result;
    }

    /// <summary>The operation that goes on with an attempt; see <see cref="IAttempt.ToOp"/>.</summary>
    public AttemptOp<TAttempt, T> ToOp<TAttempt, T>(Direction direction, in TAttempt attempt, bool mayReuse)
        where TAttempt : struct, IAttempt<T>
    {
        AttemptOp<TAttempt, T>? op = mayReuse ? TakeKept<AttemptOp<TAttempt, T>>(direction) : null;
        return (op ?? new AttemptOp<TAttempt, T>(this, direction)).With(attempt);
    }

    /// <summary>
    /// Takes the kept operation, if it is of this type; one of another type stays. The caller holds the direction's lock, so nobody else
    /// takes it. A late awaiter may return another one meanwhile; then one of the two is lost, which does no harm.
    /// </summary>
    public TOp? TakeKept<TOp>(Direction direction) where TOp : PollOp
    {
        ref PollOp? kept = ref KeptOf(direction);
        if (Volatile.Read(ref kept) is not TOp op) return null;
        Volatile.Write(ref kept, null);
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
