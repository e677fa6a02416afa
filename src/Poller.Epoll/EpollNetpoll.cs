using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Epoll;

// The twin of Go's runtime/netpoll_epoll.go.
//
// Open registers each descriptor once, for both directions, edge-triggered. The wake-up is an eventfd under PollToken.Wakeup. It is
// level-triggered, and only a poll that may block reads it. So a non-blocking poll leaves a pending Break in the kernel.
//
// With PollTrigger.Level a OneShotSet stands between the descriptors and the kernel. The rest is the same.

/// <summary>The Linux poller: epoll(7), edge-triggered unless its options say otherwise. An eventfd(2) wakes it.</summary>
/// <remarks>
/// The resolution of time-outs is a nanosecond where the kernel has epoll_pwait2(2) (Linux 5.11), else a millisecond, rounded up.
/// <see cref="INetpoll"/> has the rules for threads and ownership.
/// </remarks>
public sealed class EpollNetpoll : INetpoll
{
    private const int InitialCapacity = 128;
    private const long NanosecondsPerMillisecond = 1_000_000;

    // Constant after Init. The wake-up is the epoll's companion: it is closed right after the epoll. Only a Level poller has the set.
    private SafeFd? _epoll;
    private SafeFd? _wakeup;
    private OneShotSet? _oneShotSet;

    // Atomic: set once.
    private bool _disposed;

    // Atomic: 1 from the Break that writes the eventfd until the poll that reads it. A Break that finds 1 does nothing.
    private int _breakPending;

    // Touched only by the thread that polls.
    private EpollEventBuffer _buffer = new(InitialCapacity);
    private bool _hasPwait2 = true;

    /// <summary>Creates an edge-triggered poller. Call <see cref="Init"/> next.</summary>
    public EpollNetpoll() : this(new EpollNetpollOptions()) { }

