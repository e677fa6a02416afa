namespace Poller.Net;

// The twin of startm, stopm and handoffp in Go's runtime/proc.go: the threads of one loop. A thread leads, helps, is a deposed leader that
// is still in a handler, or is idle.
//
// All threads but the idle ones are active. There is at most one active thread for the leader, and one for each of MaxBlockedHandlers. The
// leader runs waiters in place only while a place is left, and a helper starts only if it leaves one. So a leader that is caught in a
// handler has a successor. A leader that has taken the last place runs nothing itself, so it cannot be caught: it puts its batch into the
// OverflowQueue. Whoever gives back a place passes what is left there to the loop.
//
// The idle thread that was used last is used first. An idle thread that is not needed for IdleTime ends, unless it is the last one.

/// <summary>The threads of one loop. Safe from any thread.</summary>
internal sealed class LoopThreads(PollLoop loop, string name, int maxBlockedHandlers)
{
    // As many threads as there are cores. With half as many, cores are idle; with twice as many, threads take turns and each handler lasts
    // longer. On one core there are two, because one may be about to block.
    private static readonly int MaxRunning = Math.Max(2, Environment.ProcessorCount);

    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guarded by the lock. The places are also read without it, where a stale number does no harm.
    private readonly List<LoopThread> _idle = [];
    private readonly List<LoopThread> _active = [];
    private int _places; // The places of active and of reserved threads.
    private int _alive;
    private bool _stopped;

    // Whether the last try to start a thread failed. A racy write does no harm, because the next try corrects it.
    private bool _cannotStart;

    // The context of a thread that has run nothing. It is the same for all threads; the first one writes it.
    private ExecutionContext? _clean;

    /// <summary>How a thread is started. The tests replace it.</summary>
    internal Action<Thread> StartThread { get; set; } = static thread => thread.UnsafeStart();

    // An idle thread costs 35 KiB, and starting one about 150 µs. After a pause that is shorter than this, a load need not start its
    // threads again. With half the value, only pauses half as long are covered. With double the value, a burst of 1,000 keeps 35 MiB for
    // twice as long.

