using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of FD.Read and FD.Write in Go's internal/poll/fd_unix.go: the operations of a socket with one peer, and their system calls.
//
// An operation that completes at once runs on its caller's stack and needs no object: Begin. An operation that must queue or wait is an
// IoOp.
//
// A stream has no borders: a write sends until all is sent, and a read of fewer bytes than asked has emptied the socket. A socket of
// messages moves one message a call. A message of 0 bytes is a message: a write sends it.

/// <summary>A socket that its users read and write.</summary>
internal abstract partial class SocketFd : PollFd
{
    private const int MaxChunk = 1 << 30;

    // Constant.
    private protected readonly SocketNetwork _network;

    /// <summary>Takes ownership of a non-blocking descriptor.</summary>
    protected SocketFd(SocketNetwork network, nint fd) : base(fd) => _network = network;

    /// <summary>
    /// Whether SO_LINGER may let close(2) block. Set it before the option. If the option is then on, <see cref="LingeringClose"/> closes
    /// the descriptor.
    /// </summary>
    public bool MayLinger { get => Volatile.Read(ref _mayLinger); set => Volatile.Write(ref _mayLinger, value); }

    protected ISocketApi Api => _network.Api;

    private enum Kind : byte
    {
        /// <summary>Takes bytes.</summary>
        Read,

        /// <summary>Checks whether there are bytes, and leaves them in the socket.</summary>
        WaitToRead,

        /// <summary>Copies bytes, and leaves them in the socket.</summary>
        Peek,

