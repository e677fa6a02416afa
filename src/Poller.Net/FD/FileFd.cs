using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of poll.FD as Go's os.File uses it (os/file_unix.go): a descriptor of any kind.
//
// There are two forms of operation:
//
//   try first   A read, a write, or the caller's own function. It tries, and waits only after "would block". The wait is for an edge.
//   wait only   It waits for a native library, which reads by itself and may stop before the descriptor is empty. No edge would come then.
//
// The wait-only form is the same operation with poll(2) as its try, and so it is level-triggered over every backend: it forgets old
// readiness (Reset), looks, and parks only if the look says "not ready". Readiness that comes between the Reset and the look leaves the
// side Ready, so no edge is lost. What the library left unread is found by the look. After each wake-up it looks again. (A wait to write
// does not Reset, as no write does: it may find old readiness, and then looks once more.)
//
// A stream's shortcut after a short read (DrainedFlag) does not hold here: a short read of a terminal, an inotify or a pipe in packet mode
// does not mean that nothing is left.
//
// O_NONBLOCK belongs to the open file description, which other processes may share. A descriptor that is left blocking is tried only after
// poll(2) says "ready", and then once: one read, or one write of at most PIPE_BUF bytes.
//
// A number that the file does not own may be closed elsewhere, and belong to another descriptor then. That breaks the rule of PolledFile,
// but the next owner must not pay for it. So each try first looks whether the number still refers to the same file, and O_NONBLOCK is put
// back only if it does. One limit: all eventfds, timerfds and their like are one file. For the restore the backend's registration tells
// more, but posix has only the number.
//
// A descriptor that cannot be polled (UnpollableIsReady) has a PollDesc, for its deadlines and its close, and is in no backend.
//
// Who ends it, in one word; the first wins:
//
//   Setup -> Open       the constructor is done; until then a close leaves the handle alone
//   Open  -> Closing    Dispose or the finalizer: whoever leaves last disposes the handle if it is owned
//   Open  -> Detached   Detach: whoever leaves last puts O_NONBLOCK back and leaves the handle to the caller

/// <summary>The descriptor of a <see cref="PolledFile"/>.</summary>
internal sealed class FileFd : PollFd
{
    private const int MaxChunk = 1 << 30;

    // What a read of a terminal's master end says when nobody has the terminal. Every system has this number.
    private static readonly Errno Eio = new(5);

    // The values of _end.
    private const int Setup = 0;
    private const int Open = 1;
    private const int Closing = 2;
    private const int Detached = 3;

    // Constant after Create. The handle is referenced until the last operation has left.
    private readonly SafeHandle _handle;
    private readonly bool _ownsHandle;
    private readonly string _kind;
    private readonly bool _unpollableIsReady;
    private readonly FileIdentity? _identity;
    private bool _isBorrowedNumber;
    private bool _isPollable;
    private bool _isBlocking;
    private bool _restoresBlocking;

    // Whoever leaves last sets it, and reads it.
    private bool _isGone;

    // Atomic.
    private int _end = Setup;

    // Its continuations run on the pool, and never on the stack of the operation that leaves the descriptor last.
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private enum Kind : byte
    {
        Read,
        Write,
        WaitToRead,
        WaitToWrite,
    }

    private FileFd(
        SafeHandle handle, bool ownsHandle, FileKind kind, FileIdentity? identity, string name, PolledFileOptions options)
        : base(handle.DangerousGetHandle())
    {
        _handle = handle;
        _ownsHandle = ownsHandle;
        _kind = name;
        _identity = identity;
        _unpollableIsReady = options.UnpollableIsReady;
        _isPollable = !kind.IsUnpollable();
    }

    /// <summary>What the descriptor is, and its number: <c>pipe fd 7</c>.</summary>
    public override string Description => $"{_kind} fd {Fd}";

    /// <summary>Completes when the descriptor is closed or detached, and nobody uses it any more.</summary>
    public Task Left => _left.Task;

