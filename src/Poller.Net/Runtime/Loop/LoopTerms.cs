using System.Diagnostics;

namespace Poller.Net;

// The twin of schedule, execute and handoffp in Go's runtime/proc.go: which thread leads a loop, and which threads run what it found.
//
// One thread at a time leads. It polls, fills the batch and, unless dispatch is ThreadPool, runs the batch in place. One word holds the
// number of the term and whether its leader polls, term:31 polling:1:
//
//   term, polling -> term, running      by the leader, when it has published the batch
//   term, running -> term, polling      by the leader, when the batch is claimed to the end
//   term, running -> term + 1, running  by the monitor, by the leader itself (HandOff) or by a helper that finds nothing left to claim:
//                                       another thread leads from here on
//
// Only the thread which has the term fills the batch, and only while it polls. Nobody can depose it then. A deposed leader learns of it
// after the waiter that it runs. It then helps, if the loop is shared, or retires.

/// <summary>The terms of one loop: who leads it, and what leader and helpers run.</summary>
internal sealed class LoopTerms(PollLoop loop)
{
    private const uint Polling = 1;
    private const uint NextTerm = 2;

    // 0.5 ms, about as long as ten wake-ups of a helper. With half the value, a helper that the scheduler interrupts once gains less than
    // it costs. With double the value, handlers that compute for most of a millisecond, with others behind them, are not shared.
    private static readonly long Slow = Stopwatch.Frequency / 2_000;
    internal static readonly bool HasOneCore = Environment.ProcessorCount == 1;

    // Atomic.
    private uint _lead;
    private long _promotions;

    // The leader writes the first. Helpers write the others too and may lose a count. That does no harm: the monitor only asks whether they
    // change.
    private uint _progress;
    private uint _helped;
    private uint _slow;

    // Written by the monitor. The second is a time of Stopwatch, or 0.
    private bool _isShared;
    private long _standsSince;

    /// <summary>The term, and in the low bit whether its leader polls.</summary>
    public uint Lead => Volatile.Read(ref _lead);

    /// <summary>
    /// Changes with each waiter that the leader ran. A waiter that a deposed leader ran to its end does not count, because it says nothing
    /// about the successor.
    /// </summary>
    public uint Progress => Volatile.Read(ref _progress);

    /// <summary>Changes with each waiter that a helper ran.</summary>
    public uint Helped => Volatile.Read(ref _helped);

    /// <summary>Changes with each waiter that ran for at least 0.5 ms, with others behind it, while the loop was shared.</summary>
    public uint SlowRuns => Volatile.Read(ref _slow);

    /// <summary>How often another thread took over from a leader that still ran a waiter.</summary>
    public long Promotions => Volatile.Read(ref _promotions);

    /// <summary>
    /// Whether the leader wakes a helper with every batch. The helper takes over at once from a leader that is caught in a handler; the
    /// monitor would do so only at its next look. It is set only while handlers run for long, because a wake-up costs about as much as an
    /// echo.
    /// </summary>
    public bool IsShared { get => Volatile.Read(ref _isShared); set => Volatile.Write(ref _isShared, value); }

    /// <summary>How long the leader has been in one handler, as the monitor sees it. Zero while it makes progress.</summary>
    public TimeSpan StandStill
    {
        get
        {
            long since = Volatile.Read(ref _standsSince);
            return since == 0 || IsPolling(Lead) ? TimeSpan.Zero : Stopwatch.GetElapsedTime(since);
        }
    }

    /// <summary>For the monitor: since when the leader has been in one handler, a time of Stopwatch. Zero if it makes progress.</summary>
    public long StandsSince { set => Volatile.Write(ref _standsSince, value); }

    public static bool IsPolling(uint lead) => (lead & Polling) != 0;

    public static uint TermOf(uint lead) => lead >> 1;

    /// <summary>Leads while the caller, which is <paramref name="self"/>, has the term.</summary>
    public void LeadTerm(LoopThread self, uint term)
    {
        uint running = term << 1;
        while (true)
        {
            if (IsShared && loop.Batch.Remaining > 0) loop.Threads.TryWakeHelper();
            if (!RunBatch(self, term)) return;

            // A leader that was deposed while it ran the last waiter finds the word changed.
            if (Interlocked.CompareExchange(ref _lead, running | Polling, running) != running) return;
            if (loop.IsStopping)
            {
                loop.Free();
                return;
            }
            int ready = loop.FillBatch();
            if (loop.Dispatch == NetpollDispatch.ThreadPool)
            {
                Volatile.Write(ref _lead, running);
            }
            else
            {
                // A full fence between publishing that the leader runs and checking whether the monitor sleeps. It pairs with the one in
                // Sysmon.
                Interlocked.Exchange(ref _lead, running);
                if (ready > 0) loop.Sysmon?.Wake();
            }
        }
    }

