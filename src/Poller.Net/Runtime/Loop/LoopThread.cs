namespace Poller.Net;

// The twin of an m in Go's runtime: a thread that is idle until it gets a role. It then leads the loop, or helps the leader, while there is
// work for it. Then it is idle again.

/// <summary>What a thread of a loop must do next.</summary>
internal enum LoopRole
{
    /// <summary>Nothing new: it is idle, or it works in the role that it got last.</summary>
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

    // Written under the lock on this. The role is set when it is given, and None again when the thread takes it up.
    private volatile LoopRole _role;
    private uint _givenTerm;

    // Written by the thread itself. The first changes with each waiter that the thread ran while the loop was shared.
    private uint _runs;
    private uint _term;

    // Guarded by the lock of LoopThreads: its index among the active threads.
    public int Index;

    // Touched only by the monitor, for Waits.
    private uint _runsSeen;
    private int _looksWaited;

    public LoopThread(LoopThreads threads, PollLoop loop, string name)
    {
        _threads = threads;
        Loop = loop;
        _thread = new Thread(Serve) { IsBackground = true, Name = name };
    }

    /// <summary>The calling thread; null if it is not a loop's thread.</summary>
    public static LoopThread? Current => _current;

    public PollLoop Loop { get; }

    /// <summary>The term that it leads, or led last; <see cref="uint.MaxValue"/> while it helps. Only the thread itself reads it.</summary>
    public uint Term => _term;

    /// <summary>
    /// Whether it may be running on a core. A thread that sleeps or waits in its handler is not. A thread in a system call that blocks is
    /// not either, but .NET does not tell us that.
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

    /// <summary>Notes that it has run a waiter while the loop is shared. Only the thread itself calls it.</summary>
    public void NoteRun() => Volatile.Write(ref _runs, _runs + 1);

    /// <summary>
    /// For the monitor: whether the thread sleeps or waits in a handler. False if it was already seen waiting <paramref name="looks"/>
    /// times in this handler.
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

            // A deposed leader of a shared loop comes back to a free core, so it helps before it becomes idle.
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
                    // The interrupt was meant for a handler that ran on this thread, and came too late.
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
            patience = Timeout.InfiniteTimeSpan; // It is the last idle thread, or is about to get a role.
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
