using Poller.Abstractions;
using static Poller.Kqueue.KqueuePlatform;

namespace Poller.Kqueue;

// The twin of Go's runtime/netpoll_kqueue.go, with netpoll_kqueue_event.go and netpoll_kqueue_pipe.go.
//
// Every descriptor is registered once, with both filters and EV_CLEAR, which makes them edges: an event is forgotten when it is delivered
// and comes again with the next change. The wake-up is an EVFILT_USER, or a pipe on a kernel that has none.
//
// A read of a socket stops short at an urgent byte with more behind it, and a reader that takes a short read for "drained" has to know (see
// ReadHangup). macOS and OpenBSD tell of urgent data in a filter of its own, EVFILT_EXCEPT, which is registered as the third. The others
// do not tell: there every READ says that there may be more.
//
// What has run where: so far this file has run over the tests' emulator of kqueue, in every layout, and over no real kernel. The macOS job
// of .github/workflows/ci.yml runs it over one.

/// <summary>The macOS and BSD poller: kqueue(2), edge-triggered by EV_CLEAR.</summary>
/// <remarks>
/// Time-outs count in nanoseconds. Readiness may be reported in two events of one poll, one a direction. Where the kernel marks the end of
/// the read side (EV_EOF), the write side is reported too. FreeBSD, NetBSD and libkqueue do not tell of urgent data, so that there
/// <see cref="PollReadiness.ReadHangup"/> comes with every byte. Threads and ownership are those of <see cref="INetpoll"/>.
/// </remarks>
public sealed class KqueueNetpoll : INetpoll
{
    private const int InitialCapacity = 128;

    // Any number: the filters have idents of their own.
    private const nuint WakeupIdent = 0;

    // No descriptor is registered under it.
    private static readonly ulong Free = PollToken.Wakeup.Value;

    // Constant after Init.
    private readonly IKqueueApi _api;
    private readonly KqueuePlatform _platform;
    private KqueueHandle? _kqueue;

    // Atomic: set once.
    private bool _disposed;

    // Atomic: 1 from the Break that woke the kqueue until the poll that it ended. Later Breaks find 1 and have nothing to do.
    private int _breakPending;

    private readonly Lock _lock = new();

    // Guarded by the lock, which is held over the change that makes it true: what each descriptor was opened under, by its number. A closed
    // descriptor leaves the kqueue by itself, so an entry may be out of date; no entry means not registered.
    private ulong[] _tokens = [];

    // Touched only by the thread that polls. Owed: a poll that does not block has taken the wake-up out of the kernel; it is for the next
    // one that would block.
    private byte[] _buffer;
    private bool _breakOwed;

    /// <summary>A poller that has yet to be initialised.</summary>
    /// <exception cref="PlatformNotSupportedException">There is no kqueue on this machine; the message says why.</exception>
    public KqueueNetpoll() : this(KqueueNetpollFactory.Load()) { }

    internal KqueueNetpoll(IKqueueApi api)
    {
        _api = api;
        _platform = api.Platform;
        _buffer = AllocateBuffer(InitialCapacity);
    }

    /// <inheritdoc/>
    public string Name => KqueueNetpollFactory.BackendName;

    /// <inheritdoc/>
    public PollTrigger Trigger => PollTrigger.Edge;

    /// <summary>For the tests: how many events one wait has room for.</summary>
    internal int Capacity => _buffer.Length / _platform.EventSize;

    /// <summary>For the tests: whether a pipe wakes it.</summary>
    internal bool HasPipe => _kqueue is { PipeRead: >= 0 };