    /// <summary>
    /// Runs what is left of the batch, as a helper of the leader. True if the leader is then still in a waiter that it claimed: the caller
    /// must lead <paramref name="term"/> in its place.
    /// </summary>
    public bool Help(LoopThread self, out uint term)
    {
        // If leader and helper share a core, the leader goes first. Otherwise the waiter that it runs would wait until the scheduler takes
        // the core from this thread.
        if (HasOneCore) Thread.Yield();
        bool hasSuccessor = false;
        while (loop.TryClaim(out PollWaiter? waiter, out long readyAt))
        {
            // This thread may be caught in a handler as well.
            if (!hasSuccessor && IsShared) hasSuccessor = loop.Threads.TryWakeHelper();
            Run(self, waiter, readyAt);
            Volatile.Write(ref _helped, _helped + 1);
        }
        uint lead = Lead;
        term = TermOf(lead + NextTerm);
        if (IsPolling(lead)) return false;
        if (HasOneCore) Thread.Yield();
        return TryEndTerm(lead);
    }

    /// <summary>Runs the waiters that the leader could not run in place. A thread that has come back from its handler calls it.</summary>
    public void RunOverflow(LoopThread self)
    {
        while (loop.Overflow.TryTake(out PollWaiter? waiter, out long readyAt)) Run(self, waiter, readyAt);
    }

    /// <summary>
    /// Has a follower lead in place of the leader whose term is in <paramref name="lead"/>. False if that leader is no longer stuck, or if
    /// no thread can succeed it.
    /// </summary>
    public bool TryPromote(uint lead)
    {
        Debug.Assert(!IsPolling(lead));

        // Reserve the successor first: if we ended the term and had no thread for the next, nobody would lead. The monitor tries again
        // later.
        if (loop.Threads.TryReserve() is not { } follower) return false;
        if (!TryEndTerm(lead))
        {
            loop.Threads.Release(follower);
            return false;
        }
        loop.Threads.Lead(follower, TermOf(lead + NextTerm));
        return true;
    }

    /// <summary>Has a follower lead in place of the calling thread, if the calling thread leads.</summary>
    public void HandOff()
    {
        uint lead = Lead;
        if (LoopThread.Current?.Term == TermOf(lead) && !IsPolling(lead)) TryPromote(lead);
    }

    // If it succeeds, the caller has the next term, which it may lead or give away.
    private bool TryEndTerm(uint lead)
    {
        if (Interlocked.CompareExchange(ref _lead, lead + NextTerm, lead) != lead) return false;
        Interlocked.Increment(ref _promotions);
        return true;
    }

    // Returns false when the term has ended.
    private bool RunBatch(LoopThread self, uint term)
    {
        while (loop.TryClaim(out PollWaiter? waiter, out long readyAt))
        {
            // The leader runs in place only while another thread could succeed it. Otherwise, if it were caught, nobody would poll.
            if (loop.IsStopping) PollLoop.QueueToPool(waiter);
            else if (loop.Threads.HasPlace || !loop.Threads.TryOverflow(waiter, readyAt)) Run(self, waiter, readyAt);
            if (TermOf(Volatile.Read(ref _lead)) != term) return false;
            Volatile.Write(ref _progress, _progress + 1);
        }
        return true;
    }

    private void Run(LoopThread self, PollWaiter waiter, long readyAt)
    {
        loop.NoteDelay(readyAt);
        // We do not measure on one core: there the helper itself makes a handler last, because it takes the core.
        long start = IsShared && !HasOneCore && loop.Batch.Remaining > 0 ? Stopwatch.GetTimestamp() : 0;
        self.BeginRun();
        TurnBudget.BeginTurn();
        waiter.Execute();
        loop.Threads.ResetThread();
        self.EndRun();
        if (start != 0 && Stopwatch.GetTimestamp() - start >= Slow) Volatile.Write(ref _slow, _slow + 1);
    }
}
