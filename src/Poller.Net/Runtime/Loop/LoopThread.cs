namespace Poller.Net;

// The twin of an m in Go's runtime: a thread that is idle until it is given a role. It then leads the loop, or helps whoever leads, for as long
// as there is work for it, and retires.

/// <summary>What a thread of a loop is to do.</summary>
internal enum LoopRole
{
    /// <summary>Nothing yet: it is idle, or is at work on what it was given.</summary>
    None,

    /// <summary>Lead a term.</summary>
    Lead,

    /// <summary>Help the leader.</summary>
    Help,

    /// <summary>End.</summary>
    End,
}

/// <summary>A thread of a loop.</summary>
internal sealed class LoopThread
{
    [ThreadStatic]
    private static LoopThread? _current;

    // Constant.
    private readonly LoopThreads _threads;
    private readonly Thread _thread;

    // Written under the lock on this. The role stands from when it is given until it is taken up.
    private volatile LoopRole _role;
    private uint _givenTerm;

    // Written by the thread itself. The count changes with each waiter that it ran while the loop was shared.
    private uint _runs;
    private uint _term;

    // Guarded by the lock of the threads: where it stands among the active.
    public int Index;

    // Touched by the monitor alone, for Waits.
    private uint _runsSeen;
    private int _looksWaited;

    public LoopThread(LoopThreads threads, PollLoop loop, string name)
    {
        _threads = threads;
        Loop = loop;
        _thread = new Thread(Serve) { IsBackground = true, Name = name };
    }

    /// <summary>The calling thread, if it is a loop's; else null.</summary>
    public static LoopThread? Current => _current;

    public PollLoop Loop { get; }

    /// <summary>The term that it leads, or led last; <see cref="uint.MaxValue"/> while it helps. For the thread itself.</summary>
    public uint Term => _term;

    /// <summary>
    /// Whether it may be running on a core. A thread that sleeps or waits in its handler is not. Nor is one in a system call that blocks,
    /// but that cannot be seen from here.
    /// </summary>
    public bool HoldsCore => _role != LoopRole.None || (_thread.ThreadState & ThreadState.WaitSleepJoin) == 0;

    public void Start(Action<Thread> start) => start(_thread);

    /// <summary>Gives an idle thread its role.</summary>
    public void Assign(LoopRole role, uint term)
    {
        lock (this)
        {
            _role = role;
            _givenTerm = term;
            Monitor.Pulse(this);
        }
    }

    /// <summary>It has run a waiter. For the thread itself.</summary>
    public void NoteRun() => Volatile.Write(ref _runs, _runs + 1);

    /// <summary>
    /// For the monitor: whether it sleeps or waits in a handler, and was seen there at most <paramref name="looks"/> times.
    /// </summary>
    public bool Waits(int looks)
    {
        uint runs = Volatile.Read(ref _runs);
        if (runs != _runsSeen) (_runsSeen, _looksWaited) = (runs, 0);
        if (HoldsCore || _looksWaited >= looks) return false;
        _looksWaited++;
        return true;
    }

    private void Serve()
    {
        _current = this;
        _threads.NoteClean();
        do
        {
            LoopRole role = WaitForRole(out uint term);
            if (role == LoopRole.End) break;
            if (role == LoopRole.Lead) Lead(term);

            // A deposed leader of a shared loop comes back to a core that is free: it helps before it rests.
            if (role == LoopRole.Help || Loop.Terms.IsShared || Loop.IsStopping)
            {
                while (Help(out term)) Lead(term);
            }
            Loop.Terms.RunOverflow();
        }
        while (_threads.Retire(this));
        _threads.NoteEnd();
    }

    private LoopRole WaitForRole(out uint term)
    {
        TimeSpan patience = _threads.IdleTime;
        while (true)
        {
            bool wasPulsed = true;
            lock (this)
            {
                try
                {
                    if (_role == LoopRole.None) wasPulsed = Monitor.Wait(this, patience);
                }
                catch (ThreadInterruptedException)
                {
                    // It was meant for a handler that ran here, and came too late for it.
                }
                if (_role != LoopRole.None)
                {
                    LoopRole role = _role;
                    term = _givenTerm;
                    _role = LoopRole.None;
                    return role;
                }
            }
            if (wasPulsed) continue;
            if (_threads.TryLeave(this))
            {
                term = 0;
                return LoopRole.End;
            }
            patience = Timeout.InfiniteTimeSpan; // It is the last, or is about to be given a role.
        }
    }

    private void Lead(uint term)
    {
        _term = term;
        Loop.Terms.LeadTerm(term);
    }

    private bool Help(out uint term)
    {
        _term = uint.MaxValue;
        return Loop.Terms.Help(out term);
    }
}
