using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;

namespace Poller.Net;

// The twin of netpoll in Go's runtime: one poller, its descriptors, its deadlines and the waiters that are ready.
//
// Any thread may open, close, park and schedule here. One thread at a time leads the loop (LoopTerms). Only the leader calls FillBatch, and
// it runs what that finds.

/// <summary>One loop of a <see cref="Netpoller"/>.</summary>
internal sealed class PollLoop
{
    // 2 KiB; it doubles whenever a poll fills it. So a busy loop reaches its size after some polls; with half the value it takes one poll
    // more. Double the value would waste memory in loops with few connections.
    private const int InitialEvents = 128;

    // 1 MiB, which a loop keeps. Events beyond it come with the next poll. With half the value each 32,768 events cost one more system
    // call; double the value keeps 2 MiB.
    private const int MaxEvents = 1 << 16;

    // Constant.
    private readonly Netpoller _owner;
    private readonly INetpoll _poll;
    private readonly ITimer? _timer;

    // Atomic.
    private InjectedQueue _injected;
    private int _stopping;
    private ProbeWaiter? _probe;

    // Atomic. Set before _stopping, so that whoever sees that the loop ends can say why.
    private Exception? _failure;

    // Until when the leader sleeps in a poll: a time in ns of the loop's clock, or 0 while it is awake. Only the leader writes it. Whoever
    // publishes work (an injected waiter, an earlier deadline, the stop) writes that and then reads this. The leader writes this and then
    // reads whether there is work. Both have a full fence between, so the leader sees the work or a Break ends its sleep.
    private long _sleepUntil;

    // For the statistics and the metrics. Only the leader writes the first two; the others are atomic.
    private long _polls;
    private long _eventCount;
    private long _breaks;
    private long _connections;
    private long _accepts;
    private long _bytesReceived;
    private long _bytesSent;

    // When the poll that found the batch's waiters came back, by Stopwatch; 0 while nobody listens. Only the leader writes it, before it
    // publishes the batch.
    private long _readyAt;

    // Touched only by the leader.
    private PollEvent[] _events = new PollEvent[InitialEvents];

