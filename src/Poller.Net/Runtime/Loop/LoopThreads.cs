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

        // Written under the lock on the follower. The role is there from when it is given until it is taken up.
        internal volatile Role Role;
        internal uint Term;

        // Written by the thread itself: changes with each waiter that it ran.
        internal uint Runs;

        // Touched by the monitor alone, for AnyWaits.
        internal uint RunsSeen;
        internal int LooksWaited;

        // One that sleeps or waits in its handler holds none. Nor does one in a system call that blocks, but that is not seen from here.
        internal bool HoldsCore => Role != Role.None || (Thread!.ThreadState & ThreadState.WaitSleepJoin) == 0;
    }

    [ThreadStatic]
    private static PollLoop? _loopOfThisThread;

    [ThreadStatic]
    private static uint _termOfThisThread;

    [ThreadStatic]
    private static Follower? _thisThread;

    private static readonly int MaxRunning = Math.Max(2, Environment.ProcessorCount);
    private static readonly int MaxIdle = Math.Max(16, Environment.ProcessorCount);

    private readonly Lock _lock = new();

    // Guarded by the lock; the places are read without, where a stale number does no harm.
    private readonly Stack<Follower> _idle = new();
    private readonly List<Follower> _active = [];
    private int _places; // Those of the active, and of who is reserved.
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
            foreach (Follower follower in _active)
            {
                uint runs = Volatile.Read(ref follower.Runs);
                if (runs != follower.RunsSeen) (follower.RunsSeen, follower.LooksWaited) = (runs, 0);
                if (!follower.HoldsCore && follower.LooksWaited < looks)
                {
                    follower.LooksWaited++;
                    any = true;
                }
            }
        }
        return any;
    }

    /// <summary>This thread has run a waiter, while the loop is shared.</summary>
    public static void NoteRun()
    {
        if (_thisThread is { } follower) Volatile.Write(ref follower.Runs, follower.Runs + 1);
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
                Follower idle = StartFollower();
                lock (_lock) _idle.Push(idle);
            }
            catch
            {
                Assign(leader, Role.End, 0);
                throw;
            }
        }
        lock (_lock) _places++;
        Lead(leader, 0);
    }

    /// <summary>Has a follower that <see cref="TryReserve"/> gave lead <paramref name="term"/>.</summary>
    public void Lead(Follower follower, uint term) => Activate(follower, Role.Lead, term);

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
    public Follower? TryReserve() => TryTake(spare: 0, mayStart: true);

    /// <summary>Returns a reserved follower that was not needed, and its place.</summary>
    public void Release(Follower follower)
    {
        lock (_lock)
        {
            _places--;
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

    private int CountRunning()
    {
        int running = 0;
        lock (_lock)
        {
            foreach (Follower follower in _active)
            {
                if (follower.HoldsCore) running++;
            }
        }
        return running;
    }

    private bool TryHelp(bool mayStart)
    {
        if (TryTake(spare: 1, mayStart) is not { } follower) return false;
        Activate(follower, Role.Help, 0);
        return true;
    }

    // Leaves as many places as are to be spared.
    private Follower? TryTake(int spare, bool mayStart)
    {
        lock (_lock)
        {
            if (_places + spare >= Max) return null;
            if (_idle.TryPop(out Follower? idle))
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
    private void Activate(Follower follower, Role role, uint term)
    {
        lock (_lock)
        {
            Assign(follower, role, term);
            _active.Add(follower);
        }
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
            Monitor.Pulse(follower);
        }
    }

    private void Serve(Follower self)
    {
        _loopOfThisThread = loop;
        _thisThread = self;
        _clean ??= ExecutionContext.Capture();
        do
        {
            Role role;
            uint term;
            lock (self)
            {
                while (self.Role == Role.None)
                {
                    try
                    {
                        Monitor.Wait(self);
                    }
                    catch (ThreadInterruptedException)
                    {
                        // Meant for a handler that ran here, and came too late for it.
                    }
                }
                role = self.Role;
                term = self.Term;
                self.Role = Role.None;
            }
            if (role == Role.End) return;
            bool leads = role == Role.Lead;
            if (leads) LeadHere(term);

            // A deposed leader of a shared loop comes back to a core that is free: it helps before it rests.
            if (leads && !loop.IsShared && !loop.IsStopping) continue;
            while (HelpHere(out term)) LeadHere(term);
        }
        while (Retire(self));
    }

    private void LeadHere(uint term)
    {
        _termOfThisThread = term;
        loop.LeadTerm(term);
    }

    private bool HelpHere(out uint term)
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
        }

        // A leader that published its batch while this thread was on its way out counted it among those that run, and woke nobody. It had
        // said before that it runs.
        if (loop.IsShared && !PollLoop.IsPolling(loop.Lead)) TryWakeHelper();
        return true;
    }
}