        /// <summary>Sends all of its bytes.</summary>
        Write,
    }

    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken token) => ReadAsync(Kind.Read, buffer, token);

    public ValueTask<int> PeekAsync(Memory<byte> buffer, CancellationToken token) => ReadAsync(Kind.Peek, buffer, token);

    public ValueTask<bool> WaitToReadAsync(CancellationToken token)
    {
        IoAttempt attempt = new(Kind.WaitToRead, default);
        Begun begun = Begin(Direction.Read, ref attempt, token);
        if (begun.Rest == Rest.None)
        {
            return begun.Error is { } error ? FromError<bool>(error, token) : new ValueTask<bool>(begun.Value != 0);
        }
        IoOp op = GoOn(Direction.Read, attempt, begun, token);
        return new ValueTask<bool>(op, op.Version);
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken token)
    {
        // The cast lets one attempt serve both directions. A write only reads from the buffer.
        IoAttempt attempt = new(Kind.Write, MemoryMarshal.AsMemory(buffer));
        Begun begun = Begin(Direction.Write, ref attempt, token);
        if (begun.Rest == Rest.None) return begun.Error is { } error ? FromError(error, token) : ValueTask.CompletedTask;
        IoOp op = GoOn(Direction.Write, attempt, begun, token);
        return new ValueTask(op, op.Version);
    }

    /// <summary>The blocking form of <see cref="ReadAsync(Memory{byte}, CancellationToken)"/>.</summary>
    public int Read(Span<byte> buffer) => RunBlocking(
        Direction.Read, NameOf(Kind.Read), ref buffer, static (fd, ref buffer) => ((SocketFd)fd).Receive(buffer));

    /// <summary>The blocking form of <see cref="WaitToReadAsync"/>.</summary>
    public bool WaitToRead()
    {
        int nothing = 0;
        return RunBlocking(Direction.Read, NameOf(Kind.WaitToRead), ref nothing, static (fd, ref _) => ((SocketFd)fd).Peek()) != 0;
    }

    /// <summary>The blocking form of <see cref="PeekAsync"/>.</summary>
    public int Peek(Span<byte> buffer) => RunBlocking(
        Direction.Read, NameOf(Kind.Peek), ref buffer, static (fd, ref buffer) => ((SocketFd)fd).PeekInto(buffer));

    /// <summary>The blocking form of <see cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)"/>.</summary>
    public void Write(ReadOnlySpan<byte> buffer) => RunBlocking(
        Direction.Write, NameOf(Kind.Write), ref buffer, static (fd, ref left) =>
        {
            int done = 0;
            IoResult result = ((SocketFd)fd).Send(left, ref done);
            left = left[done..];
            return result;
        });

    /// <summary>Closes a descriptor that is in no poller. Reports if it was not open.</summary>
    internal static void CloseDescriptor(ISocketApi api, PollLoop? loop, nint fd)
    {
        IoResult result = api.Close(fd);

        // Whatever close(2) returns, it frees the descriptor. EBADF means that someone else has closed it before.
        if (result != Errno.EBADF) return;
        string operation = $"close fd {fd}";
        loop?.Report(operation, new NetpollException(operation, Errno.EBADF, "it was closed elsewhere"));
    }

    // The caller's function may leave bytes in the socket, and the next read must try.
    protected override IoResult BeforeCall(Direction direction)
    {
        if (direction == Direction.Read) _drained.Waited();
        BeforeControl();
        return 0;
    }

    // The caller's function may set SO_LINGER, and its close must not block.
    protected override void BeforeControl()
    {
        if (_network.IsTcp) MayLinger = true;
    }

    protected override void CloseDescriptor(PollLoop? loop)
    {
        if (MayLinger && loop is not null && LingerSeconds() is var seconds and > 0) LingeringClose.Begin(Api, loop, Fd, seconds);
        else CloseDescriptor(Api, loop, Fd);
    }

    /// <summary>The error of a write whose message is too long.</summary>
    protected abstract Exception TooLong(string operation, int length);

    private ValueTask<int> ReadAsync(Kind kind, Memory<byte> buffer, CancellationToken token)
    {
        IoAttempt attempt = new(kind, buffer);
        Begun begun = Begin(Direction.Read, ref attempt, token);
        if (begun.Rest == Rest.None) return begun.Error is { } error ? FromError<int>(error, token) : new ValueTask<int>(begun.Value);
        IoOp op = GoOn(Direction.Read, attempt, begun, token);
        return new ValueTask<int>(op, op.Version);
    }

    private IoOp GoOn(Direction direction, in IoAttempt attempt, in Begun begun, CancellationToken token)
    {
        IoOp op = TakeKept<IoOp>(direction, begun) ?? new IoOp(this, direction);
        op.Set(attempt.Kind, attempt.Buffer);
        GoOn(op, begun, token);
        return op;
    }

    // We ask the system, because several threads may set the option at once.
    private int LingerSeconds() =>
        Api.GetOption(Fd, SocketOptionLevel.Socket, SocketOptionName.Linger, out int seconds).IsSuccess ? seconds : 0;

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
        if (_network.ShortReadDrains) _drained.AfterRead(result, buffer.Length);
        NoteBytes(Direction.Read, result);
        return result;
    }

    // Returns 1 if there is something to read, and 0 at the end. A datagram of 0 bytes is no end.
    private IoResult Peek()
    {
        Span<byte> one = stackalloc byte[1];
        IoResult result = PeekInto(one);
        return result == 0 && !_network.HasConnections ? 1 : result;
    }

    // What it finds stays in the socket, so a short one says nothing of what follows.
    private IoResult PeekInto(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return Peek() is { IsSuccess: false } reason ? reason : 0;
        if (_drained.BeforeTry(HangupSeen)) return Errno.EAGAIN;
        if (buffer.Length > MaxChunk) buffer = buffer[..MaxChunk];
        IoResult result;
        do
        {
            result = Api.Peek(Fd, buffer);
        }
        while (result == Errno.EINTR);
        return result;
    }

    private protected IoResult Send(ReadOnlySpan<byte> buffer, ref int done)
    {
        if (!_network.IsStream) return SendMessage(buffer, ref done);
        while (done < buffer.Length)
        {
            IoResult result = Api.Send(Fd, buffer.Slice(done, Math.Min(buffer.Length - done, MaxChunk)));
            NoteBytes(Direction.Write, result);
            if (result.IsSuccess) done += result.Value;
            else if (result != Errno.EINTR) return result;
        }
        return done;
    }

    private IoResult SendMessage(ReadOnlySpan<byte> message, ref int done)
    {
        IoResult result;
        do
        {
            result = Api.Send(Fd, message);
        }
        while (result == Errno.EINTR);
        if (result == Errno.EMSGSIZE) throw TooLong(NameOf(Kind.Write), message.Length);
        if (result.IsSuccess) done = result.Value;
        NoteBytes(Direction.Write, result);
        return result;
    }

    private static string NameOf(Kind kind) => kind switch
    {
        Kind.Read => "read",
        Kind.WaitToRead => "wait to read",
        Kind.Peek => "peek",
        _ => "write",
    };

    /// <summary>A read, a wait to read, a peek or a write. Of a write's buffer it keeps what is not sent yet.</summary>
    private struct IoAttempt(Kind kind, Memory<byte> buffer) : IAttempt
    {
        public readonly Kind Kind => kind;

        public Memory<byte> Buffer { get; private set; } = buffer;

        public readonly string Name => NameOf(kind);

        public IoResult Try(PollFd fd)
        {
            SocketFd socket = (SocketFd)fd;
            if (kind == Kind.Read) return socket.Receive(Buffer.Span);
            if (kind == Kind.WaitToRead) return socket.Peek();
            if (kind == Kind.Peek) return socket.PeekInto(Buffer.Span);
            int done = 0;
            IoResult result = socket.Send(Buffer.Span, ref done);
            Buffer = Buffer[done..];
            return result;
        }
    }

    /// <summary>An attempt that could not complete at once.</summary>
    private sealed class IoOp(SocketFd fd, Direction direction) : PollOp(fd, direction), IValueTaskSource<int>, IValueTaskSource<bool>
    {
        // Set for each operation: its attempt, in fields of its own, because the small one fills a gap of the base class.
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
            IoAttempt attempt = new(_kind, _buffer);
            IoResult result = attempt.Try(Fd);
            _buffer = attempt.Buffer;
            return result;
        }

        protected override void Release() => _buffer = default;
    }
}
