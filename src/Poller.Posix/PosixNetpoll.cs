using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Posix;

// The twin of Go's runtime/netpoll_aix.go.
//
// A descriptor is in the set that we pass to poll(2) only while one of its directions is armed. poll reports errors, hang-ups and closed
// numbers even for descriptors that it was asked nothing about, so an unarmed descriptor in the set could end each wait at once.
//
// Only the polling thread touches the set. Open, Close and Arm change the registration under the lock, and Close and Arm put it on the list
// of the changed ones. The next wait applies that list to the set, each change in constant time. If a wait blocks meanwhile, a byte in a
// pipe ends it, and it starts again with the new set; its caller does not notice. The pipe has the first place of the set. A Break wakes
// the wait by the same byte, and sets a flag that tells the two apart. A poll that does not block leaves the pipe out of the set, so it
// leaves a Break pending.
//
// Close must also wait. While the kernel polls a descriptor, it holds the open file. A close(2) right after Close would then send no FIN
// and free no port until that poll ended, and the polling thread would run the real close, including the linger time. So Close waits until
// the kernel has let go of the set, as Go's netpollclose does. A poll holds the second lock while the kernel has the set. Close takes that
// lock while it holds the first.

/// <summary>A poller for every Unix: level-triggered poll(2). A pipe(2) wakes it.</summary>
/// <remarks>
/// <para>
/// A poll with n armed descriptors costs O(n), in the kernel and in the search for the ready ones. Open, Close and Arm cost O(1). After
/// <see cref="Open"/> the poller allocates only when its set grows.
/// </para>
/// <para>
/// The resolution of time-outs is a nanosecond on a 64-bit Linux; elsewhere it is a millisecond, rounded up. <see cref="INetpoll"/> has the
/// rules for threads and ownership. A number stays registered until <see cref="Close"/>, even if close(2) comes first.
/// </para>
/// </remarks>
public sealed class PosixNetpoll : INetpoll
{
    private const int InitialCapacity = 128;
    private const int WakeupSlot = 0;
    private const int NoSlot = 0; // The wake-up has this slot, so no descriptor does.

    // Constant after Init. Polls read the first end, Break writes to the second. The second is the first one's companion: it is closed
    // right after it.
    private SafeFd? _wakeup;
    private SafeFd? _signal;

    // Atomic: set once.
    private bool _disposed;

    // Atomic. The first is 1 from the write of the byte until the poll that read it has cleared the flag; whoever finds 1 need not write.
    // The second is 1 from a Break until the poll that it ends.
    private int _signalled;
    private int _breakPending;

    private readonly Lock _lock = new();

    // Guarded by the lock.
    private readonly Dictionary<int, Registration> _registrations = [];
    private Registration? _changed;
    private bool _isBlocked;

    // A poll holds it while the kernel has the set. Whoever takes it holds the lock above.
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

        /// <summary>The directions to report. After Close it stays None.</summary>
        public PollMode Armed;

        /// <summary>Its index in the set. Armed and the set agree unless the registration is on the list of the changed ones.</summary>
        public int Slot = NoSlot;

        public bool IsChanged;
        public Registration? NextChanged;
    }

    /// <inheritdoc/>
    public string Name => PosixNetpollFactory.BackendName;

    /// <inheritdoc/>
    public PollTrigger Trigger => PollTrigger.Level;

    /// <summary>Whether time-outs go through ppoll. The tests change it.</summary>
    internal bool UsesPpoll { get; set; } = LibC.HasPpoll;

    /// <summary>For the tests: how many descriptors the last poll waited for.</summary>
    internal int SetSize => _count - 1;

    /// <inheritdoc/>
    public void Init()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        if (_wakeup is not null) throw new InvalidOperationException("posix: Init was called before; it may be called only once.");
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
            // We hold the pipe for the whole call, because the kernel polls its number.
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

                // A signal ends poll even under SA_RESTART (signal(7)). If there is a time-out, our caller computes how much is left.
                if (delay == 0 ? !interrupted : delay > 0 && (interrupted || ready == 0)) return 0;

                // The set has changed, or the ready directions were disarmed meanwhile. Wait again.
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

    /// <summary>
    /// Frees the pipe as soon as no call uses it. It does not end a blocked <see cref="Poll"/>: call <see cref="Break"/> first.
    /// </summary>
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

    // Reports the directions that are ready and armed, and disarms them. The search starts where the last one ended. Otherwise, when the
    // room is small, descriptors at the front of the set that are always ready would starve those at its end.
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

                // The registration may have changed since the kernel got the set.
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

    // A Break between the read and the exchanges finds 1 and adds nothing, which is right: this poll is already returning to its caller.
    // The caller must then see what was stored before that Break, so its loads may not overtake the clearing. The exchanges are full
    // fences, which pair with those in Break. A Break sets the second flag before it looks at the first. So if it finds the first set, we
    // see the second here.
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

    // poll reports an error also for a descriptor that was asked about one direction. So ask about both: only then does POLLERR alone mean
    // that there is nothing beside the error.
    private static bool HasNothingButAnError(int fd) => LibC.Look(fd, ToEvents(PollMode.ReadWrite)) == LibC.POLLERR;

    // Without POLLPRI: an urgent byte at the head of a stream would raise it again and again until someone reads the byte. We do not need
    // it either, because the bytes behind the urgent one raise POLLIN by themselves.
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

    // A direction's readiness is delivered only if it is armed. A hang-up or an error concerns the whole descriptor.
    private static PollReadiness Deliverable(PollMode armed) =>
        PollReadiness.ReadHangup | PollReadiness.Error
        | ((armed & PollMode.Read) != 0 ? PollReadiness.Readable : 0)
        | ((armed & PollMode.Write) != 0 ? PollReadiness.Writable : 0);

    private static PollMode ToMode(PollReadiness readiness) =>
        ((readiness & PollReadiness.Readable) != 0 ? PollMode.Read : 0) | ((readiness & PollReadiness.Writable) != 0 ? PollMode.Write : 0);

    private NetpollException Refused(Errno errno)
    {
        string? hint = errno == Errno.EINVAL
            ? $"the set has {_count} descriptors; at most as many as the process may open (RLIMIT_NOFILE) were expected"
            : null;
        return new NetpollException(UsesPpoll ? "ppoll" : "poll", errno, hint);
    }

    private SafeFd Initialised(SafeFd? handle)
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed), this);
        return handle ?? throw new InvalidOperationException("posix: the poller is not initialised; call Init first.");
    }
}