    /// <summary>Creates a poller that works as the options say. Call <see cref="Init"/> next.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option has an undefined value.</exception>
    public EpollNetpoll(EpollNetpollOptions options)
    {
        Name = EpollNetpollFactory.NameOf(options);
        Trigger = options.Trigger;
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public PollTrigger Trigger { get; }

    /// <summary>For the tests: whether time-outs still go through epoll_pwait2.</summary>
    internal bool HasPwait2 { get => _hasPwait2; set => _hasPwait2 = value; }

    /// <summary>For the tests: how many events one wait has room for.</summary>
    internal int Capacity => _buffer.Capacity;

    /// <inheritdoc/>
    public void Init()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        if (_epoll is not null) throw new InvalidOperationException("epoll: Init was called before; it may be called only once.");
        SafeFd epoll = LibC.epoll_create1(LibC.EPOLL_CLOEXEC);
        if (epoll.IsInvalid) throw LastError("epoll_create1");
        SafeFd wakeup = LibC.eventfd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK);
        if (wakeup.IsInvalid)
        {
            NetpollException error = LastError("eventfd");
            epoll.Dispose();
            throw error;
        }
        Errno errno = LibC.Control(epoll, LibC.EPOLL_CTL_ADD, wakeup.DangerousGetHandle(), LibC.EPOLLIN, PollToken.Wakeup.Value);
        if (errno != Errno.None)
        {
            wakeup.Dispose();
            epoll.Dispose();
            throw new NetpollException("epoll_ctl add the wake-up eventfd", errno);
        }
        epoll.Companion = wakeup;
        _wakeup = wakeup;
        _oneShotSet = Trigger == PollTrigger.Level ? new OneShotSet(epoll) : null;
        _epoll = epoll;
    }

    /// <inheritdoc/>
    public Errno Open(nint fd, PollToken token)
    {
        if (token == PollToken.Wakeup)
        {
            throw new ArgumentException($"token {token} is the poller's own; any other value was expected.", nameof(token));
        }
        SafeFd epoll = Initialised(_epoll);
        if (_oneShotSet is not null) return _oneShotSet.Open(fd, token);

        // Go asks for all of these but EPOLLPRI. We need it because tcp_recvmsg stops at an urgent byte even when more bytes follow. A
        // reader would take that short read for "drained"; ReadHangup tells it otherwise.
        const uint Interest = LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLPRI | LibC.EPOLLET;
        return LibC.Control(epoll, LibC.EPOLL_CTL_ADD, fd, Interest, token.Value);
    }

    /// <inheritdoc/>
    public Errno Close(nint fd)
    {
        SafeFd epoll = Initialised(_epoll);
        return _oneShotSet is null ? LibC.Control(epoll, LibC.EPOLL_CTL_DEL, fd, 0, 0) : _oneShotSet.Close(fd);
    }

    /// <inheritdoc/>
    public Errno Arm(nint fd, PollMode mode)
    {
        if (Trigger == PollTrigger.Edge)
        {
            throw new NotSupportedException(
                $"arm fd {fd} ({mode}): epoll is edge-triggered here, and Open has registered both directions for good.");
        }
        Initialised(_epoll);
        return _oneShotSet!.Arm(fd, mode);
    }

    /// <inheritdoc/>
    public int Poll(Span<PollEvent> events, long delay)
    {
        if (events.IsEmpty) throw new ArgumentException("events is empty; room for at least one event was expected.", nameof(events));
        SafeFd epoll = Initialised(_epoll);
        bool held = false;
        try
        {
            // We hold the handle for the whole call. Otherwise a Dispose right after a Break would close the wake-up before the kernel has
            // reported it, and this wait would never end.
            epoll.DangerousAddRef(ref held);
            long start = delay > 0 && _oneShotSet is not null ? Stopwatch.GetTimestamp() : 0;
            long left = delay;
            bool crowdedOut = false;
            while (true)
            {
                int written = PollOnce(epoll.DangerousGetHandle(), events, left, out Rest rest);
                switch (rest)
                {
                    // A non-blocking poll leaves the wake-up in the kernel, which moves it to the end of its list. If the wake-up took the
                    // only room, the next wait finds the events that are now before it.
                    case Rest.CrowdedOut when !crowdedOut:
                        crowdedOut = true;
                        break;
                    case Rest.Unarmed:
                        if (delay <= 0) break;
                        left = delay - (long)Stopwatch.GetElapsedTime(start).TotalNanoseconds;
                        if (left <= 0) return 0;
                        break;
                    default:
                        return written;
                }
            }
        }
        finally
        {
            if (held) epoll.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Break()
    {
        SafeFd wakeup = Initialised(_wakeup);
        if (Interlocked.CompareExchange(ref _breakPending, 1, 0) == 0) LibC.Signal(wakeup);
    }

    /// <summary>
    /// Frees the kernel objects as soon as no call uses them. It does not end a blocked <see cref="Poll"/>: call <see cref="Break"/> first.
    /// </summary>
    public void Dispose()
    {
        Volatile.Write(ref _disposed, true);
        _epoll?.Dispose();
    }

    /// <summary>What is left to do after a wait that had nothing for the caller.</summary>
    private enum Rest
    {
        None,

        /// <summary>The wake-up took the only room. It stays pending for a poll that blocks.</summary>
        CrowdedOut,

        /// <summary>All events were for directions that are not armed.</summary>
        Unarmed,
    }

    private int PollOnce(nint epoll, Span<PollEvent> events, long delay, out Rest rest)
    {
        int room = Math.Min(events.Length, _buffer.Capacity);
        int ready = Wait(epoll, room, delay);
        int written = 0;
        bool woken = false;
        for (int i = 0; i < ready; i++)
        {
            (uint mask, ulong data) = _buffer[i];
            if (data == PollToken.Wakeup.Value) woken = true;
            else if (TryFind(mask, data, out PollEvent found)) events[written++] = found;
        }

        // Edges that found no room are still in the kernel's list. A larger buffer lets the next wait take more of them.
        if (ready == _buffer.Capacity) _buffer = new EpollEventBuffer(_buffer.Capacity * 2);

        rest = Rest.None;
        if (woken && delay != 0)
        {
            // Read, then clear. A Break between the two finds 1 and adds nothing, which is right: this poll is already returning to its
            // caller. The caller must then see what was stored before that Break, so its loads may not overtake the clearing. The exchange
            // is a full fence, which pairs with the one in Break. A plain release store loses one wake-up in some millions on x64.
            LibC.Drain(_wakeup!);
            Interlocked.Exchange(ref _breakPending, 0);
        }
        else if (written == 0 && ready > 0)
        {
            if (!woken) rest = Rest.Unarmed;
            else if (ready == room) rest = Rest.CrowdedOut;
        }
        return written;
    }

    private bool TryFind(uint mask, ulong data, out PollEvent found)
    {
        if (_oneShotSet is not null) return _oneShotSet.TryDeliver(mask, data, out found);
        found = new PollEvent(new PollToken(data), ToReadiness(mask));
        return found.Readiness != PollReadiness.None;
    }

    private int Wait(nint epoll, int room, long delay)
    {
        while (true)
        {
            int ready;
            if (delay <= 0)
            {
                ready = LibC.Wait(epoll, ref _buffer.Memory, room, delay < 0 ? -1 : 0);
            }
            else if (_hasPwait2)
            {
                ready = LibC.Wait2(epoll, ref _buffer.Memory, room, delay);
                if (ready < 0 && new Errno(-ready) is var missing && (missing == Errno.ENOSYS || missing == Errno.EPERM))
                {
                    // Container sandboxes that are older than the call return EPERM for a number that they do not know.
                    _hasPwait2 = false;
                    continue;
                }
            }
            else
            {
                ready = LibC.Wait(epoll, ref _buffer.Memory, room, ToMilliseconds(delay));
            }

            if (ready >= 0) return ready;
            Errno errno = new(-ready);
            if (errno != Errno.EINTR) throw new NetpollException(delay > 0 && _hasPwait2 ? "epoll_pwait2" : "epoll_wait", errno);

            // A signal ends epoll_wait even under SA_RESTART (signal(7)). If there is a time-out, our caller computes how much is left.
            if (delay > 0) return 0;
        }
    }

    /// <summary>Rounds up: after a poll that returned early, the caller's timer would not be due yet, and it would spin.</summary>
    internal static int ToMilliseconds(long delay) =>
        (int)Math.Min(delay / NanosecondsPerMillisecond + (delay % NanosecondsPerMillisecond == 0 ? 0 : 1), int.MaxValue);

    internal static PollReadiness ToReadiness(uint mask)
    {
        PollReadiness readiness = PollReadiness.None;
        if ((mask & (LibC.EPOLLIN | LibC.EPOLLRDHUP | LibC.EPOLLPRI | LibC.EPOLLHUP | LibC.EPOLLERR)) != 0)
        {
            readiness |= PollReadiness.Readable;
        }

        if ((mask & (LibC.EPOLLOUT | LibC.EPOLLHUP | LibC.EPOLLERR)) != 0) readiness |= PollReadiness.Writable;
        if ((mask & (LibC.EPOLLRDHUP | LibC.EPOLLPRI | LibC.EPOLLHUP | LibC.EPOLLERR)) != 0) readiness |= PollReadiness.ReadHangup;
        if (mask == LibC.EPOLLERR) readiness |= PollReadiness.Error;
        return readiness;
    }

    private SafeFd Initialised(SafeFd? handle)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        return handle ?? throw new InvalidOperationException("epoll: the poller is not initialised; call Init first.");
    }

    private static NetpollException LastError(string operation) => new(operation, LibC.LastError);
}
