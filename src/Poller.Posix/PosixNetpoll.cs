using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Posix;

// The twin of Go's runtime/netpoll_aix.go.
//
// A descriptor is in the set that poll(2) is given only while a direction of it is armed. Not only because there is nothing to wait for
// else: poll reports an error, a hang-up and a closed number whatever it was asked for, and would come back at once, again and again.
//
// The set is the polling thread's. Who opens, closes or arms changes the registration, under the lock, and puts it on the list of the
// changed; the next wait brings the set up to date, each change in constant time. A wait that blocks meanwhile is woken, through a pipe in
// the first place of the set, to begin anew with the new set; its caller sees nothing of that. A Break wakes it by the same byte: what
// tells the two apart is a flag of the Break's own. A poll that does not block leaves the pipe out, and so leaves a Break where it is.
//
// Close has one more thing to see to. While the kernel waits for a descriptor it holds the file: a close(2) right after Close would send
// no FIN and free no port before the wait was over, and would run on the polling thread then, linger and all. So Close waits until the
// kernel has let go, as Go's does: the second lock is held by the poll that has handed over the set, and is taken with the first one held.

/// <summary>The poller of every Unix: level-triggered poll(2), woken by a pipe(2).</summary>
/// <remarks>
/// <para>
/// A poll with n armed descriptors costs the kernel, and the search for those that are ready, O(n); all else is O(1) a change. Nothing is
/// allocated after <see cref="Open"/>, but for a set that grows.
/// </para>
/// <para>
/// Time-outs count in nanoseconds on a 64-bit Linux, in milliseconds, rounded up, elsewhere. Threads and ownership are those of
/// <see cref="INetpoll"/>. A descriptor is known by its number until <see cref="Close"/>, also when it was closed without.
/// </para>
/// </remarks>
public sealed class PosixNetpoll : INetpoll
{
    private const int InitialCapacity = 128;
    private const int WakeupSlot = 0;
    private const int NoSlot = 0; // It is the wake-up's.

    // Constant after Init. The end that Break writes to is the companion of the one that polls read: closed with it and not before.
    private SafeFd? _wakeup;
    private SafeFd? _signal;

    // Atomic: set once.
    private bool _disposed;

    // Atomic. The first is 1 from the byte's writer until the poll that read the byte: later ones find 1 and have nothing to do. The second
    // is 1 from a Break until the poll that it ended.
    private int _signalled;
    private int _breakPending;

    private readonly Lock _lock = new();

    // Guarded by the lock.
    private readonly Dictionary<int, Registration> _registrations = [];
    private Registration? _changed;
    private bool _isBlocked;

    // Held by a poll while the kernel has the set; the lock is held to take it.
    private readonly Lock _kernel = new();

    // Touched only by the thread that polls.
    private PollFd[] _set = GC.AllocateArray<PollFd>(InitialCapacity, pinned: true);
    private Registration?[] _owners = new Registration?[InitialCapacity];
    private int _count;
    private int _next = WakeupSlot + 1;

    /// <summary>One descriptor. Guarded by the lock.</summary>
    private sealed class Registration(int fd, PollToken token)
    {
        public readonly int Fd = fd;
        public readonly PollToken Token = token;

        /// <summary>What is to be reported. None for good once it is closed.</summary>
        public PollMode Armed;

        /// <summary>Where in the set it stands; that is up to date when it is not on the list of the changed.</summary>
        public int Slot = NoSlot;

        public bool IsChanged;
        public Registration? NextChanged;
    }

    /// <inheritdoc/>
    public string Name => PosixNetpollFactory.BackendName;

    /// <inheritdoc/>
    public PollTrigger Trigger => PollTrigger.Level;

    /// <summary>For the tests: whether time-outs go through ppoll.</summary>
    internal bool UsesPpoll { get; set; } = LibC.HasPpoll;

    /// <summary>For the tests: how many descriptors the last poll has waited for.</summary>
    internal int SetSize => _count - 1;

