using Poller.Abstractions;
using static Poller.Kqueue.KqueuePlatform;

namespace Poller.Kqueue;

// The twin of Go's runtime/netpoll_kqueue.go, with netpoll_kqueue_event.go and netpoll_kqueue_pipe.go.
//
// Open registers each descriptor once, with both filters and EV_CLEAR, which makes them edge-triggered: the kernel clears an event when it
// delivers it, and raises it again with the next change. The wake-up is an EVFILT_USER, or a pipe on a kernel without that filter.
//
// A read of a socket stops at an urgent byte even when more bytes follow. A reader would take that short read for "drained"; ReadHangup
// tells it otherwise. macOS and OpenBSD report urgent data in a filter of its own, EVFILT_EXCEPT, which Open registers as the third. The
// other systems do not report it, so there we report ReadHangup with every READ event.
//
// So far this file has run over the tests' kqueue emulator, in every layout, and over no real kernel. The macOS job of
// .github/workflows/ci.yml runs it over one.

/// <summary>The macOS and BSD poller: kqueue(2), edge-triggered by EV_CLEAR.</summary>
/// <remarks>
/// The resolution of time-outs is a nanosecond. One poll may report a descriptor's readiness in two events, one for each direction. If the
/// kernel marks the end of the read side (EV_EOF), the poller reports the write side too. FreeBSD, NetBSD and libkqueue do not report
/// urgent data, so there <see cref="PollReadiness.ReadHangup"/> comes with every read event. <see cref="INetpoll"/> has the rules for
/// threads and ownership.
/// </remarks>
public sealed class KqueueNetpoll : INetpoll
{
    private const int InitialCapacity = 128;

    // Any number will do, because each filter has its own idents.
    private const nuint WakeupIdent = 0;

    // Marks a number under which no descriptor is registered.
    private static readonly ulong Free = PollToken.Wakeup.Value;

    // Constant after Init.
    private readonly IKqueueApi _api;
    private readonly KqueuePlatform _platform;
    private KqueueHandle? _kqueue;

    // Atomic: set once.
    private bool _disposed;

    // Atomic: 1 from the Break that wakes the kqueue until the poll that it ends. A Break that finds 1 does nothing.
    private int _breakPending;

    private readonly Lock _lock = new();

    // Guarded by the lock, which is also held over the kevent call that makes an entry true. The index is a descriptor's number, the value
    // the token that it was opened under. A closed descriptor leaves the kqueue by itself, so an entry may be stale; Free means not
    // registered.
    private ulong[] _tokens = [];

    // Touched only by the thread that polls. A Break is owed when a poll that does not block has taken the wake-up out of the kernel; the
    // next poll that would block takes it.
    private byte[] _buffer;
    private bool _breakOwed;

    /// <summary>Creates a poller. Call <see cref="Init"/> next.</summary>
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

    /// <summary>How many events one wait has room for.</summary>
    internal int Capacity => _buffer.Length / _platform.EventSize;

    /// <summary>For the tests: whether a pipe wakes the poller.</summary>
    internal bool HasPipe => _kqueue is { PipeRead: >= 0 };

    /// <inheritdoc/>
    public void Init()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        if (_kqueue is not null) throw new InvalidOperationException("kqueue: Init was called before; it may be called only once.");
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

        // A kqueue takes files too, and reports them as ready for ever. Refuse them as epoll does, so that a caller sees its mistake.
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

                // Change names WRITE before READ, as mio's selector/kqueue.rs does.
                (Errno write, Errno read) = Change(kqueue, number, EV_ADD | EV_CLEAR, token.Value);

                // macOS returns EPIPE for a pipe whose other end is gone, and still reports the pipe's end (tokio-rs/mio#582).
                if (write == Errno.EPIPE) write = Errno.None;
                if (read == Errno.EPIPE) read = Errno.None;
                Errno errno = write != Errno.None ? write : read;
                if (errno == Errno.None) Remember(number, token.Value);
                else if (write == Errno.None || read == Errno.None) Change(kqueue, number, EV_DELETE, 0); // Leave both or neither.
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
                // We do not leave this to close(2), for two reasons: deleting a filter drops its queued event at once, and libkqueue does
                // not notice a close.
                (Errno write, Errno read) = Change(kqueue, (int)fd, EV_DELETE, 0);
                if (fd < _tokens.Length) _tokens[fd] = Free;

                // After an EPIPE in Open, one of the two filters may not exist.
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
        throw new NotSupportedException(
            $"arm fd {fd} ({mode}): kqueue is edge-triggered, and Open has registered both directions for good.");