    /// <summary>
    /// Puts a descriptor into a poller. If that fails, the handle is as it was. With <paramref name="isNumber"/> the caller gave a number,
    /// which the handle does not keep open unless it owns it.
    /// </summary>
    public static FileFd Create(Netpoller poller, SafeHandle handle, bool ownsHandle, PolledFileOptions options, bool isNumber)
    {
        bool held = false;
        handle.DangerousAddRef(ref held);
        FileFd? file = null;
        try
        {
            nint fd = handle.DangerousGetHandle();
            (FileKind kind, FileIdentity identity) = (FileKind.Unknown, default);
            Errno error = fd == (int)fd ? UnixFileApi.KindOf(fd, out kind, out identity) : Errno.EBADF;
            if (error == Errno.EBADF) throw Refused("open", $"fd {fd}", error, "an open descriptor was expected");
            file = new FileFd(handle, ownsHandle, kind, error == Errno.None ? identity : null, NameOf(kind, fd), options);
            file._isBorrowedNumber = isNumber && !ownsHandle;
            file.SetUp(poller, options.NonBlocking);
            return file;
        }
        catch
        {
            // A FileFd gives its reference back when it is closed.
            if (file is not null) file.Dispose();
            else handle.DangerousRelease();
            throw;
        }
    }

    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken token)
    {
        IoAttempt attempt = new(Kind.Read, buffer);
        return StartAsync<IoAttempt, int>(Direction.Read, ref attempt, token);
    }

    // The cast lets one attempt serve both directions. A write only reads from the buffer.
    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken token)
    {
        IoAttempt attempt = new(Kind.Write, MemoryMarshal.AsMemory(buffer));
        return StartAsync(Direction.Write, ref attempt, token);
    }

    public ValueTask WaitAsync(Direction direction, CancellationToken token)
    {
        IoAttempt attempt = new(WaitIn(direction));
        return StartAsync(direction, ref attempt, token);
    }

    /// <summary>The blocking form of <see cref="ReadAsync"/>.</summary>
    public int Read(Span<byte> buffer) =>
        RunBlocking(Direction.Read, NameOf(Kind.Read), ref buffer, static (fd, ref buffer) => ((FileFd)fd).ReadOnce(buffer));

    /// <summary>The blocking form of <see cref="WriteAsync"/>.</summary>
    public void Write(ReadOnlySpan<byte> buffer) =>
        RunBlocking(Direction.Write, NameOf(Kind.Write), ref buffer, static (fd, ref left) =>
        {
            IoResult result = ((FileFd)fd).WriteAll(left, out int done);
            left = left[done..];
            return result;
        });

    /// <summary>The blocking form of <see cref="WaitAsync"/>.</summary>
    public void Wait(Direction direction)
    {
        IoAttempt attempt = new(WaitIn(direction));
        RunBlocking(direction, attempt.Name, ref attempt, static (fd, ref attempt) => attempt.Try(fd));
    }

    /// <summary>The blocking form of <see cref="DetachAsync"/>.</summary>
    public SafeHandle Detach() => WaitFor("detach", DetachAsync);

    /// <summary>Ends the descriptor, and gives the handle back when the last operation has left.</summary>
    public async Task<SafeHandle> DetachAsync()
    {
        if (Interlocked.CompareExchange(ref _end, Detached, Open) != Open) throw Failed("detach", IoResult.Disposed);
        Dispose();
        await Left.ConfigureAwait(false);
        return _handle;
    }

    public override Exception Failed(string operation, IoResult result)
    {
        if (result == IoResult.Disposed)
        {
            return new ObjectDisposedException(nameof(PolledFile), $"{operation} {Description}: closed before the operation.");
        }
        if (result == IoResult.ClosedInQueue || (result == IoResult.Closing && IsClosed))
        {
            return NetOpException.Closed(operation, Description, null, null);
        }
        if (result == IoResult.Closing) return NetOpException.PollerDisposed(operation, Description, null, null);
        if (result == IoResult.PollerFailed) return NetOpException.PollerFailed(operation, Description, null, null, PollerFailure!);
        if (result == IoResult.NotPollable)
        {
            return Refused(operation, Description, Errno.EOPNOTSUPP, "the descriptor reports an error and cannot be polled");
        }
        bool isGone = result == Errno.EBADF && !RefersToOurs();
        return Refused(operation, Description, result.Errno, isGone ? "it was closed elsewhere" : null);
    }

    protected override Exception TimedOut(string operation, TimeSpan? timeout) =>
        NetOpException.Timeout(operation, Description, null, null, timeout);

    protected override PollDesc Enter(PollLoop loop)
    {
        if (_isPollable)
        {
            try
            {
                return loop.Open(Fd);
            }
            catch (NetpollException e) when (e.Error == Errno.EPERM)
            {
                _isPollable = false; // Some devices, such as /dev/null.
            }
        }
        if (_unpollableIsReady) return loop.Open(Fd, isPolled: false);
        const string Hint = "it cannot be polled; a pipe, a socket, a terminal or the like was expected, or UnpollableIsReady";
        throw Refused("open", Description, Errno.EPERM, Hint);
    }

    // A number that is not ours to close may have been closed elsewhere, and may now be another descriptor of this loop.
    protected override void Leave(PollLoop loop, PollDesc desc)
    {
        if (!_isPollable) loop.Cache.Free(desc);
        else if (_ownsHandle) loop.Close(desc);
        else _isGone = !loop.CloseBorrowed(desc);
    }

    protected override bool Close()
    {
        Interlocked.CompareExchange(ref _end, Closing, Open);
        return base.Close();
    }

    protected override void CloseDescriptor(PollLoop? loop)
    {
        bool closes = _ownsHandle && Volatile.Read(ref _end) == Closing;
        try
        {
            if (_restoresBlocking && !closes && !_isGone && RefersToOurs())
            {
                IoResult result = UnixFileApi.SetNonBlocking(Fd, false);
                if (!result.IsSuccess) loop?.Report("clear O_NONBLOCK", Refused("clear O_NONBLOCK", Description, result.Errno));
            }
            _handle.DangerousRelease();
            if (closes) _handle.Dispose();
        }
        finally
        {
            _left.TrySetResult();
        }
    }

    private static NetOpException Refused(string operation, string description, Errno error, string? hint = null) =>
        NetOpException.Refused(operation, description, new NetpollException($"{operation} {description}", error), hint);

    private static string NameOf(FileKind kind, nint fd) => kind switch
    {
        FileKind.Pipe => "pipe",
        FileKind.CharacterDevice => "character device",
        FileKind.Directory => "directory",
        FileKind.BlockDevice => "block device",
        FileKind.RegularFile => "regular file",
        FileKind.Socket => "socket",
        _ => UnixFileApi.AnonymousName(fd) ?? "descriptor",
    };

    private static Kind WaitIn(Direction direction) => direction == Direction.Read ? Kind.WaitToRead : Kind.WaitToWrite;

    private static string NameOf(Kind kind) => kind switch
    {
        Kind.Read => "read",
        Kind.Write => "write",
        Kind.WaitToRead => "wait to read",
        _ => "wait to write",
    };

    private void SetUp(Netpoller poller, NonBlockingMode mode)
    {
        if (_isPollable)
        {
            IoResult isNonBlocking = UnixFileApi.IsNonBlocking(Fd);
            if (isNonBlocking == 0 && (mode == NonBlockingMode.Always || (mode == NonBlockingMode.IfOwned && _ownsHandle)))
            {
                isNonBlocking = UnixFileApi.SetNonBlocking(Fd, true);
                _restoresBlocking = isNonBlocking.IsSuccess;
            }
            else
            {
                _isBlocking = isNonBlocking == 0;
            }
            if (!isNonBlocking.IsSuccess) throw Refused("open", Description, isNonBlocking.Errno, "O_NONBLOCK was to be set");
        }
        try
        {
            Init(poller);
        }
        catch (NetpollException e)
        {
            throw NetOpException.Refused("open", Description, e, e.Message);
        }
        catch (ObjectDisposedException e)
        {
            throw new ObjectDisposedException($"open {Description}: its poller was disposed before the operation.", e);
        }
        Volatile.Write(ref _end, Open);
    }

    // 0 if a try will not block its thread, or why it may not be made now.
    protected override IoResult BeforeCall(Direction direction) => _isBlocking ? Look(direction) : CheckNumber();

    private IoResult Look(Direction direction)
    {
        IoResult result = CheckNumber();
        return result.IsSuccess && _isPollable ? UnixFileApi.Look(Fd, direction) : result;
    }

    // 0 if a try may use the number, or why not. After a dispose the number's owner may do with it as it likes, though a wait may end with
    // readiness that was there before.
    private IoResult CheckNumber() =>
        !_isBorrowedNumber ? 0
        : IsClosed ? IoResult.Closing
        : RefersToOurs() ? 0
        : Errno.EBADF;

    private bool RefersToOurs()
    {
        Errno error = UnixFileApi.KindOf(Fd, out _, out FileIdentity found);
        return error == Errno.None ? _identity is null || _identity == found : error != Errno.EBADF;
    }

    protected override IoResult WouldBlock(string operation)
    {
        if (_isPollable) return Errno.EAGAIN;
        const string Reason = "the call would block, but what cannot be polled is always ready; a result was expected";
        throw new InvalidOperationException($"{operation} {Description}: {Reason}.");
    }

    private IoResult ReadOnce(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return Look(Direction.Read);
        IoResult result = BeforeCall(Direction.Read);
        if (!result.IsSuccess) return result;
        if (buffer.Length > MaxChunk) buffer = buffer[..MaxChunk];
        result = Read(Fd, buffer);

        // Linux may tell the end of a terminal while it still has bytes, which the next read gets. One that blocks might wait for the next
        // process which opens the terminal.
        if (result == Eio && !_isBlocking) result = Read(Fd, buffer);
        return result == Errno.EAGAIN ? WouldBlock(NameOf(Kind.Read)) : result;
    }

    private static IoResult Read(nint fd, Span<byte> buffer)
    {
        IoResult result;
        do
        {
            result = UnixFileApi.Read(fd, buffer);
        }
        while (result == Errno.EINTR);
        return result;
    }

    private IoResult WriteAll(ReadOnlySpan<byte> buffer, out int done)
    {
        int most = _isBlocking ? UnixFileApi.PipeBuffer : MaxChunk;
        done = 0;
        while (done < buffer.Length)
        {
            IoResult result = BeforeCall(Direction.Write);
            if (!result.IsSuccess) return result;
            result = UnixFileApi.Write(Fd, buffer.Slice(done, Math.Min(buffer.Length - done, most)));
            if (result.IsSuccess) done += result.Value;
            else if (result == Errno.EAGAIN) return WouldBlock(NameOf(Kind.Write));
            else if (result != Errno.EINTR) return result;
        }
        return 0;
    }

    /// <summary>A read(2), as many write(2) as it takes, or a wait. Of a write's buffer it keeps what is left.</summary>
    private struct IoAttempt(Kind kind, Memory<byte> buffer = default) : IAttempt<int>
    {
        private Memory<byte> _buffer = buffer;

        public int Result { get; private set; }

        public readonly string Name => NameOf(kind);

        public IoResult Try(PollFd fd)
        {
            FileFd file = (FileFd)fd;
            IoResult result;
            switch (kind)
            {
                case Kind.Read:
                    result = file.ReadOnce(_buffer.Span);
                    if (result.IsSuccess) Result = result.Value;
                    break;
                case Kind.Write:
                    result = file.WriteAll(_buffer.Span, out int done);
                    _buffer = _buffer[done..];
                    break;
                default:
                    result = file.Look(kind == Kind.WaitToRead ? Direction.Read : Direction.Write);
                    break;
            }
            return result;
        }

        public void Release() => _buffer = default;
    }
}
