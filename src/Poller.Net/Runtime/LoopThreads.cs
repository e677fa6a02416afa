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
        // Guarded by the lock on the follower.
        internal Role Role;
        internal uint Term;

        // Guarded by the lock of the threads: which helpers it was counted among.
        internal int HelpedIn;
    }

    [ThreadStatic]
    private static PollLoop? _loopOfThisThread;

    [ThreadStatic]
    private static uint _termOfThisThread;

    private static readonly int MaxHelpers = Environment.ProcessorCount - 1;
    private static readonly int MaxIdle = Math.Max(2, Environment.ProcessorCount);

    private readonly Lock _lock = new();

    // Guarded by the lock; the count is read without, where a stale one does no harm.
    private readonly Stack<Follower> _idle = new();
    private int _active;
    private int _helpers;
    private int _generation;
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
    public bool HasPlace => Volatile.Read(ref _active) < Max;

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
        lock (_lock) _active++;
        Assign(follower, Role.Lead, term);
    }

    /// <summary>
    /// Has a follower help, unless that would take the place of the leader's successor, or more than the processors.
    /// <paramref name="helpersAreStuck"/>: those there are count no more, they are caught in handlers. False when none was started.
    /// </summary>
    public bool TryStartHelper(bool helpersAreStuck)
    {
        int generation;
        lock (_lock)
        {
            if (helpersAreStuck && _helpers > 0)
            {
                _helpers = 0;
                _generation++;
            }
            if (_active + 1 >= Max || _helpers >= MaxHelpers) return false;
            _active++;
            _helpers++;
            generation = _generation;
        }
        if (TryReserve() is { } follower)
        {
            lock (_lock) follower.HelpedIn = generation;
            Assign(follower, Role.Help, 0);
            return true;
        }
        lock (_lock)
        {
            _active--;
            if (generation == _generation) _helpers--;
        }
        return false;
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
        StartThread(new Thread(() => Serve(follower)) { IsBackground = true, Name = name });
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
        _clean ??= ExecutionContext.Capture();
        Role role;
        do
        {
            lock (self)
            {
                while (self.Role == Role.None) Monitor.Wait(self);
                role = self.Role;
                self.Role = Role.None;
                _termOfThisThread = role == Role.Lead ? self.Term : uint.MaxValue;
            }
            if (role == Role.End) return;
            if (role == Role.Lead) loop.LeadTerm(self.Term);
            else loop.Help();
        }
        while (Retire(self, role));
    }

    // False when there are enough idle threads without this one.
    private bool Retire(Follower self, Role role)
    {
        lock (_lock)
        {
            _active--;
            if (role == Role.Help && self.HelpedIn == _generation) _helpers--;
            if (_stopped || _idle.Count >= MaxIdle) return false;
            _idle.Push(self);
            return true;
        }
    }
}
