using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of FD.Read and FD.Write in Go's internal/poll/fd_unix.go: the operations of a stream socket, and their system calls.
//
// An operation that completes at once runs on its caller's stack and needs no object: Begin. An operation that must queue or wait is an
// IoOp.

/// <summary>A descriptor that its users read and write as a stream.</summary>
internal abstract class StreamFd : PollFd
{
    private const int MaxChunk = 1 << 30;

    // Atomic. Kept for the next operation that waits.
    private IoOp? _readOp;
    private IoOp? _writeOp;

    /// <summary>Takes ownership of a non-blocking descriptor.</summary>
    protected StreamFd(SocketNetwork network, nint fd) : base(network, fd) { }

    private enum Kind : byte
    {
        /// <summary>Takes bytes.</summary>
        Read,

        /// <summary>Checks whether there are bytes, and leaves them in the socket.</summary>
        WaitToRead,

        /// <summary>Sends all of its bytes.</summary>
        Write,
    }

    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken token)
    {
        Begun begun = Begin(Direction.Read, Kind.Read, buffer, token);
        return begun.Op is { } op ? new ValueTask<int>(op, op.Version)
            : begun.Error is { } error ? FromError<int>(error, token)
            : new ValueTask<int>(begun.Value);
    }

    public ValueTask<bool> WaitToReadAsync(CancellationToken token)
    {
        Begun begun = Begin(Direction.Read, Kind.WaitToRead, default, token);
        return begun.Op is { } op ? new ValueTask<bool>(op, op.Version)
            : begun.Error is { } error ? FromError<bool>(error, token)
            : new ValueTask<bool>(begun.Value != 0);
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken token)
    {
        // The cast lets one field of the operation serve both directions. A write only reads from the buffer.
        Begun begun = Begin(Direction.Write, Kind.Write, MemoryMarshal.AsMemory(buffer), token);
        return begun.Op is { } op ? new ValueTask(op, op.Version)
            : begun.Error is OperationCanceledException ? ValueTask.FromCanceled(token)
            : begun.Error is { } error ? ValueTask.FromException(error)
            : ValueTask.CompletedTask;
    }

    /// <summary>The blocking form of <see cref="ReadAsync"/>.</summary>
    public int Read(Span<byte> buffer) => RunBlocking(
        Direction.Read, NameOf(Kind.Read), ref buffer, static (fd, ref buffer) => ((StreamFd)fd).Receive(buffer));

    /// <summary>The blocking form of <see cref="WaitToReadAsync"/>.</summary>
    public bool WaitToRead()
    {
        int nothing = 0;
        return RunBlocking(Direction.Read, NameOf(Kind.WaitToRead), ref nothing, static (fd, ref _) => ((StreamFd)fd).Peek()) != 0;
    }

    /// <summary>The blocking form of <see cref="WriteAsync"/>.</summary>
    public void Write(ReadOnlySpan<byte> buffer) => RunBlocking(
        Direction.Write, NameOf(Kind.Write), ref buffer, static (fd, ref left) =>
        {
            int done = 0;
            IoResult result = ((StreamFd)fd).Send(left, ref done);
            left = left[done..];
            return result;
        });

    public override void Return(PollOp op)
    {
        if (op is not IoOp io) return;
        Volatile.Write(ref OpOf(io.Direction), io);
    }

    // The outcome of Begin: an operation that queues or waits, an error, or a value.
    private readonly struct Begun
    {
        public IoOp? Op { get; init; }

        public Exception? Error { get; init; }

        public int Value { get; init; }
    }

    private Begun Begin(Direction direction, Kind kind, Memory<byte> buffer, CancellationToken token)
    {
        if (token.IsCancellationRequested) return Refuse(direction, kind, new OperationCanceledException(token));
        FdLock found = TryLock(direction);
        if (found == FdLock.Closed) return Refuse(direction, kind, Failed(NameOf(kind), IoResult.Disposed));
        if (found == FdLock.Busy)
        {
            IoOp queued = new(this, direction);
            queued.Set(kind, buffer);
            queued.Start(token);
            return new Begun { Op = queued };
        }
        if (TurnBudget.IsSpent)
        {
            IoOp later = TakeOp(direction);
            later.Set(kind, buffer);
            later.StartLater(token);
            return new Begun { Op = later };
        }

        int done = 0;
        IoResult result = 0;
        Exception? error = null;
        try
        {
            result = Prepare(direction);
            if (result.IsSuccess) result = Try(kind, buffer.Span, ref done);
        }
#pragma warning disable CA1031 // If the buffer's owner throws (MemoryManager.GetSpan), that is the operation's error.
        catch (Exception e)
#pragma warning restore CA1031
        {
            error = e;
        }
        if (result == Errno.EAGAIN)
        {
            IoOp op = TakeOp(direction);
            op.Set(kind, buffer[done..]);
            op.StartWaiting(token);
            return new Begun { Op = op };
        }

        // Under the lock: the exception names addresses, which a closed descriptor no longer has.
        if (!result.IsSuccess) error = Failed(NameOf(kind), result, direction);
        Unlock(direction);
        TurnBudget.Spend();
        return error is null ? new Begun { Value = result.Value } : new Begun { Error = error };
    }

    // The error of an operation that cannot begin, and holds no lock.
    private Begun Refuse(Direction direction, Kind kind, Exception error)
    {
        if (!TurnBudget.IsSpent)
        {
            TurnBudget.Spend();
            return new Begun { Error = error };
        }
        IoOp later = new(this, direction);
        later.Set(kind, default);
        later.FailLater(error);
        return new Begun { Op = later };
    }

    private IoResult Try(Kind kind, Span<byte> buffer, ref int done) => kind switch
    {
        Kind.Read => Receive(buffer),
        Kind.WaitToRead => Peek(),
        _ => Send(buffer, ref done),
    };

    private IoResult Receive(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return Peek() is { IsSuccess: false } reason ? reason : 0;
        if (_drained.BeforeTry(HangupSeen)) return Errno.EAGAIN;
        if (buffer.Length > MaxChunk) buffer = buffer[..MaxChunk];
        IoResult result;
        do
        {
            result = Api.Receive(Fd, buffer);
        }
        while (result == Errno.EINTR);
        _drained.AfterRead(result, buffer.Length);
        return result;
    }

    // Returns 1 if there are bytes, and 0 at the end.
    private IoResult Peek()
    {
        if (_drained.BeforeTry(HangupSeen)) return Errno.EAGAIN;
        Span<byte> one = stackalloc byte[1];
        IoResult result;
        do
        {
            result = Api.Peek(Fd, one);
        }
        while (result == Errno.EINTR);
        return result;
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

    private static ValueTask<T> FromError<T>(Exception error, CancellationToken token) =>
        error is OperationCanceledException ? ValueTask.FromCanceled<T>(token) : ValueTask.FromException<T>(error);

    private static string NameOf(Kind kind) => kind switch
    {
        Kind.Read => "read",
        Kind.WaitToRead => "wait to read",
        _ => "write",
    };

    // The caller holds the direction's lock, so nobody else takes the kept operation. A late awaiter may return another one meanwhile. Then
    // one of the two is lost, which does no harm.
    private IoOp TakeOp(Direction direction)
    {
        ref IoOp? kept = ref OpOf(direction);
        IoOp? op = Volatile.Read(ref kept);
        if (op is null) return new IoOp(this, direction);
        Volatile.Write(ref kept, null);
        return op;
    }

    private ref IoOp? OpOf(Direction direction) => ref direction == Direction.Read ? ref _readOp : ref _writeOp;

    /// <summary>A read, a wait to read or a write that could not complete at once.</summary>
    private sealed class IoOp(StreamFd fd, Direction direction) : PollOp(fd, direction), IValueTaskSource<int>, IValueTaskSource<bool>
    {
        // Set for each operation. A write's buffer is what it has not sent yet.
        private Kind _kind;
        private Memory<byte> _buffer;

        protected override string Name => NameOf(_kind);

        public void Set(Kind kind, Memory<byte> buffer)
        {
            _kind = kind;
            _buffer = buffer;
        }

        int IValueTaskSource<int>.GetResult(short token) => TakeResult(token, out _).Value;

        bool IValueTaskSource<bool>.GetResult(short token) => TakeResult(token, out _).Value != 0;

        protected override IoResult Try(ref object? made)
        {
            int done = 0;
            IoResult result = ((StreamFd)Fd).Try(_kind, _buffer.Span, ref done);
            _buffer = _buffer[done..];
            return result;
        }

        protected override void Release() => _buffer = default;
    }
}
