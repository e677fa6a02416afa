using System.Threading.Tasks.Sources;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>What an operation does once its side is ready.</summary>
internal enum PollOpKind : byte
{
    /// <summary>Takes bytes.</summary>
    Read,

    /// <summary>Looks whether there are bytes, and leaves them.</summary>
    WaitToRead,

    /// <summary>Sends all of its bytes.</summary>
    Write,

    /// <summary>Nothing: the caller holds the lock and continues itself.</summary>
    WaitReady,
}

// The twin of gopark in netpollblock of Go's runtime/netpoll.go, for code that awaits. It is the waiter in the side of the PollDesc and the
// source of the ValueTask in one, and each side of a descriptor keeps one for the next time: waiting allocates nothing.
//
// It starts on its caller's stack. Once it was parked it runs to its end, or to its next wait, on a loop or the pool. The order at the
// end guards the next operation: first the registration is gone (Dispose waits for a callback that runs), then the lock is given back, and
// only then the awaiter goes on.

/// <summary>
/// An async operation of a <see cref="PollFd"/>, reused. Owned by whoever holds the lock of its side, and then by the awaiter.
/// </summary>
internal sealed class PollOp(PollFd fd, PollMode mode) : PollWaiter, IValueTaskSource<IoResult>, IValueTaskSource<int>, IValueTaskSource<bool>, IValueTaskSource
{
    private ManualResetValueTaskSourceCore<IoResult> _core;

    // Set for each operation.
    private PollOpKind _kind;
    private Memory<byte> _buffer;
    private int _done;
    private CancellationTokenRegistration _registration;

    public short Version => _core.Version;

    /// <summary>
    /// Begins an operation that found its side not ready. <paramref name="done"/> is how many bytes it has moved already.
    /// </summary>
    public void Start(PollOpKind kind, Memory<byte> buffer, int done, CancellationToken token)
    {
        _kind = kind;
        _buffer = buffer;
        _done = done;
        if (token.CanBeCanceled)
        {
            _registration = token.UnsafeRegister(static op => ((PollOp)op!).OnCanceled(), this);
            if (_registration == default && IsCanceled)
            {
                // It was cancelled before, and the callback has run; and the registration is what keeps the token.
                Complete(IoResult.Canceled, new OperationCanceledException(token));
                return;
            }
        }
        Advance(parkFirst: true);
    }

    public override void Execute()
    {
        try
        {
            if (fd.Consume(mode)) Advance(parkFirst: false);
            else if (WaitError() is { IsSuccess: false } result) Complete(result);
            else Advance(parkFirst: true);
        }
#pragma warning disable CA1031 // Whatever a continuation throws, the other connections of the loop go on, and so does the pool's thread.
        catch (Exception e)
#pragma warning restore CA1031
        {
            fd.Report("continuation", e);
        }
    }

    internal override bool TryWakeThread() => false;

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    public IoResult GetResult(short token)
    {
        bool completed = _core.GetStatus(token) != ValueTaskSourceStatus.Pending; // Throws for a token that was used before.
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            if (completed)
            {
                _core.Reset();
                fd.Return(mode, this);
            }
        }
    }

    int IValueTaskSource<int>.GetResult(short token) => GetResult(token).Value;

    bool IValueTaskSource<bool>.GetResult(short token) => GetResult(token).Value != 0;

    void IValueTaskSource.GetResult(short token) => GetResult(token);

    private void Advance(bool parkFirst)
    {
        while (true)
        {
            if (!parkFirst)
            {
                IoResult result;
                try
                {
                    result = _kind == PollOpKind.WaitReady ? 0 : fd.Attempt(_kind, _buffer.Span, ref _done);
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
            PollPark park;
            try
            {
                park = fd.Park(mode, this);
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
                    break; // A deadline that was moved meanwhile.
            }
        }
    }

    private IoResult WaitError() => IsCanceled ? IoResult.Canceled : fd.Check(mode);

    private void OnCanceled()
    {
        SetCanceled(true);
        fd.Cancel(mode);
    }

    private void Complete(IoResult result, Exception? error = null)
    {
        CancellationToken token = _registration.Token;
        _registration.Dispose();
        _registration = default;
        _buffer = default;
        if (IsCanceled) SetCanceled(false);

        // Made under the lock: it names addresses that a closed descriptor no longer tells.
        if (result == IoResult.Canceled) error ??= new OperationCanceledException(token);
        else if (!result.IsSuccess && _kind != PollOpKind.WaitReady) error = fd.Failed(PollFd.NameOf(_kind), result);
        if (_kind != PollOpKind.WaitReady) fd.Unlock(mode);
        if (error is null) _core.SetResult(result);
        else _core.SetException(error);
    }
}