    /// <summary>How long an idle thread that is not needed lives. The tests change it.</summary>
    internal TimeSpan IdleTime { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The loop that the calling thread belongs to; null if it is not a loop's thread.</summary>
    public static PollLoop? LoopOfThisThread => LoopThread.Current?.Loop;

    /// <summary>Completes when the loop is stopped and its threads have ended.</summary>
    public Task Ended => _ended.Task;

    /// <summary>For the tests: the number of threads that are alive.</summary>
    public int Alive => Volatile.Read(ref _alive);

    /// <summary>The number of threads that run handlers beside the leader: they are caught in one, or help.</summary>
    public int Blocked => Math.Max(0, Volatile.Read(ref _places) - 1);

    /// <summary>
    /// Whether one more thread may be active. While the leader runs, only a promotion may take the last place. It takes it when it reserves
    /// a successor, and then ends the leader's term.
    /// </summary>
    public bool HasPlace => Volatile.Read(ref _places) <= maxBlockedHandlers;

    /// <summary>
    /// For the monitor: is any thread blocked in a handler? A thread that stays blocked for more than <paramref name="looks"/> looks is
    /// ignored: it may stay blocked for ever, and says nothing about the handlers that run now.
    /// </summary>
    public bool AnyWaits(int looks)
    {
        bool any = false;
        lock (_lock)
        {
            // We ask every thread, because Waits also counts the looks.
            foreach (LoopThread thread in _active) any |= thread.Waits(looks);
        }
        return any;
    }

    /// <summary>
    /// For the monitor: finds the threads that have been in one handler for long, and reports them. Returns by when it must look again, by
    /// Stopwatch. The leader of <paramref name="standing"/> is not reported here: the monitor itself reports that the loop stands still.
    /// </summary>
    public long LookForStalls(uint? standing)
    {
        long next = long.MaxValue;
        lock (_lock)
        {
            foreach (LoopThread thread in _active)
            {
                bool reports = loop.Dispatch == NetpollDispatch.Adaptive && thread.Term != standing;
                next = Math.Min(next, thread.LookForStall(reports));
            }
        }
        return next;
    }

    /// <summary>For the monitor: the handler that the leader of a term runs. False if it runs none.</summary>
    public bool TryFindHandler(uint term, out HandlerTrace trace)
    {
        lock (_lock)
        {
            foreach (LoopThread thread in _active)
            {
                if (thread.Term == term && thread.TryCopyTrace(out trace)) return true;
            }
        }
        trace = default;
        return false;
    }

    /// <summary>
    /// Has a new thread lead the first term. With <paramref name="withFollower"/> it also starts a follower now, because no thread can
    /// start while descriptors are short.
    /// </summary>
    public void StartLeader(bool withFollower)
    {
        lock (_lock)
        {
            _alive++;
            _places++;
        }
        LoopThread leader;
        try
        {
            leader = StartFollower();
        }
        catch
        {
            NoteEnd();
            throw;
        }
        if (withFollower)
        {
            lock (_lock) _alive++;
            try
            {
                LoopThread idle = StartFollower();
                lock (_lock) _idle.Add(idle);
            }
            catch
            {
                NoteEnd();
                leader.Assign(LoopRole.End, 0);
                throw;
            }
        }
        Lead(leader, 0);
    }

    /// <summary>Has a follower from <see cref="TryReserve"/> lead <paramref name="term"/>.</summary>
    public void Lead(LoopThread follower, uint term) => Activate(follower, LoopRole.Lead, term);

    /// <summary>
    /// Has a follower help: an idle one, or a new one if none is idle. False if the helper would take the place of the leader's successor,
    /// or if as many threads run as there are cores (two on one core, because the leader may block).
    /// </summary>
    public bool TryWakeHelper() => IsCoreFree() && TryHelp(mayStart: !Volatile.Read(ref _cannotStart));

    /// <summary>The same for the monitor. With <paramref name="othersAreStuck"/> it does not matter how many threads run.</summary>
    public bool TryStartHelper(bool othersAreStuck) => (othersAreStuck || IsCoreFree()) && TryHelp(mayStart: true);

    /// <summary>
    /// Reserves an idle follower, or a new one, and a place among the active threads. Null if there is no place, or if no thread can start,
    /// which needs free descriptors.
    /// </summary>
    public LoopThread? TryReserve() => TryTake(spare: 0, mayStart: true);

    /// <summary>Returns a reserved follower that is not needed, and its place.</summary>
    public void Release(LoopThread follower)
    {
        lock (_lock)
        {
            _places--;
            if (_stopped) follower.Assign(LoopRole.End, 0);
            else _idle.Add(follower);
        }
        FlushOverflow();
    }

    /// <summary>
    /// Puts a waiter that the leader cannot run in place into the overflow. False if there is a place again, and the leader must run the
    /// waiter.
    /// </summary>
    public bool TryOverflow(PollWaiter waiter, long readyAt)
    {
        // We hold the lock, so we see a place that is given back, or FlushOverflow sees the waiter.
        lock (_lock)
        {
            if (HasPlace) return false;
            loop.Overflow.Add(waiter, readyAt);
            return true;
        }
    }

    /// <summary>Ends the idle threads now, and each other thread when it has nothing left to do. No new thread starts.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _stopped = true;
            foreach (LoopThread follower in _idle) follower.Assign(LoopRole.End, 0);
            _idle.Clear();
            if (_alive == 0) _ended.TrySetResult();
        }
    }

    /// <summary>
    /// Clears the ExecutionContext and SynchronizationContext that a continuation left on the thread, as the thread pool does after each of
    /// its work items. A name, a priority and the like stay, because checking them would cost time after every continuation.
    /// </summary>
    public void ResetThread()
    {
        if (SynchronizationContext.Current is not null) SynchronizationContext.SetSynchronizationContext(null);
        if (ExecutionContext.Capture() != _clean) ExecutionContext.Restore(_clean!);
    }

    /// <summary>Notes the context of a thread that has run nothing, for <see cref="ResetThread"/>. A new thread calls it first.</summary>
    public void NoteClean() => _clean ??= ExecutionContext.Capture();

    /// <summary>Makes a thread idle that has nothing left to do. False if it must end.</summary>
    public bool Retire(LoopThread self)
    {
        lock (_lock)
        {
            _places--;
            LoopThread last = _active[^1];
            _active[self.Index] = last;
            last.Index = self.Index;
            _active.RemoveAt(_active.Count - 1);
            if (_stopped) return false;
            _idle.Add(self);
        }
        FlushOverflow();

        // A leader may have published its batch while this thread was still active. It then counted this thread among those that run, and
        // perhaps woke no helper. It had published before that it runs, so we see that here.
        if (loop.Terms.IsShared && !LoopTerms.IsPolling(loop.Terms.Lead)) TryWakeHelper();
        return true;
    }

    /// <summary>
    /// Removes an idle thread that was not needed for long. True if it must end, which it need only if another one is idle.
    /// </summary>
    public bool TryLeave(LoopThread self)
    {
        lock (_lock) return _idle.Count > 1 && _idle.Remove(self);
    }

    /// <summary>Notes that a thread has ended, or could not start.</summary>
    public void NoteEnd()
    {
        lock (_lock)
        {
            if (--_alive == 0 && _stopped) _ended.TrySetResult();
        }
    }

    // If more threads wait in handlers than run, handlers block, and those that run now will soon wait too. So then twice as many may run.
    private bool IsCoreFree()
    {
        int running = 0;
        lock (_lock)
        {
            foreach (LoopThread thread in _active)
            {
                if (thread.HoldsCore && ++running == 2 * MaxRunning) return false;
            }
            return running < MaxRunning || running < _active.Count - running;
        }
    }

    private bool TryHelp(bool mayStart)
    {
        if (TryTake(spare: 1, mayStart) is not { } follower) return false;
        Activate(follower, LoopRole.Help, 0);
        return true;
    }

    // Takes a thread only if at least spare places are left afterwards.
    private LoopThread? TryTake(int spare, bool mayStart)
    {
        lock (_lock)
        {
            if (_stopped || _places + spare > maxBlockedHandlers) return null;
            if (_idle.Count > 0)
            {
                _places++;
                LoopThread idle = _idle[^1];
                _idle.RemoveAt(_idle.Count - 1);
                return idle;
            }
            if (!mayStart) return null;
            _places++;
            _alive++;
        }
        try
        {
            LoopThread started = StartFollower();
            Volatile.Write(ref _cannotStart, false);
            return started;
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            // From now on only the monitor and promotions try to start a thread.
            Volatile.Write(ref _cannotStart, true);
            lock (_lock) _places--;
            NoteEnd();
            FlushOverflow();
            return null;
        }
    }

    // Called after a place was given back. Because that place was taken, the leader may have put a waiter into the overflow, too late for
    // the thread that gives the place back. Then only the pool would take the waiter, and the pool may be starved.
    private void FlushOverflow()
    {
        while (loop.Overflow.TryTake(out PollWaiter? waiter, out _)) loop.Schedule(waiter);
    }

    // Assign the role first: an active thread without a role looks like one that waits in a handler.
    private void Activate(LoopThread follower, LoopRole role, uint term)
    {
        lock (_lock)
        {
            follower.Assign(role, term);
            follower.Index = _active.Count;
            _active.Add(follower);
        }
    }

    private LoopThread StartFollower()
    {
        LoopThread follower = new(this, loop, name);
        follower.Start(StartThread);
        return follower;
    }
}
