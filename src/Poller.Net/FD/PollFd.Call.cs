using Poller.Abstractions;

namespace Poller.Net;

// The twin of FD.RawRead, FD.RawWrite and FD.RawControl in Go's internal/poll/fd_unix.go: the caller makes the system call itself.

internal abstract partial class PollFd
{
    /// <summary>Runs the caller's function until it does not say that it would block, and waits before each further run.</summary>
    public ValueTask<T> CallAsync<TState, T>(
        Direction direction, TState state, Func<nint, TState, TryResult<T>> call, CancellationToken token)
    {
        CallAttempt<TState, T> attempt = new(direction, state, call);
        return StartAsync<CallAttempt<TState, T>, T>(direction, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="CallAsync"/>.</summary>
    public T Call<TState, T>(Direction direction, TState state, Func<nint, TState, TryResult<T>> call)
    {
        CallAttempt<TState, T> attempt = new(direction, state, call);
        return Run<CallAttempt<TState, T>, T>(direction, ref attempt);
    }

    /// <summary>Runs the caller's function once. False if it would block, or if another operation of the direction is under way.</summary>
    public bool TryCall<TState, T>(Direction direction, TState state, Func<nint, TState, TryResult<T>> call, out T? result)
    {
        CallAttempt<TState, T> attempt = new(direction, state, call);
        result = default;
        FdLock found = TryLock(direction);
        if (found == FdLock.Busy) return false;
        if (found == FdLock.Closed) throw Failed(attempt.Name, IoResult.Disposed);
        try
        {
            IoResult tried = Prepare(direction);
            if (tried.IsSuccess) tried = attempt.Try(this);
            if (tried == Errno.EAGAIN) return false;
            if (!tried.IsSuccess) throw Failed(attempt.Name, tried, direction);
            result = attempt.Result;
            NoteActivity();
            return true;
        }
        finally
        {
            Unlock(direction);
        }
    }

    /// <summary>Runs the caller's function once, beside reads and writes. The descriptor stays open meanwhile.</summary>
    public T Control<TState, T>(TState state, Func<nint, TState, T> call)
    {
        using Reference held = Hold("control");
        BeforeControl();
        return call(Fd, state);
    }

    /// <inheritdoc cref="Control{TState, T}"/>
    public void Control(Action<nint> call) => Control(call, static (fd, call) =>
    {
        call(fd);
        return true;
    });

    /// <summary>Comes before a run of the caller's function by Control.</summary>
    protected virtual void BeforeControl() { }

    /// <summary>Prepares a run of the caller's function. Returns 0, or why it may not run now.</summary>
    protected virtual IoResult BeforeCall(Direction direction) => 0;

    /// <summary>The result of a try that would block: EAGAIN, where something can be waited for.</summary>
    protected virtual IoResult WouldBlock(string operation) => Errno.EAGAIN;

    /// <summary>The caller's own function.</summary>
    private struct CallAttempt<TState, T>(Direction direction, TState state, Func<nint, TState, TryResult<T>> call) : IAttempt<T>
    {
        private TState _state = state;
        private Func<nint, TState, TryResult<T>>? _call = call;

        public T Result { get; private set; } = default!;

        public readonly string Name => direction == Direction.Read ? "read" : "write";

        public IoResult Try(PollFd fd)
        {
            IoResult result = fd.BeforeCall(direction);
            if (!result.IsSuccess) return result;
            TryResult<T> tried = _call!(fd.Fd, _state);
            if (!tried.IsDone) return fd.WouldBlock(Name);
            Result = tried.Value!;
            return 0;
        }

        public void Release()
        {
            _state = default!;
            _call = null;
        }
    }
}