    public PollLoop(Netpoller owner, INetpoll poll, int index)
    {
        _owner = owner;
        _poll = poll;
        Clock = new LoopClock(owner.TimeProvider);
        Terms = new LoopTerms(this);
        BoxedIndex = index;
        Name = $"poller {poll.Name} {index}";
        Threads = new LoopThreads(this, Name, owner.MaxBlockedHandlers);
        Overflow = new OverflowQueue(this, owner.MaxBlockedHandlers);

        // A poll's time-out follows the kernel's clock. With any other clock, that clock's own timer must end the poll.
        if (owner.TimeProvider != TimeProvider.System)
        {
            _timer = owner.TimeProvider.CreateTimer(
                static loop => ((PollLoop)loop!).Wake(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>The loop's name in reports, and its threads' name.</summary>
    public string Name { get; }

    /// <summary>Its number in its poller, from 0 up, for a tag.</summary>
    public object BoxedIndex { get; }

    public PollCache Cache { get; } = new();

    public LoopClock Clock { get; }

    public PollTimers Timers { get; } = new();

    public ReadyBatch Batch { get; } = new();

    public LoopTerms Terms { get; }

    public LoopThreads Threads { get; }

    public OverflowQueue Overflow { get; }

    /// <summary>The monitor; null with thread-pool dispatch.</summary>
    public Sysmon? Sysmon => _owner.Sysmon;

    public NetpollDispatch Dispatch => _owner.Dispatch;

    public PollTrigger Trigger => _poll.Trigger;

    public PollerMetrics Metrics => _owner.Metrics;

    /// <summary>The number of open connections.</summary>
    public long Connections => Volatile.Read(ref _connections);

    /// <summary>How many connections were accepted.</summary>
    public long Accepts => Volatile.Read(ref _accepts);

    /// <summary>The bytes that sockets received while someone listened to that number.</summary>
    public long BytesReceived => Volatile.Read(ref _bytesReceived);

    /// <summary>The bytes that sockets sent, as with <see cref="BytesReceived"/>.</summary>
    public long BytesSent => Volatile.Read(ref _bytesSent);

    /// <summary>Whether the loop is ending or has ended, because it was stopped or its backend failed.</summary>
    public bool IsStopping => Volatile.Read(ref _stopping) != 0;

    /// <summary>The backend's exception that ended the loop; null if none did.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    public NetpollerStatistics Statistics => new()
    {
        Polls = Volatile.Read(ref _polls),
        Events = Volatile.Read(ref _eventCount),
        Breaks = Volatile.Read(ref _breaks),
        Promotions = Terms.Promotions,
        BlockedHandlers = Threads.Blocked,
        Overflows = Overflow.Count,
    };

    /// <summary>Starts the first leader.</summary>
    public void Start() => Threads.StartLeader(withFollower: Dispatch == NetpollDispatch.Adaptive);

    /// <summary>
    /// Registers a descriptor. The caller still owns it. With <paramref name="isPolled"/> false it is in no backend: it has deadlines and a
    /// close, and no readiness.
    /// </summary>
    public PollDesc Open(nint fd, bool isPolled = true)
    {
        PollDesc desc = Cache.Alloc(fd);
        Errno errno;
        try
        {
            // Stop publishes that the loop stops, and then evicts every desc of the cache. So Stop evicts this desc, or we refuse it here.
            Interlocked.MemoryBarrier();
            ThrowIfStopping();
            errno = isPolled ? Uninterrupted.Run((_poll, fd, desc), static c => c._poll.Open(c.fd, c.desc.Token)) : Errno.None;
        }
        catch (Exception e)
        {
            Cache.Free(desc);
            if (e is ObjectDisposedException) ThrowIfStopping(); // The loop has ended since we looked, and has disposed the backend.
            throw;
        }
        if (errno == Errno.None) return desc;
        Cache.Free(desc);
        throw new NetpollException($"{_poll.Name} open fd {fd}", errno, HintFor(errno));

        static string? HintFor(Errno errno) =>
            errno == Errno.EPERM
                ? "it cannot be polled (regular files and directories cannot); a socket, a pipe, a terminal or the like was expected"
            : errno == Errno.EBADF ? "an open descriptor was expected"
            : errno == Errno.EEXIST ? "the descriptor is already in the poller; one that is not was expected"
            : null;
    }

    /// <summary>Ends the waits of a desc, and lets no new one begin.</summary>
    public void Evict(PollDesc desc)
    {
        Timers.Evict(desc, out PollWaiter? reader, out PollWaiter? writer);
        Schedule(reader);
        Schedule(writer);
    }

    /// <summary>Unregisters an evicted descriptor that nobody uses any more. The caller closes it afterwards, not before.</summary>
    public void Close(PollDesc desc)
    {
        Unregister(desc);
        Cache.Free(desc);
    }

    /// <summary>
    /// As <see cref="Close"/>, for a descriptor that others may have closed before. If another descriptor of this loop has the number now,
    /// its registration stays. False if the backend shows that it was closed before.
    /// </summary>
    public bool CloseBorrowed(PollDesc desc)
    {
        bool wasOpen = Cache.IfNumberIsUnique(desc, Unregister);
        Cache.Free(desc);
        return wasOpen;
    }

    /// <summary>Notes that the loop has one open connection more, or one less.</summary>
    public void NoteConnection(int change) => Interlocked.Add(ref _connections, change);

    /// <summary>Notes that a listener has accepted a connection, which is on this loop.</summary>
    public void NoteAccept() => Interlocked.Increment(ref _accepts);

    /// <summary>Notes bytes that a socket received (<see cref="Direction.Read"/>) or sent. They count only while someone listens.</summary>
    public void NoteBytes(Direction direction, long count)
    {
        if (Metrics.CountsBytes) Interlocked.Add(ref direction == Direction.Read ? ref _bytesReceived : ref _bytesSent, count);
    }

    /// <summary>Reports something that the operator should know.</summary>
    public void Warn(string message) => _owner.Warn(message);

    /// <summary>Reports a handler that holds its thread for long, or has done so.</summary>
    public void NoteStall(in HandlerTrace trace, TimeSpan stall, bool isOver) => _owner.NoteStall(this, trace, stall, isOver);

    /// <summary>Reports an error that reaches no caller.</summary>
    public void Report(string operation, Exception exception) => _owner.Report(operation, exception);

    /// <summary>Prolongs deadlines that have not passed; it needs no reference. False if the caller must set them instead.</summary>
    public bool TryProlong(PollDeadlines deadlines, PollMode mode, DateTimeOffset deadline) =>
        Clock.TryAt(deadline, inSync: Volatile.Read(ref _sleepUntil) == 0, out long when, out long atMost)
        && deadlines.TryProlong(mode, when, atMost);

    /// <summary>Sets the deadlines that <paramref name="mode"/> names: <see cref="PollTimers.SetDeadline"/>.</summary>
    public void SetDeadline(PollDesc desc, PollMode mode, long when)
    {
        Timers.SetDeadline(desc, mode, when, out PollWaiter? reader, out PollWaiter? writer);
        Schedule(reader);
        Schedule(writer);
        WakeForTimer();
    }

    /// <summary>Sets the time-out of an operation that starts: <see cref="PollTimers.SetTimeout"/>.</summary>
    public void SetTimeout(PollDesc desc, Direction direction, long when)
    {
        Timers.SetTimeout(desc, direction, when);
        WakeForTimer();
    }

    /// <summary>
    /// Parks a waiter: <see cref="PollDesc.Park"/>. Without <paramref name="arms"/> a backend that is level-triggered does not report the
    /// side; something else makes it ready.
    /// </summary>
    /// <exception cref="NetpollException">
    /// The backend refused to arm the descriptor, for example because it was closed elsewhere.
    /// </exception>
    /// <exception cref="IOException">The backend threw another exception, which is the inner exception.</exception>
    public PollPark Park(PollDesc desc, Direction direction, PollWaiter waiter, bool arms = true)
    {
        if (arms && _poll.Trigger == PollTrigger.Level)
        {
            // Arm before the waiter announces itself: if the backend reports in between, the waiter finds the side Ready. If a wait ends
            // without readiness, its direction stays armed. The report then finds a later waiter, or nobody: a spurious wake-up, never a
            // lost one.
            try
            {
                Errno errno = Uninterrupted.Run(
                    (_poll, desc, direction), static c => c._poll.Arm(c.desc.Fd, c.direction.ToMode()));
                if (errno != Errno.None) throw new NetpollException($"{_poll.Name} arm fd {desc.Fd}", errno);
            }
            catch (ObjectDisposedException) when (IsStopping)
            {
                // Stop evicts every desc, and so this one, before or after it parks.
            }
            catch (Exception e) when (e is not NetpollException)
            {
                throw new IOException($"{_poll.Name} arm fd {desc.Fd}: {e.Message}", e);
            }
        }
        return desc.Park(direction, waiter);
    }

    /// <summary>Has a waiter run that became runnable outside of a poll. It never runs on the caller's stack.</summary>
    public void Schedule(PollWaiter? waiter)
    {
        if (waiter is null || waiter.TryWakeThread()) return;
        if (Dispatch == NetpollDispatch.ThreadPool || IsStopping)
        {
            QueueToPool(waiter);
            return;
        }
        Inject(waiter);
    }

    /// <summary>Sends a probe round the loop, unless one is under way. Returns the one that is.</summary>
    public ProbeWaiter Probe()
    {
        ProbeWaiter probe = new(this);
        if (Interlocked.CompareExchange(ref _probe, probe, null) is { } before) return before;
        Inject(probe);
        return probe;
    }

    /// <summary>Notes that the loop has run the probe.</summary>
    public void NoteProbed() => Volatile.Write(ref _probe, null);

    private void Inject(PollWaiter waiter)
    {
        _injected.Push(waiter);
        if (Volatile.Read(ref _sleepUntil) != 0) Break();

        // Stop has taken the waiters that were injected before it. Those that come later go to the pool.
        if (IsStopping) AddAll(_injected.TakeAll());
    }

    /// <summary>The exception for the user of a loop, or a poller, that has ended because its backend failed.</summary>
    public static IOException FailureOf(string name, Exception failure) => new($"{name} has failed: {failure.Message}", failure);

    /// <summary>Ends the loop. Every wait ends as if its connection were closed. Does not wait for running handlers.</summary>
    public void Stop()
    {
        if (Interlocked.Exchange(ref _stopping, 1) != 0) return;
        foreach (PollDesc desc in Cache.Snapshot())
        {
            if (Failure is not null) desc.MarkFailed();
            Evict(desc);
            RunOnPool(Cache.TakeHangupWatch(desc));
        }
        AddAll(_injected.TakeAll());

        // The leader may be in a handler that waits for a waiter which is still in the batch, and the monitor, which would help, ends too.
        while (Batch.TryClaim(out PollWaiter? waiter)) QueueToPool(waiter);
        uint lead = Terms.Lead;
        if (Dispatch == NetpollDispatch.Adaptive && !LoopTerms.IsPolling(lead)) Terms.TryPromote(lead);
        Threads.Stop();
        Wake();
    }

    /// <summary>Gives the lead away before a thread of this loop blocks in a call of this library.</summary>
    public void HandOff()
    {
        // With inline dispatch no thread could take over. The thread then waits for an operation of another loop (PollFd.BeforeBlocking),
        // and this loop stands still meanwhile.
        if (Dispatch != NetpollDispatch.Inline) Terms.HandOff();
    }

    /// <summary>
    /// Polls, and publishes the waiters that became runnable. Returns their number. Only the leader calls it, while it polls.
    /// </summary>
    public int FillBatch()
    {
        Batch.Clear();
        try
        {
            Poll();
        }
#pragma warning disable CA1031 // Whatever the backend or the clock throws, we publish what was found until then, and the loop ends.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Fail(e);
        }
        return Batch.Publish();
    }

    /// <summary>
    /// Claims the next waiter of the batch. <paramref name="readyAt"/> is when the poll that found it came back, by Stopwatch, or 0 if
    /// nobody listens.
    /// </summary>
    public bool TryClaim([NotNullWhen(true)] out PollWaiter? waiter, out long readyAt)
    {
        // The leader may refill the batch while we claim. The batch that we claimed from is the one of the time we read only if the time is
        // the same after the claim, whose exchange orders the two reads.
        readyAt = _readyAt;
        bool found = Batch.TryClaim(out waiter);
        if (readyAt != _readyAt) readyAt = 0;
        return found;
    }

    /// <summary>Records the delay of a waiter that runs now. It was ready at <paramref name="readyAt"/>; 0 means unknown.</summary>
    public void NoteDelay(long readyAt)
    {
        if (readyAt != 0) Metrics.RecordDelay(this, readyAt);
    }

    /// <summary>Frees the kernel objects. The leader of a stopped loop calls it as its last act.</summary>
    public void Free()
    {
        AddAll(_injected.TakeAll());
        try
        {
            _timer?.Dispose();
            _poll.Dispose();
        }
#pragma warning disable CA1031 // Whatever the backend throws, the loop ends.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Report($"{Name}: dispose", e);
        }
    }

    /// <summary>Has the thread pool run a waiter.</summary>
    public static void QueueToPool(PollWaiter waiter) => ThreadPool.UnsafeQueueUserWorkItem(waiter, preferLocal: false);

    /// <summary>Has the thread pool run what watched for a hang-up, if there is something.</summary>
    public static void RunOnPool(IThreadPoolWorkItem? watch)
    {
        if (watch is not null) ThreadPool.UnsafeQueueUserWorkItem(watch, preferLocal: false);
    }

    // Never throws: the descriptor must be closed and its desc recycled, whatever the backend throws.
    // False if the descriptor was closed elsewhere.
    private bool Unregister(PollDesc desc)
    {
        try
        {
            Errno errno = Uninterrupted.Run((_poll, desc), static c => c._poll.Close(c.desc.Fd));
            if (errno == Errno.None) return true;
            string operation = $"{_poll.Name} close fd {desc.Fd}";
            Report(operation, new NetpollException(operation, errno, "it was closed elsewhere before it left the poller"));
            return false;
        }
        catch (ObjectDisposedException) when (IsStopping)
        {
            // The kernel object is gone, and with it all registrations.
        }
#pragma warning disable CA1031 // See above.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Report($"{_poll.Name} close fd {desc.Fd}", e);
        }
        return true;
    }

    private void Poll()
    {
        int count = _poll.Poll(_events, BeginSleep());
        long now = 0;
        if (Timers.Next != PollTimers.Never) Clock.Look(now = Clock.Now);
        Volatile.Write(ref _sleepUntil, 0);
        _readyAt = Metrics.MeasuresDelay ? Stopwatch.GetTimestamp() : 0;

        Volatile.Write(ref _polls, _polls + 1);
        Volatile.Write(ref _eventCount, _eventCount + count);
        foreach (ref readonly PollEvent found in _events.AsSpan(0, count))
        {
            PollDesc? desc = Cache.Find(found.Token);
            if (desc is null) continue;
            desc.Notify(found, out PollWaiter? reader, out PollWaiter? writer, out bool isFirstHangup);
            Add(reader);
            Add(writer);
            if (isFirstHangup) RunOnPool(Cache.TakeHangupWatch(desc));
        }
        if (count == _events.Length && count < MaxEvents) _events = new PollEvent[count * 2];

        AddAll(Timers.Expire(now));
        AddAll(_injected.TakeAll());
    }

    // Ends a loop that can no longer poll or be woken. If its leader sleeps and cannot be woken, the leader ends when its poll returns.
    // Every caller stops the loop, even if another one is about to. Otherwise a leader whose polls all fail would spin until that one does.
    private void Fail(Exception failure)
    {
        if (Interlocked.CompareExchange(ref _failure, failure, null) is null)
        {
            Report($"{Name}: the backend failed; the loop ends, and operations that wait on it fail", failure);
        }
        Stop();
    }

    // Publishes until when the leader sleeps. Returns how long the poll may block, in ns.
    private long BeginSleep()
    {
        Interlocked.Exchange(ref _sleepUntil, PollTimers.Never);
        if (!_injected.IsEmpty || IsStopping) return 0;
        long next = Timers.Next;
        if (next == PollTimers.Never) return -1;

        long now = Clock.Now;
        if (next <= now) return 0;
        Volatile.Write(ref _sleepUntil, next);
        if (_timer is null) return next - now;

        // If the clock moved before the timer was armed, arm it again. A clock that a test moves then stands still, and the timer fires
        // exactly when it should. A clock that runs always moves, so the second try is good enough unless it jumped.
        const long Tick = 100;
        const long Longest = int.MaxValue * 1_000_000L; // Any timer takes this much. The loop looks again afterwards.
        const long Jump = 1_000_000;
        for (int tries = 1; ; tries++)
        {
            now = Clock.Now;
            if (next <= now) return 0;
            _timer.Change(new TimeSpan((Math.Min(next - now, Longest) + Tick - 1) / Tick), Timeout.InfiniteTimeSpan);
            long moved = Clock.Now - now;
            if (moved == 0 || (tries > 1 && moved <= Jump)) return -1;
        }
    }

    private void ThrowIfStopping()
    {
        if (Failure is { } failure) throw FailureOf(Name, failure);
        ObjectDisposedException.ThrowIf(IsStopping, typeof(Netpoller));
    }

    private void WakeForTimer()
    {
        // Leaving the timers' lock is not a full fence. Without one, the read of _sleepUntil could move before the store of Next, and we
        // could miss a leader that is about to sleep.
        Interlocked.MemoryBarrier();
        if (Timers.Next < Volatile.Read(ref _sleepUntil)) Break();
    }

    private void Add(PollWaiter? waiter)
    {
        if (waiter is null || waiter.TryWakeThread()) return;
        if (Dispatch != NetpollDispatch.ThreadPool && !IsStopping && Batch.TryAdd(waiter)) return;
        if (_readyAt == 0 || IsStopping) QueueToPool(waiter);
        else ThreadPool.UnsafeQueueUserWorkItem(new TimedWaiter(this, waiter, _readyAt), preferLocal: false);
    }

    private void AddAll(PollWaiter? waiters)
    {
        while (PollWaiter.TryPop(ref waiters, out PollWaiter? waiter)) Add(waiter);
    }

    private void Break()
    {
        Interlocked.Increment(ref _breaks);
        Wake();
    }

    private void Wake()
    {
        try
        {
            _poll.Break();
        }
        catch (ObjectDisposedException) when (IsStopping)
        {
            // No thread sleeps in the poll any more.
        }
#pragma warning disable CA1031 // Whatever the backend throws, the loop must end: waits on a loop that cannot be woken would never end.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Fail(e);
        }
    }

    /// <summary>A waiter on its way to the thread pool, while someone listens to how long that takes.</summary>
    private sealed class TimedWaiter(PollLoop loop, PollWaiter waiter, long readyAt) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            loop.NoteDelay(readyAt);
            waiter.Execute();
        }
    }
}