    /// <inheritdoc/>
    public void Init()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        if (_kqueue is not null) throw new InvalidOperationException("kqueue: Init was called before; a poller is initialised once.");
        int kq = _api.Kqueue();
        if (kq < 0) throw new NetpollException("kqueue", new Errno(-kq));
        KqueueHandle kqueue = new(_api, kq);
        try
        {
            Errno errno = AddWakeup(kqueue);
            if (errno != Errno.None) throw new NetpollException("kevent add the wake-up", errno);
        }
        catch
        {
            kqueue.Dispose();
            throw;
        }
        _kqueue = kqueue;
    }

    /// <inheritdoc/>
    public Errno Open(nint fd, PollToken token)
    {
        if (token == PollToken.Wakeup)
        {
            throw new ArgumentException($"token {token} is the poller's own; any other value was expected.", nameof(token));
        }
        KqueueHandle kqueue = Initialised();
        if (fd < 0 || fd > int.MaxValue) return Errno.EBADF;
        int number = (int)fd;

        // A kqueue takes files too, and reports them ready for good. Who opens one by mistake is to be told so, as by epoll.
        int result = _api.Mode(number, out uint mode);
        if (result < 0) return new Errno(-result);
        if ((mode & S_IFMT) is S_IFREG or S_IFDIR or S_IFBLK) return Errno.EPERM;

        bool held = false;
        try
        {
            kqueue.DangerousAddRef(ref held);
            lock (_lock)
            {
                ulong old = number < _tokens.Length ? _tokens[number] : Free;
                if (old != Free && IsRegistered(kqueue, number, old)) return Errno.EEXIST;

                // WRITE before READ, as mio's selector/kqueue.rs has it.
                (Errno write, Errno read) = Change(kqueue, number, EV_ADD | EV_CLEAR, token.Value);

                // macOS answers EPIPE for a pipe whose other end is gone, and reports its end all the same (tokio-rs/mio#582).
                if (write == Errno.EPIPE) write = Errno.None;
                if (read == Errno.EPIPE) read = Errno.None;
                Errno errno = write != Errno.None ? write : read;
                if (errno == Errno.None) Remember(number, token.Value);
                else if (write == Errno.None || read == Errno.None) Change(kqueue, number, EV_DELETE, 0); // Both or neither.
                return errno;
            }
        }
        finally
        {
            if (held) kqueue.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public Errno Close(nint fd)
    {
        KqueueHandle kqueue = Initialised();
        if (fd < 0 || fd > int.MaxValue) return Errno.EBADF;
        bool held = false;
        try
        {
            kqueue.DangerousAddRef(ref held);
            lock (_lock)
            {
                // Deleted here and not left to close(2): an event that is queued goes with its filter at once, and libkqueue does not see
                // a close.
                (Errno write, Errno read) = Change(kqueue, (int)fd, EV_DELETE, 0);
                if (fd < _tokens.Length) _tokens[fd] = Free;

                // One filter may be gone without the other: where Open was answered EPIPE.
                bool isGone = write == Errno.None && read == Errno.ENOENT || read == Errno.None && write == Errno.ENOENT;
                return isGone ? Errno.None : write != Errno.None ? write : read;
            }
        }
        finally
        {
            if (held) kqueue.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public Errno Arm(nint fd, PollMode mode) =>
        throw new NotSupportedException($"arm fd {fd} ({mode}): kqueue is edge-triggered, Open has registered both directions for good.");

    /// <inheritdoc/>
    public int Poll(Span<PollEvent> events, long delay)
    {
        if (events.IsEmpty) throw new ArgumentException("events is empty; room for at least one event was expected.", nameof(events));
        KqueueHandle kqueue = Initialised();
        bool held = false;
        try
        {
            // Held for the whole call: a Dispose on the heels of a Break would else close the kqueue before this wait has seen the wake-up.
            kqueue.DangerousAddRef(ref held);
            int written = PollOnce(kqueue, events, delay, out bool crowdedOut);

            // The wake-up took the only room of a poll that does not block. It is out of the kernel now: look again.
            return crowdedOut ? PollOnce(kqueue, events, delay, out _) : written;
        }
        finally
        {
            if (held) kqueue.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Break()
    {
        KqueueHandle kqueue = Initialised();
        if (Interlocked.CompareExchange(ref _breakPending, 1, 0) != 0) return;
        bool held = false;
        try
        {
            kqueue.DangerousAddRef(ref held);
            if (kqueue.PipeWrite >= 0) SignalPipe(kqueue);
            else Wake(kqueue);
        }
        finally
        {
            if (held) kqueue.DangerousRelease();
        }
    }

    /// <summary>
    /// Frees the kernel objects once no call uses them. A blocked <see cref="Poll"/> is not ended: <see cref="Break"/> it first.
    /// </summary>
    public void Dispose()
    {
        Volatile.Write(ref _disposed, true);
        _kqueue?.Dispose();
    }

    private int PollOnce(KqueueHandle kqueue, Span<PollEvent> events, long delay, out bool crowdedOut)
    {
        crowdedOut = false;
        int room = Math.Min(events.Length, Capacity);
        bool woken = _breakOwed;
        int ready = Wait(kqueue.Number, room, woken ? 0 : delay);
        int written = 0;
        for (int i = 0; i < ready; i++)
        {
            KEvent found = KEvents.Read(_buffer, i, _platform.Layout);
            if (found.Udata == PollToken.Wakeup.Value)
            {
                woken = true;
                if (kqueue.PipeRead >= 0) DrainPipe(kqueue);
            }
            else if (ToReadiness(_platform, found) is not PollReadiness.None and var readiness)
            {
                events[written++] = new PollEvent(new PollToken(found.Udata), readiness);
            }
        }

        // The edges that found no room are still in the kernel's list: let the next wait take more of them.
        if (ready == Capacity) _buffer = AllocateBuffer(2 * Capacity);

        if (!woken) return written;
        if (delay == 0)
        {
            // Delivery is what clears an EVFILT_USER, so the kernel has forgotten the Break that this poll must leave for another. To
            // trigger it again, as Go does, would cost each of these polls two system calls until one blocks. The debt is kept here
            // instead: polls follow one another, so the next one sees it; and no Break comes between, as _breakPending stays 1.
            crowdedOut = !_breakOwed && ready == room && written == 0;
            _breakOwed = true;
        }
        else
        {
            // A Break before the exchange finds 1 and adds nothing, rightly, as this poll is on its way out to its caller. The caller must
            // then see what was stored before that Break, so nothing it loads may overtake the clearing: a full fence, as in the Break.
            _breakOwed = false;
            Interlocked.Exchange(ref _breakPending, 0);
        }
        return written;
    }

    private int Wait(int kq, int room, long delay)
    {
        Span<byte> events = _buffer.AsSpan(0, room * _platform.EventSize);
        while (true)
        {
            int ready = _api.Kevent(kq, default, events, delay);
            if (ready >= 0) return ready;
            Errno errno = new(-ready);
            if (errno != Errno.EINTR) throw new NetpollException("kevent", errno);

            // With a time-out the caller computes what is left of it.
            if (delay > 0) return 0;
        }
    }

    internal static PollReadiness ToReadiness(KqueuePlatform platform, in KEvent found)
    {
        // An error in place of an event: the filter is of no more use. Whoever waits is to look.
        const PollReadiness Both = PollReadiness.Readable | PollReadiness.Writable | PollReadiness.ReadHangup;
        if ((found.Flags & EV_ERROR) != 0) return Both | PollReadiness.Error;

        bool end = (found.Flags & EV_EOF) != 0;
        if (found.Filter == platform.EVFILT_READ)
        {
            // The end is for writers too: on some systems the write end of a pipe whose reader has gone gets this event and no EVFILT_WRITE
            // (Go's runtime/netpoll_kqueue.go).
            if (end) return Both;
            return platform.EVFILT_EXCEPT is null ? PollReadiness.Readable | PollReadiness.ReadHangup : PollReadiness.Readable;
        }
        if (found.Filter == platform.EVFILT_EXCEPT) return PollReadiness.Readable | PollReadiness.ReadHangup;
        if (found.Filter == platform.EVFILT_WRITE)
        {
            // At the end fflags holds the socket's error, which is told once, to whoever asks first, of either side.
            return end && found.Fflags != 0 ? Both : PollReadiness.Writable;
        }
        return PollReadiness.None;
    }

    private Errno AddWakeup(KqueueHandle kqueue)
    {
        KEvent user = new(WakeupIdent, _platform.EVFILT_USER, EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, PollToken.Wakeup.Value);
        Errno errno = Change(kqueue, user);
        if (errno != Errno.EINVAL) return errno;

        // A kernel that does not know the filter: OpenBSD had none for long, nor NetBSD before 10.
        int result = _api.Pipe(out int read, out int write);
        if (result < 0) return new Errno(-result);
        (kqueue.PipeRead, kqueue.PipeWrite) = (read, write);
        return Change(kqueue, new KEvent((nuint)read, _platform.EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, PollToken.Wakeup.Value));
    }

    private void Wake(KqueueHandle kqueue)
    {
        // The udata again, as FreeBSD takes that of every change for the filter's.
        KEvent trigger = new(WakeupIdent, _platform.EVFILT_USER, EV_ENABLE | EV_RECEIPT, NOTE_TRIGGER, 0, PollToken.Wakeup.Value);
        Errno errno = Change(kqueue, trigger);
        if (errno != Errno.None) throw new NetpollException("kevent trigger the wake-up", errno);
    }

    private void SignalPipe(KqueueHandle kqueue)
    {
        while (true)
        {
            int result = _api.Write(kqueue.PipeWrite, [0]);
            if (result > 0 || result == -Errno.EAGAIN.Number) return; // A full pipe is readable.
            if (result != -Errno.EINTR.Number) throw new NetpollException("write the wake-up pipe", new Errno(-result));
        }
    }

    private void DrainPipe(KqueueHandle kqueue)
    {
        Span<byte> bytes = stackalloc byte[16];
        while (true)
        {
            int result = _api.Read(kqueue.PipeRead, bytes);
            if (result > 0 || result == -Errno.EAGAIN.Number) return;
            if (result != -Errno.EINTR.Number) throw new NetpollException("read the wake-up pipe", new Errno(-result));
        }
    }

    // What the kernel has under a number that was opened: nothing, when the descriptor was closed without a Close and the number is
    // another's. EV_ENABLE changes nothing of a filter that is enabled, and is ENOENT where there is none. It goes with the old udata, as
    // FreeBSD takes that of every change.
    private bool IsRegistered(KqueueHandle kqueue, int fd, ulong token)
    {
        (Errno write, Errno read) = Change(kqueue, fd, EV_ENABLE, token);
        return write == Errno.None || read == Errno.None;
    }

    // Changes the filters of a descriptor in one call; the errno of each direction. What the third answers is of no interest: it is refused
    // for all but sockets, which alone have urgent data.
    private (Errno Write, Errno Read) Change(KqueueHandle kqueue, int fd, uint flags, ulong udata)
    {
        int count = _platform.EVFILT_EXCEPT is null ? 2 : 3;
        Span<byte> changes = stackalloc byte[count * _platform.EventSize];
        KEvents.Write(changes, 0, _platform.Layout, new KEvent((nuint)fd, _platform.EVFILT_WRITE, flags | EV_RECEIPT, 0, 0, udata));
        KEvents.Write(changes, 1, _platform.Layout, new KEvent((nuint)fd, _platform.EVFILT_READ, flags | EV_RECEIPT, 0, 0, udata));
        if (_platform.EVFILT_EXCEPT is { } except)
        {
            KEvents.Write(changes, 2, _platform.Layout, new KEvent((nuint)fd, except, flags | EV_RECEIPT, _platform.NOTE_OOB, 0, udata));
        }
        Apply(kqueue, changes);
        return (Receipt(changes, 0), Receipt(changes, 1));
    }

    private Errno Change(KqueueHandle kqueue, in KEvent change)
    {
        Span<byte> changes = stackalloc byte[_platform.EventSize];
        KEvents.Write(changes, 0, _platform.Layout, change);
        Apply(kqueue, changes);
        return Receipt(changes, 0);
    }

    // EV_RECEIPT has the kernel answer each change with an EV_ERROR event, in their order, the errno or 0 in its data. With room for
    // exactly these it returns no other event, which would be lost here; and the time-out of zero keeps it from ever waiting for one.
    private void Apply(KqueueHandle kqueue, Span<byte> changes)
    {
        Span<byte> receipts = stackalloc byte[changes.Length];
        int count = changes.Length / _platform.EventSize;
        int result = _api.Kevent(kqueue.Number, changes, receipts, 0);
        if (result == count)
        {
            receipts.CopyTo(changes);
            return;
        }

        // "When kevent() call fails with EINTR error, all changes in the changelist have been applied" (FreeBSD's kqueue(2)). Any other
        // error is of the call, and so of each change.
        int errno = result == -Errno.EINTR.Number ? 0 : result < 0 ? -result : throw Unanswered(result, count);
        for (int i = 0; i < count; i++)
        {
            KEvents.Write(changes, i, _platform.Layout, KEvents.Read(changes, i, _platform.Layout) with { Flags = EV_ERROR, Data = errno });
        }
    }

    private Errno Receipt(ReadOnlySpan<byte> receipts, int index)
    {
        KEvent receipt = KEvents.Read(receipts, index, _platform.Layout);
        return (receipt.Flags & EV_ERROR) != 0 ? new Errno((int)receipt.Data) : throw Unanswered(index, index + 1);
    }

    private static InvalidOperationException Unanswered(int receipts, int changes) =>
        new($"kevent answered {receipts} of {changes} changes with a receipt; one for each was expected (EV_RECEIPT).");

    private byte[] AllocateBuffer(int capacity) => GC.AllocateArray<byte>(capacity * _platform.EventSize, pinned: true);

    private void Remember(int fd, ulong token)
    {
        if (fd >= _tokens.Length)
        {
            int before = _tokens.Length;
            Array.Resize(ref _tokens, (int)Math.Max(fd + 1L, Math.Min(2L * before, Array.MaxLength)));
            _tokens.AsSpan(before).Fill(Free);
        }
        _tokens[fd] = token;
    }

    private KqueueHandle Initialised()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        return _kqueue ?? throw new InvalidOperationException("kqueue: the poller is not initialised; Init was expected first.");
    }
}
