using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace Poller.Net;

// The twin of startm, stopm and handoffp in Go's runtime/proc.go: the threads of one loop. A thread leads, helps, runs on as a deposed leader in
// a handler that blocks, or is idle.
//
// All but the idle ones are active: at most one for the leader, and one for each of MaxBlockedHandlers. The leader runs waiters in place only
// while a place is left, and a helper is started only if it leaves one. So a leader that is caught in a handler has a successor. A leader that
// has taken the last place runs nothing itself: it puts its batch into the overflow, and cannot be caught. The overflow is taken by
// threads of this loop that come back from their handlers, and by the thread pool, whoever comes first.
//
// Idle threads are used last in, first out. One that was not needed for IdleTime ends, but for the last.

/// <summary>The threads of one loop. Safe from any thread.</summary>
internal sealed class LoopThreads(PollLoop loop, string name, int maxBlockedHandlers) : IThreadPoolWorkItem
{
    // As many threads as there are cores: with half of them cores idle, with twice as many they take turns and each handler lasts longer. On
    // one core two, as one may be about to block.
    private static readonly int MaxRunning = Math.Max(2, Environment.ProcessorCount);

    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentQueue<PollWaiter> _overflow = new();

    // Guarded by the lock; the places are read without, where a stale number does no harm.
    private readonly List<LoopThread> _idle = [];
    private readonly List<LoopThread> _active = [];
    private int _places; // Those of the active, and of who is reserved.
    private int _alive;
    private bool _stopped;

    // Whether the last try to start a thread failed. A racy write does no harm: the next try corrects it.
    private bool _cannotStart;

    // Written by the first thread, the same for all of them: the context of a thread that has run nothing.
    private ExecutionContext? _clean;

    /// <summary>For the tests: how a thread is started.</summary>
    internal Action<Thread> StartThread { get; set; } = static thread => thread.UnsafeStart();

    // An idle thread costs 35 KiB, and to start one some 150 us. A load that pauses for less than this starts none anew: for half as long at
    // half. At double a burst of 1,000 keeps 35 MiB for twice as long.

    /// <summary>For the tests: after how long an idle thread ends that was not needed.</summary>
    internal TimeSpan IdleTime { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The loop whose thread this is, or null.</summary>
    public static PollLoop? LoopOfThisThread => LoopThread.Current?.Loop;

    /// <summary>The term that this thread leads or led.</summary>
    public static uint TermOfThisThread => LoopThread.Current?.Term ?? uint.MaxValue;

    /// <summary>Completes when the loop was stopped and its threads have ended.</summary>
    public Task Ended => _ended.Task;

    /// <summary>How many threads are alive.</summary>
    public int Alive => Volatile.Read(ref _alive);

    /// <summary>How many threads run handlers beside the leader: they are caught in one, or help.</summary>
    public int Blocked => Math.Max(0, Volatile.Read(ref _places) - 1);

    /// <summary>
    /// Whether one more thread may be active. While the leader runs, only a promotion may take the last place. It takes it when it reserves
    /// a successor, and then ends the leader's term.
    /// </summary>
    public bool HasPlace => Volatile.Read(ref _places) <= maxBlockedHandlers;

    /// <summary>
    /// For the monitor: is any thread blocked in a handler? A thread that stays blocked for more than <paramref name="looks"/> looks is
    /// ignored. It may stay so for ever, and says nothing of the handlers that run now.
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

    /// <summary>Has a follower that <see cref="TryReserve"/> gave lead <paramref name="term"/>.</summary>
    public void Lead(LoopThread follower, uint term) => Activate(follower, LoopRole.Lead, term);

    /// <summary>
    /// Has a follower help: an idle one, or a new one when all others are caught in handlers. Not if that took the place of the leader's
    /// successor, nor while as many threads run as there are cores (on one core: two, as the leader may block).
    /// </summary>
    public bool TryWakeHelper() => IsCoreFree() && TryHelp(mayStart: !Volatile.Read(ref _cannotStart));

    /// <summary>The same for the monitor. <paramref name="othersAreStuck"/>: however many run.</summary>
    public bool TryStartHelper(bool othersAreStuck) => (othersAreStuck || IsCoreFree()) && TryHelp(mayStart: true);

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
            if (_stopped) follower.Assign(LoopRole.End, 0);
            else _idle.Add(follower);
        }
    }

    /// <summary>Takes a waiter that the leader cannot run in place, as no place is left.</summary>
    public void Overflow(PollWaiter waiter)
    {
        _overflow.Enqueue(waiter);
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>For a thread of this loop that comes back from a handler: takes a waiter out of the overflow.</summary>
    public bool TryTakeOverflow([NotNullWhen(true)] out PollWaiter? waiter) => _overflow.TryDequeue(out waiter);

    // On the thread pool: once for each waiter that went into the overflow, which another thread may have taken.
    void IThreadPoolWorkItem.Execute()
    {
        if (_overflow.TryDequeue(out PollWaiter? waiter)) waiter.Execute();
    }

    /// <summary>Ends the idle threads, and each other one when it has nothing left to do. No thread starts after it.</summary>
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
    /// Clears the ExecutionContext and SynchronizationContext that a continuation left on the thread, as the thread pool does after each
    /// of its work items. A name, a priority and the like stay: asking for them would cost every continuation.
    /// </summary>
    public void ResetThread()
    {
        if (SynchronizationContext.Current is not null) SynchronizationContext.SetSynchronizationContext(null);
        if (ExecutionContext.Capture() != _clean) ExecutionContext.Restore(_clean!);
    }

    /// <summary>Notes the context of a thread that has run nothing, for <see cref="ResetThread"/>. For a new thread.</summary>
    public void NoteClean() => _clean ??= ExecutionContext.Capture();

    /// <summary>Rests a thread that has nothing left to do. False when it is to end.</summary>
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

        // A leader that published its batch while this thread was on its way out counted it among those that run, and woke nobody. It had
        // said before that it runs.
        if (loop.Terms.IsShared && !LoopTerms.IsPolling(loop.Terms.Lead)) TryWakeHelper();
        return true;
    }

    /// <summary>An idle thread was not needed for long. True when it is to end: another one is at hand.</summary>
    public bool TryLeave(LoopThread self)
    {
        lock (_lock) return _idle.Count > 1 && _idle.Remove(self);
    }

    /// <summary>A thread has ended, or never started.</summary>
    public void NoteEnd()
    {
        lock (_lock)
        {
            if (--_alive == 0 && _stopped) _ended.TrySetResult();
        }
    }

    // Where more threads wait in handlers than run, handlers block: those that run now are about to wait as well. Twice as many may run then.
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

    // Leaves as many places as are to be spared.
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
            // Only the monitor tries again, once in each of its looks.
            Volatile.Write(ref _cannotStart, true);
            lock (_lock) _places--;
            NoteEnd();
            return null;
        }
    }

    // The role first: until it has one a follower seems to wait in a handler.
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
