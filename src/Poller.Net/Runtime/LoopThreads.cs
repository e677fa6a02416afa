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
    internal enum Role
    {
        None,
        Lead,
        Help,
        End,
    }

    /// <summary>A thread as the others see it.</summary>
    public sealed class Follower
    {
        // Constant after StartFollower.
        internal Thread? Thread;

        // Guarded by the lock on the follower. The role is there until it is taken up; whether it is there is read without.
        internal Role Role;
        internal uint Term;
        internal bool IsCalled;

        // One that sleeps or waits in its handler holds none. Nor does one in a system call that blocks, but that is not seen from here.
        internal bool HoldsCore => Volatile.Read(ref IsCalled) || (Thread!.ThreadState & ThreadState.WaitSleepJoin) == 0;
    }

    [ThreadStatic]
    private static PollLoop? _loopOfThisThread;

    [ThreadStatic]
    private static uint _termOfThisThread;

    private static readonly int MaxRunning = Math.Max(2, Environment.ProcessorCount);
    private static readonly int MaxIdle = Math.Max(16, Environment.ProcessorCount);

    private readonly Lock _lock = new();

    // Guarded by the lock; the places are read without, where a stale number does no harm.
    private readonly Stack<Follower> _idle = new();
    private readonly List<Follower> _active = [];
    private int _places; // Those of the active, and of who is about to be.
    private bool _stopped;

    // Written by the first thread, the same for all of them: the context of a thread that has run nothing.
    private ExecutionContext? _clean;

    /// <summary>For the tests: how a thread is started.</summary>
    internal Action<Thread> StartThread { get; set; } = static thread => thread.UnsafeStart();

    /// <summary>How many threads of a loop are active at most: those that lead, help, or are caught in a handler.</summary>
    public static int Max { get; } = Math.Max(64, 4 * Environment.ProcessorCount);

    /// <summary>The loop whose thread this is, or null.</summary>
    public static PollLoop? LoopOfThisThread => _loopOfThisThread;

    /// <summary>The term this thread leads or led.</summary>
    public static uint TermOfThisThread => _termOfThisThread;

    /// <summary>
    /// Whether one more thread may be active. Asked before a promotion; and by the leader, that runs waiters in place only while it could
    /// be succeeded. Nobody but a promotion, which ends its term, takes the last place while it runs.
    /// </summary>
    public bool HasPlace => Volatile.Read(ref _places) < Max;

    /// <summary>Whether one of them sleeps or waits in a handler.</summary>
    public bool AnyWaits
    {
        get
        {
            lock (_lock) return _active.Exists(static follower => !follower.HoldsCore);
        }
    }

    /// <summary>
    /// Has a new thread lead the first term, with a follower at hand where it may need one: when descriptors are short, no thread starts.
    /// </summary>
    public void StartLeader(bool withFollower)
    {
        Follower leader = StartFollower();
        if (withFollower)
        {
            try
            {
                Release(StartFollower());
            }
            catch
            {
                Assign(leader, Role.End, 0);
                throw;
            }
        }
        Lead(leader, 0);
    }

    /// <summary>Has a follower that <see cref="TryReserve"/> gave lead <paramref name="term"/>.</summary>
    public void Lead(Follower follower, uint term)
    {
        lock (_lock)
        {
            _places++;
            _active.Add(follower);
        }
        Assign(follower, Role.Lead, term);
    }

    /// <summary>
    /// Has a follower help, unless that would take the place of the leader's successor, or as many threads run as there are cores; for one
    /// core there are two, as the leader may block. <paramref name="othersAreStuck"/>: however many run. False when none was started.
    /// </summary>
    public bool TryStartHelper(bool othersAreStuck)
    {
        lock (_lock)
        {
            if (_places + 1 >= Max) return false;
            if (!othersAreStuck && _active.Count >= MaxRunning && _active.Count(static follower => follower.HoldsCore) >= MaxRunning) return false;
            _places++;
        }
        Follower? follower = TryReserve();
        lock (_lock)
        {
            if (follower is null) _places--;
            else _active.Add(follower);
        }
        if (follower is not null) Assign(follower, Role.Help, 0);
        return follower is not null;
    }

    /// <summary>
    /// An idle follower or a new one, for the caller alone. Null when the system starts no thread; it does not without a free descriptor.
    /// </summary>
    public Follower? TryReserve()
    {
        lock (_lock)
        {
            if (_idle.TryPop(out Follower? idle)) return idle;
        }
        try
        {
            return StartFollower();
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            return null;
        }
    }

    /// <summary>Returns a reserved follower that was not needed.</summary>
    public void Release(Follower follower)
    {
        lock (_lock)
        {
            if (_stopped || _idle.Count >= MaxIdle) Assign(follower, Role.End, 0);
            else _idle.Push(follower);
        }
    }

    /// <summary>Ends the idle threads, and each other one when it has nothing left to do.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _stopped = true;
            while (_idle.TryPop(out Follower? follower)) Assign(follower, Role.End, 0);
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

    private Follower StartFollower()
    {
        Follower follower = new();
        follower.Thread = new Thread(() => Serve(follower)) { IsBackground = true, Name = name };
        StartThread(follower.Thread);
        return follower;
    }

    private static void Assign(Follower follower, Role role, uint term)
    {
        lock (follower)
        {
            follower.Role = role;
            follower.Term = term;
            follower.IsCalled = true;
            Monitor.Pulse(follower);
        }
    }

    private void Serve(Follower self)
    {
        _loopOfThisThread = loop;
        _clean ??= ExecutionContext.Capture();
        do
        {
            Role role;
            uint term;
            lock (self)
            {
                while (self.Role == Role.None) Monitor.Wait(self);
                role = self.Role;
                term = self.Term;
                self.Role = Role.None;
                self.IsCalled = false;
            }
            if (role == Role.End) return;
            bool leads = role == Role.Lead;
            if (leads) Lead(term);

            // One that was caught and comes back finds its core free, and more work than the others do.
            if (leads && !loop.IsShared) continue;
            while (Help(out term)) Lead(term);
        }
        while (Retire(self));
    }

    private void Lead(uint term)
    {
        _termOfThisThread = term;
        loop.LeadTerm(term);
    }

    private bool Help(out uint term)
    {
        _termOfThisThread = uint.MaxValue;
        return loop.Help(out term);
    }

    // False when there are enough idle threads without this one.
    private bool Retire(Follower self)
    {
        lock (_lock)
        {
            _places--;
            _active.Remove(self);
            if (_stopped || _idle.Count >= MaxIdle) return false;
            _idle.Push(self);
            return true;
        }
    }
}
