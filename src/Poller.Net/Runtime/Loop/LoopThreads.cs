namespace Poller.Net;

// The twin of startm, stopm and handoffp in Go's runtime/proc.go: the leader and the followers of one loop. A thread leads, helps, runs on
// as a deposed leader in a handler that blocks, or is idle.
//
// All but the idle are active, and at most Max are. The leader runs waiters in place only while fewer are, and helpers are started
// only where they leave one place: so whenever the leader is stuck there is a place for its successor. A leader that has
// taken the last place queues its batch to the thread pool, and cannot get stuck.

/// <summary>The threads of one loop. Safe from any thread.</summary>
internal sealed class LoopThreads(PollLoop loop, string name)
{
    private static readonly int MaxRunning = Math.Max(2, Environment.ProcessorCount);
    private static readonly int MaxIdle = Math.Max(16, Environment.ProcessorCount);

    private readonly Lock _lock = new();

    // Guarded by the lock; the places are read without, where a stale number does no harm.
    private readonly Stack<LoopThread> _idle = new();
    private readonly List<LoopThread> _active = [];
    private int _places; // Those of the active, and of who is reserved.
    private bool _stopped;

    // Written by the first thread, the same for all of them: the context of a thread that has run nothing.
    private ExecutionContext? _clean;

    /// <summary>For the tests: how a thread is started.</summary>
    internal Action<Thread> StartThread { get; set; } = static thread => thread.UnsafeStart();

    /// <summary>How many threads of a loop are active at most: those that lead, help, or are caught in a handler.</summary>
    public static int Max { get; } = Math.Max(64, 4 * Environment.ProcessorCount);

    /// <summary>The loop whose thread this is, or null.</summary>
    public static PollLoop? LoopOfThisThread => LoopThread.Current?.Loop;

    /// <summary>The term that this thread leads or led.</summary>
    public static uint TermOfThisThread => LoopThread.Current?.Term ?? uint.MaxValue;

    /// <summary>
    /// Whether one more thread may be active. The leader runs waiters in place only while it could be succeeded. Nobody but a promotion,
    /// which ends its term, takes the last place while it runs: and has it from when it reserves a successor.
    /// </summary>
    public bool HasPlace => Volatile.Read(ref _places) < Max;

    /// <summary>
    /// For the monitor: whether one of them sleeps or waits in a handler, seen there at most <paramref name="looks"/> times. One that waits
    /// for longer may do so for ever, and says nothing of the handlers that run now.
    /// </summary>
    public bool AnyWaits(int looks)
    {
        bool any = false;
        lock (_lock)
        {
            // Each of them: it counts the looks.
            foreach (LoopThread thread in _active) any |= thread.Waits(looks);
        }
        return any;
    }

    /// <summary>This thread has run a waiter, while the loop is shared.</summary>
    public static void NoteRun() => LoopThread.Current?.NoteRun();

    /// <summary>
    /// Has a new thread lead the first term, with a follower at hand where it may need one: when descriptors are short, no thread starts.
    /// </summary>
    public void StartLeader(bool withFollower)
    {
        LoopThread leader = StartFollower();
        if (withFollower)
        {
            try
            {
                LoopThread idle = StartFollower();
                lock (_lock) _idle.Push(idle);
            }
            catch
            {
                leader.Assign(LoopRole.End, 0);
                throw;
            }
        }
        lock (_lock) _places++;
        Lead(leader, 0);
    }

    /// <summary>Has a follower that <see cref="TryReserve"/> gave lead <paramref name="term"/>.</summary>
    public void Lead(LoopThread follower, uint term) => Activate(follower, LoopRole.Lead, term);

    /// <summary>
    /// Has an idle follower help, unless that would take the place of the leader's successor, or as many threads run as there are cores (on
    /// one core: two, as the leader may block). False when none was there.
    /// </summary>
    public bool TryWakeHelper() => CountRunning() < MaxRunning && TryHelp(mayStart: false);

    /// <summary>
    /// The same for the monitor, that has the time to start a thread. <paramref name="othersAreStuck"/>: however many run.
    /// </summary>
    public bool TryStartHelper(bool othersAreStuck) => (othersAreStuck || CountRunning() < MaxRunning) && TryHelp(mayStart: true);

    /// <summary>
    /// An idle follower or a new one, for the caller alone, and a place among the active. Null when there is no place, or when the system
    /// starts no thread; it does not without a free descriptor.
    /// </summary>
    public LoopThread? TryReserve() => TryTake(spare: 0, mayStart: true);

    /// <summary>Returns a reserved follower that was not needed, and its place.</summary>
    public void Release(LoopThread follower)
    {
        lock (_lock)
        {
            _places--;
            if (_stopped || _idle.Count >= MaxIdle) follower.Assign(LoopRole.End, 0);
            else _idle.Push(follower);
        }
    }

    /// <summary>Ends the idle threads, and each other one when it has nothing left to do.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _stopped = true;
            while (_idle.TryPop(out LoopThread? follower)) follower.Assign(LoopRole.End, 0);
        }
    }

    /// <summary>
    /// Takes back the contexts that a continuation left on the thread, as the thread pool does after each of its work items. A name, a
    /// priority and the like stay: asking for them would cost every continuation.
    /// </summary>
    public void ResetThread()
    {
        if (SynchronizationContext.Current is not null) SynchronizationContext.SetSynchronizationContext(null);
        if (ExecutionContext.Capture() != _clean) ExecutionContext.Restore(_clean!);
    }

    /// <summary>Rests a thread that has nothing left to do. False when there are enough idle threads: then it is to end.</summary>
    public bool Retire(LoopThread self)
    {
        lock (_lock)
        {
            _places--;
            _active.Remove(self);
            if (_stopped || _idle.Count >= MaxIdle) return false;
            _idle.Push(self);
        }

        // A leader that published its batch while this thread was on its way out counted it among those that run, and woke nobody. It had
        // said before that it runs.
        if (loop.Terms.IsShared && !LoopTerms.IsPolling(loop.Terms.Lead)) TryWakeHelper();
        return true;
    }

    /// <summary>Notes the context of a thread that has run nothing, for <see cref="ResetThread"/>. For a new thread.</summary>
    public void NoteClean() => _clean ??= ExecutionContext.Capture();

    private int CountRunning()
    {
        int running = 0;
        lock (_lock)
        {
            foreach (LoopThread follower in _active)
            {
                if (follower.HoldsCore) running++;
            }
        }
        return running;
    }

    private bool TryHelp(bool mayStart)
    {
        if (TryTake(spare: 1, mayStart) is not { } follower) return false;
        Activate(follower, LoopRole.Help, 0);
        return true;
    }

    // Leaves as many places as are to be spared.
    private LoopThread? TryTake(int spare, bool mayStart)
    {
        lock (_lock)
        {
            if (_places + spare >= Max) return null;
            if (_idle.TryPop(out LoopThread? idle))
            {
                _places++;
                return idle;
            }
            if (!mayStart) return null;
            _places++;
        }
        try
        {
            return StartFollower();
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            lock (_lock) _places--;
            return null;
        }
    }

    // The role first: until it has one a follower seems to wait in a handler.
    private void Activate(LoopThread follower, LoopRole role, uint term)
    {
        lock (_lock)
        {
            follower.Assign(role, term);
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