    /// <inheritdoc/>
    public void Init()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        if (_wakeup is not null) throw new InvalidOperationException("posix: Init was called before; a poller is initialised once.");
        int result = LibC.Pipe(out int read, out int write);
        SafeFd wakeup = new(read) { Companion = new SafeFd(write) };
        if (result < 0)
        {
            wakeup.Dispose();
            throw new NetpollException("pipe", new Errno(-result));
        }
        _set[WakeupSlot] = new PollFd { Fd = read, Events = LibC.POLLIN };
        _count = WakeupSlot + 1;
        _signal = wakeup.Companion;
        _wakeup = wakeup;
    }

    /// <inheritdoc/>
    public Errno Open(nint fd, PollToken token)
    {
        if (token == PollToken.Wakeup)
        {
            throw new ArgumentException($"token {token} is the poller's own; any other value was expected.", nameof(token));
        }
        Initialised(_wakeup);
        Errno errno = LibC.CheckPollable(fd);
        if (errno != Errno.None) return errno;
        lock (_lock)
        {
            return _registrations.TryAdd((int)fd, new Registration((int)fd, token)) ? Errno.None : Errno.EEXIST;
        }
    }

    /// <inheritdoc/>
    public Errno Close(nint fd)
    {
        Initialised(_wakeup);
        if (fd < 0 || fd != (int)fd) return Errno.EBADF;
        lock (_lock)
        {
            if (!_registrations.Remove((int)fd, out Registration? closed)) return Errno.ENOENT;
            closed.Armed = PollMode.None;
            if (closed.Slot == NoSlot) return Errno.None;
            NoteChange(closed);
            lock (_kernel) return Errno.None;
        }
    }

    /// <inheritdoc/>
    public Errno Arm(nint fd, PollMode mode)
    {
        Initialised(_wakeup);
        if (fd < 0 || fd != (int)fd) return Errno.EBADF;
        lock (_lock)
        {
            if (!_registrations.TryGetValue((int)fd, out Registration? armed)) return Errno.ENOENT;
            if ((armed.Armed | mode) == armed.Armed) return Errno.None;
            armed.Armed |= mode;
            NoteChange(armed);
            return Errno.None;
        }
    }

    /// <inheritdoc/>
    public int Poll(Span<PollEvent> events, long delay)
    {
        if (events.IsEmpty) throw new ArgumentException("events is empty; room for at least one event was expected.", nameof(events));
        SafeFd wakeup = Initialised(_wakeup);
        bool held = false;
        try
        {
            // Held for the whole call: the kernel has the number.
            wakeup.DangerousAddRef(ref held);
            long start = delay > 0 ? Stopwatch.GetTimestamp() : 0;
            long left = delay;
            while (true)
            {
                int ready = Wait(left);
                bool interrupted = ready == -Errno.EINTR.Number;
                if (ready < 0 && !interrupted) throw Refused(new Errno(-ready));

                bool woken = delay != 0 && ready > 0 && _set[WakeupSlot].Revents != 0;
                int written = Deliver(events, interrupted ? 0 : woken ? ready - 1 : ready);
                if (woken && TakeBreak(wakeup) || written > 0) return written;

                // poll is never restarted after a signal handler (signal(7)). With a time-out the caller computes what is left of it.
                if (delay == 0 ? !interrupted : delay > 0 && (interrupted || ready == 0)) return 0;

                // The set has changed, or what is ready was disarmed meanwhile.
                if (delay > 0)
                {
                    left = delay - (long)Stopwatch.GetElapsedTime(start).TotalNanoseconds;
                    if (left <= 0) return 0;
                }
            }
        }
        finally
        {
            if (held) wakeup.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Break()
    {
        Initialised(_wakeup);
        if (Interlocked.Exchange(ref _breakPending, 1) == 0) Signal();
    }

    /// <summary>Frees the pipe once no call uses it. A blocked <see cref="Poll"/> is not ended: <see cref="Break"/> it first.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _disposed, true);
        _wakeup?.Dispose();
    }

    private int Wait(long delay)
    {
        lock (_lock)
        {
            UpdateSet();
            _isBlocked = delay != 0;
            _kernel.Enter();
        }
        try
        {
            int first = delay == 0 ? WakeupSlot + 1 : WakeupSlot;
            return LibC.Poll(ref _set[first], _count - first, delay, UsesPpoll);
        }
        finally
        {
            _kernel.Exit();
        }
    }

    // Reports what is ready and armed, and disarms it. The search begins where the last one ended, or those at the end of the set would
    // never have their turn where those before them are always ready and the room is small.
    private int Deliver(Span<PollEvent> events, int ready)
    {
        lock (_lock)
        {
            _isBlocked = false;
            int written = 0;
            for (int i = 1; i < _count && ready > 0 && written < events.Length; i++)
            {
                if (_next >= _count) _next = WakeupSlot + 1;
                int slot = _next++;
                if (_set[slot].Revents == 0) continue;
                ready--;

                // The registration may have changed since the kernel was given the set.
                Registration found = _owners[slot]!;
                PollReadiness readiness = ToReadiness(_set[slot].Revents) & Deliverable(found.Armed);
                PollMode delivered = ToMode(readiness);
                if (delivered == PollMode.None) continue;
                if (_set[slot].Revents == LibC.POLLERR && !HasNothingButAnError(found.Fd)) readiness &= ~PollReadiness.Error;
                events[written++] = new PollEvent(found.Token, readiness);
                found.Armed &= ~delivered;
                NoteChange(found);
            }
            return written;
        }
    }

    // A Break between the reading and the exchanges finds 1 and adds nothing, rightly, as this poll is on its way out to its caller. The
    // caller must then see what was stored before that Break, so nothing it loads may overtake the clearing: a full fence, as in the Break.
    // And whoever finds the first flag set has set the second one before, so that it is seen here.
    private bool TakeBreak(SafeFd wakeup)
    {
        int result = LibC.Drain(wakeup);
        if (result < 0) throw new NetpollException("read the wake-up pipe", new Errno(-result));
        Interlocked.Exchange(ref _signalled, 0);
        return Interlocked.Exchange(ref _breakPending, 0) != 0;
    }

    private void Signal()
    {
        if (Interlocked.CompareExchange(ref _signalled, 1, 0) != 0) return;
        int result = LibC.Signal(_signal!);
        if (result < 0) throw new NetpollException("write the wake-up pipe", new Errno(-result));
    }

    // Under the lock.
    private void NoteChange(Registration registration)
    {
        if (!registration.IsChanged)
        {
            registration.IsChanged = true;
            registration.NextChanged = _changed;
            _changed = registration;
        }
        if (_isBlocked) Signal();
    }

    // Under the lock.
    private void UpdateSet()
    {
        while (_changed is { } changed)
        {
            _changed = changed.NextChanged;
            changed.NextChanged = null;
            changed.IsChanged = false;
            short events = ToEvents(changed.Armed);
            if (events != 0)
            {
                if (changed.Slot == NoSlot) Append(changed);
                _set[changed.Slot].Events = events;
            }
            else if (changed.Slot != NoSlot)
            {
                Remove(changed);
            }
        }
    }

    private void Append(Registration added)
    {
        if (_count == _set.Length)
        {
            PollFd[] larger = GC.AllocateArray<PollFd>(_count * 2, pinned: true);
            _set.CopyTo(larger, 0);
            _set = larger;
            Array.Resize(ref _owners, _count * 2);
        }
        added.Slot = _count++;
        _set[added.Slot].Fd = added.Fd;
        _owners[added.Slot] = added;
    }

    private void Remove(Registration removed)
    {
        int last = --_count;
        Registration moved = _owners[last]!;
        _set[removed.Slot] = _set[last];
        _owners[removed.Slot] = moved;
        _owners[last] = null;
        moved.Slot = removed.Slot;
        removed.Slot = NoSlot;
    }

    // poll tells of an error whatever it was asked for. Asked for both directions, it tells whether there is anything beside the error.
    private static bool HasNothingButAnError(int fd) => LibC.Look(fd, ToEvents(PollMode.ReadWrite)) == LibC.POLLERR;

    // Not POLLPRI, which would go on for as long as an urgent byte stands at the head of a stream that is only looked at. It is not needed
    // either: what stands behind that byte is reported by itself.
    internal static short ToEvents(PollMode mode) =>
        (short)(((mode & PollMode.Read) != 0 ? LibC.POLLIN | LibC.POLLRDHUP : 0) | ((mode & PollMode.Write) != 0 ? LibC.POLLOUT : 0));

    internal static PollReadiness ToReadiness(short revents)
    {
        const int Both = LibC.POLLHUP | LibC.POLLERR | LibC.POLLNVAL;
        PollReadiness readiness = PollReadiness.None;
        if ((revents & (LibC.POLLIN | LibC.POLLRDHUP | Both)) != 0) readiness |= PollReadiness.Readable;
        if ((revents & (LibC.POLLOUT | Both)) != 0) readiness |= PollReadiness.Writable;
        if ((revents & (LibC.POLLRDHUP | Both)) != 0) readiness |= PollReadiness.ReadHangup;
        if (revents is LibC.POLLERR or LibC.POLLNVAL) readiness |= PollReadiness.Error;
        return readiness;
    }

    // What tells of a direction only where it is armed, and what tells of the descriptor always.
    private static PollReadiness Deliverable(PollMode armed) =>
        PollReadiness.ReadHangup | PollReadiness.Error
        | ((armed & PollMode.Read) != 0 ? PollReadiness.Readable : 0)
        | ((armed & PollMode.Write) != 0 ? PollReadiness.Writable : 0);

    private static PollMode ToMode(PollReadiness readiness) =>
        ((readiness & PollReadiness.Readable) != 0 ? PollMode.Read : 0) | ((readiness & PollReadiness.Writable) != 0 ? PollMode.Write : 0);

    private NetpollException Refused(Errno errno)
    {
        string? hint = errno == Errno.EINVAL
            ? $"at most as many descriptors as the process may open (RLIMIT_NOFILE) were expected in the set; it has {_count}"
            : null;
        return new NetpollException(UsesPpoll ? "ppoll" : "poll", errno, hint);
    }

    private SafeFd Initialised(SafeFd? handle)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        return handle ?? throw new InvalidOperationException("posix: the poller is not initialised; Init was expected to be called first.");
    }
}
