namespace Poller.Net;

// How the monitor learns how long a thread has been in one waiter. The thread reads no clock for this. It counts its runs, and the monitor
// notes when it first saw a run.
//
//   runs: even -> odd    by the thread, as it begins a waiter
//   runs: odd -> even    by the thread, when it has run the waiter
//   since, then seen     by the monitor, when it sees an odd number of runs that it has not seen
//
// The monitor writes the time before the number, and the thread reads the number before the time. So the thread finds a time only if it is
// that of its own run: the monitor does not write another one before the thread begins its next run.

/// <summary>The runs of one thread. The thread itself begins and ends them, and one monitor looks. Do not copy it.</summary>
internal struct RunWatch
{
    // Atomic. Written by the thread itself.
    private uint _runs;

    // Atomic. Written by the monitor: the run that it saw last, and when it saw it first.
    private uint _seen;
    private long _since;

    /// <summary>Changes as the thread begins a waiter, and when it has run it.</summary>
    public uint Runs => Volatile.Read(ref _runs);

    /// <summary>Whether the thread runs a waiter.</summary>
    public static bool IsRunning(uint runs) => (runs & 1) != 0;

    /// <summary>Begins a run. The thread itself calls it.</summary>
    public void Begin() => Volatile.Write(ref _runs, _runs + 1);

    /// <summary>Ends a run. True if the monitor has seen it, first at <paramref name="since"/>. The thread itself calls it.</summary>
    public bool End(out long since)
    {
        bool isSeen = Volatile.Read(ref _seen) == _runs;
        since = isSeen ? Volatile.Read(ref _since) : 0;
        Volatile.Write(ref _runs, _runs + 1);
        return isSeen;
    }

    /// <summary>
    /// When the monitor first saw a run that is under way, which is <paramref name="now"/> if it is new. The monitor calls it. It reads the
    /// clock after <see cref="Runs"/>, or the run might seem to have begun before it did.
    /// </summary>
    public long SinceOf(uint run, long now)
    {
        if (run != _seen)
        {
            Volatile.Write(ref _since, now);
            Volatile.Write(ref _seen, run);
        }
        return _since;
    }
}
