using System.Diagnostics;
using ThreadState = System.Threading.ThreadState;

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
    // 10 ms, as forcePreemptNS in Go's sysmon. With half the value, a busy machine that takes the core from a handler often looks like a
    // handler that blocks. With double the value, a handler that waits for a disk is not found.
    private static readonly long Stall = Stopwatch.Frequency / 100;

    // 1 s. A handler that has not come back by then is reported once before it does. With half the value, handlers that wait for a slow
    // service are reported twice. With double the value, the operator waits twice as long for the name of a handler that hangs.
    private static readonly long LongStall = Stopwatch.Frequency;

    [ThreadStatic]
    private static LoopThread? _current;

    // Constant.
    private readonly LoopThreads _threads;
    private readonly Thread _thread;

    // Written under the lock on this. The role is set when it is given, and None again when the thread takes it up.
    private volatile LoopRole _role;
    private uint _givenTerm;

    // What the thread runs. The thread writes the trace, within a run; the monitor may read it, and must then look whether the run is still
    // the same.
    private RunWatch _watch;
    private HandlerTrace _trace;

    // Written by the thread itself.
    private uint _term;

    // Guarded by the lock of LoopThreads: its index among the active threads.
    public int Index;

    // Touched only by the monitor: the first two for Waits, the last for TryFindStall.
    private uint _runsSeen;
    private int _looksWaited;
    private uint _reported;

    public LoopThread(LoopThreads threads, PollLoop loop, string name)
    {
        _threads = threads;
        Loop = loop;
        _thread = new Thread(Serve) { IsBackground = true, Name = name };
    }

    /// <summary>The calling thread; null if it is not a loop's thread.</summary>
    public static LoopThread? Current => _current;

    public PollLoop Loop { get; }

    /// <summary>The term that it leads, or led last; <see cref="uint.MaxValue"/> while it helps. The monitor may read an old one.</summary>
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

    /// <summary>Notes that it begins to run a waiter. Only the thread itself calls it.</summary>
    public void BeginRun() => _watch.Begin();

    /// <summary>Notes the handler that runs now, within a run. Only the thread itself calls it.</summary>
    public void NoteHandler(PollFd fd, Action<object?> continuation, object? state) => _trace.Set(fd, continuation, state);

    /// <summary>Notes that it has run a waiter, and reports a handler that took long. Only the thread itself calls it.</summary>
    public void EndRun()
    {
        bool isSeen = _watch.End(out long since);
        if (isSeen && Stopwatch.GetTimestamp() - since is var ticks && ticks >= Stall) Loop.NoteStall(_trace, Time(ticks), isOver: true);
        _trace.Clear();
    }

    /// <summary>
    /// For the monitor: notes since when the thread is in one handler, and reports that once if it is long. Returns when the monitor must
    /// look again at the latest: a time of Stopwatch, or <see cref="long.MaxValue"/>. With <paramref name="reports"/> false it only notes.
    /// </summary>
    public long LookForStall(bool reports)
    {
        uint run = _watch.Runs;
        if (!RunWatch.IsRunning(run)) return long.MaxValue;
        long now = Stopwatch.GetTimestamp();
        long since = _watch.SinceOf(run, now);
        if (run == _reported || !reports) return long.MaxValue;
        if (now - since < LongStall) return since + LongStall;
        if (!TryCopyTrace(run, out HandlerTrace trace)) return long.MaxValue;
        _reported = run;
        Loop.NoteStall(trace, Time(now - since), isOver: false);
        return long.MaxValue;
    }

    /// <summary>For the monitor: the handler that it runs. False if it runs none.</summary>
    public bool TryCopyTrace(out HandlerTrace trace) => TryCopyTrace(_watch.Runs, out trace);

    /// <summary>
    /// For the monitor: whether the thread sleeps or waits in a handler. False if it was already seen waiting <paramref name="looks"/>
    /// times in this handler.
    /// </summary>
    public bool Waits(int looks)
    {
        uint runs = _watch.Runs;
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
            Loop.Terms.RunOverflow(this);
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
        Loop.Terms.LeadTerm(this, term);
    }

    private bool Help(out uint term)
    {
        _term = uint.MaxValue;
        return Loop.Terms.Help(this, out term);
    }

    private static TimeSpan Time(long ticks) => Stopwatch.GetElapsedTime(0, ticks);

    // The thread may go on while we copy. The copy is that of a run if the run is under way before and after.
    private bool TryCopyTrace(uint run, out HandlerTrace trace)
    {
        trace = _trace;
        Interlocked.MemoryBarrier();
        return RunWatch.IsRunning(run) && _watch.Runs == run;
    }
}