    /// <inheritdoc/>
    public int Poll(Span<PollEvent> events, long delay)
    {
        if (events.IsEmpty) throw new ArgumentException("events is empty; room for at least one event was expected.", nameof(events));
        KqueueHandle kqueue = Initialised();
        bool held = false;
        try
        {
            // We hold the handle for the whole call. Otherwise a Dispose right after a Break would close the kqueue before this wait has
            // seen the wake-up.
            kqueue.DangerousAddRef(ref held);
            int written = PollOnce(kqueue, events, delay, out bool crowdedOut);

            // The wake-up took the only room of a poll that does not block. The kernel has cleared it, so poll again.
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
    /// Frees the kernel objects as soon as no call uses them. It does not end a blocked <see cref="Poll"/>: call <see cref="Break"/> first.
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

        // Edges that found no room are still in the kernel's list. A larger buffer lets the next wait take more of them.
        if (ready == Capacity) _buffer = AllocateBuffer(2 * Capacity);

        if (!woken) return written;
        if (delay == 0)
        {
            // Delivery clears an EVFILT_USER, so the kernel has forgotten the Break, which this poll must leave for one that blocks. Go
            // triggers it again. That would cost each poll that does not block a second system call, until one blocks. We note here instead
            // that the Break is owed. One thread at a time polls, so the next poll sees it; and _breakPending stays 1, so no other Break
            // wakes the kqueue meanwhile.
            crowdedOut = !_breakOwed && ready == room && written == 0;
            _breakOwed = true;
        }
        else
        {
            // A Break before the exchange finds 1 and adds nothing, which is right: this poll is already returning to its caller. The
            // caller must then see what was stored before that Break, so its loads may not overtake the clearing. The exchange is a full
            // fence, which pairs with the one in Break.
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

            // If there is a time-out, our caller computes how much is left.
            if (delay > 0) return 0;
        }
    }

    internal static PollReadiness ToReadiness(KqueuePlatform platform, in KEvent found)
    {
        // The kernel returned an error instead of an event, so this filter will report nothing more. Wake both directions to find the
        // error.
        const PollReadiness Both = PollReadiness.Readable | PollReadiness.Writable | PollReadiness.ReadHangup;
        if ((found.Flags & EV_ERROR) != 0) return Both | PollReadiness.Error;

        bool end = (found.Flags & EV_EOF) != 0;
        if (found.Filter == platform.EVFILT_READ)
        {
            // Wake writers too: on some systems, when the reader of a pipe has gone, the write end gets this event and no EVFILT_WRITE
            // (Go's runtime/netpoll_kqueue.go).
            if (end) return Both;
            return platform.EVFILT_EXCEPT is null ? PollReadiness.Readable | PollReadiness.ReadHangup : PollReadiness.Readable;
        }
        if (found.Filter == platform.EVFILT_EXCEPT) return PollReadiness.Readable | PollReadiness.ReadHangup;
        if (found.Filter == platform.EVFILT_WRITE)
        {
            // With EV_EOF, fflags holds the socket's error. A socket returns its error once, to the first call of either side: wake both.
            return end && found.Fflags != 0 ? Both : PollReadiness.Writable;
        }
        return PollReadiness.None;
    }

    private Errno AddWakeup(KqueueHandle kqueue)
    {
        KEvent user = new(WakeupIdent, _platform.EVFILT_USER, EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, PollToken.Wakeup.Value);
        Errno errno = Change(kqueue, user);
        if (errno != Errno.EINVAL) return errno;

        // The kernel does not know the filter: older versions of OpenBSD, and NetBSD before 10, lack it.
        int result = _api.Pipe(out int read, out int write);
        if (result < 0) return new Errno(-result);
        (kqueue.PipeRead, kqueue.PipeWrite) = (read, write);
        return Change(kqueue, new KEvent((nuint)read, _platform.EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, PollToken.Wakeup.Value));
    }

    private void Wake(KqueueHandle kqueue)
    {
        // We pass the udata again, because on FreeBSD every change replaces the filter's udata.
        KEvent trigger = new(WakeupIdent, _platform.EVFILT_USER, EV_ENABLE | EV_RECEIPT, NOTE_TRIGGER, 0, PollToken.Wakeup.Value);
        Errno errno = Change(kqueue, trigger);
        if (errno != Errno.None) throw new NetpollException("kevent trigger the wake-up", errno);
    }

    private void SignalPipe(KqueueHandle kqueue)
    {
        while (true)
        {
            int result = _api.Write(kqueue.PipeWrite, [0]);
            if (result > 0 || result == -Errno.EAGAIN.Number) return; // A pipe that is full is readable.
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

    // Whether the kernel still has filters under a number that was opened. It has none if the descriptor was closed without Close and the
    // number now belongs to another. EV_ENABLE does not change a filter that is enabled, and returns ENOENT if there is none. We pass the
    // old udata, because on FreeBSD every change replaces the filter's udata.
    private bool IsRegistered(KqueueHandle kqueue, int fd, ulong token)
    {
        (Errno write, Errno read) = Change(kqueue, fd, EV_ENABLE, token);
        return write == Errno.None || read == Errno.None;
    }

    // Changes the filters of a descriptor in one call, and returns the errno of each direction. We ignore the third filter's errno: only
    // sockets have urgent data, and the kernel refuses that filter for everything else.
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

    // With EV_RECEIPT the kernel answers each change with an EV_ERROR event, in order; its data holds the errno, or 0. There is room for
    // exactly these, so the kernel returns no other event, which would be lost here. The time-out of zero keeps the call from waiting.
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

        // "When kevent() call fails with EINTR error, all changes in the changelist have been applied" (FreeBSD's kqueue(2)). After any
        // other error none was applied, so each change gets that error.
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
        return _kqueue ?? throw new InvalidOperationException("kqueue: the poller is not initialised; call Init first.");
    }
}
