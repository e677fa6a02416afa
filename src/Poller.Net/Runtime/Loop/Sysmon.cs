using System.Diagnostics;

namespace Poller.Net;

// The monitor thread, as sysmon in Go's runtime/proc.go. While leaders have work, it checks them every millisecond.
//
// If a leader runs and has finished no waiter since the last look, it is stuck in a handler that blocks or computes, and a follower takes
// over as leader. If a batch lasts from one look to the next while the leader makes progress, it gets a helper, provided that there is more
// than one core. If either was needed and waiters were left in the batch, the loop is shared from then on: each batch gets a helper at
// once, because the monitor alone would be too slow. docs/semantics.md says when a loop stops being shared.
//
// With inline dispatch no thread could take over. The monitor then only reports a loop that stands still, as it also does when no thread
// can start. So it looks only four times a second.
//
// While there is nothing to do, it looks less often, down to every 4 ms: a look costs about 30 µs of a processor that the leader may need.
// While no leader runs anything, it sleeps, and the next leader that fills a batch wakes it.

/// <summary>The monitor of a Netpoller that runs handlers in place.</summary>
#pragma warning disable CA1001 // The event is left to its finalizer, because a leader may signal it after the end.
internal sealed class Sysmon(PollLoop[] loops)
#pragma warning restore CA1001
{
    // The monitor finds a stuck leader after one to two ticks. A look costs about 30 µs: 3 % of a processor at this rate, 6 % at half the
    // tick. With double the tick, the first handler that blocks delays the others by up to 4 ms instead of 2.
    private const int TickMilliseconds = 1;

    // The tick when all is calm: 0.8 % of a processor, 1.5 % with half the value. With double the value, the first handler that blocks
    // delays the others by up to 16 ms, and an echo beside it must take less than 20.
    private const int MaxTickMilliseconds = 4;

    // A handler that blocks every 10 ms keeps the monitor awake; with half the value it would not. With double the value the monitor takes
    // 32 ms to come to rest.
    private const int QuietTicks = 16;

    // If helpers finish nothing for so many looks, we take them for stuck and start another. With half the value, this happens to handlers
    // that compute for 8 ms. With double the value, a batch waits 32 ms behind a helper that sleeps.
    private const int StuckLooks = 16;

    // How long a handler that blocks keeps a loop shared. Meanwhile each batch pays for a wake-up, about as much as an echo. With half the
    // value, a loop whose handlers block every 50 ms is no longer shared when the next one blocks. With double the value, it pays twice as
    // long.
    private const int SharedLooks = 64;

    // Once a second a loop must show again that it needs to be shared. That costs one stuck leader: some milliseconds in each second, and
    // twice as many with half the value. With double the value, a loop that is shared for no reason pays for two seconds of wake-ups.
    private const int MaxSharedLooks = 1024;

    // With this tick we know a stand-still of a second to within a quarter second: an eighth with half the value, a half with double. Four
    // looks a second cost 0.01 % of a processor.
    private const int InlineTickMilliseconds = 250;
    private static readonly TimeSpan LongStandStill = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestSilence = TimeSpan.FromMinutes(1);

    private struct Snapshot
    {
        public uint Lead;
        public uint Progress;
        public uint Helped;
        public uint SlowRuns;
        public int HelpersStoodStill;
        public int SharedLooksLeft;
        public int SharedLooksInRow;
        public uint Epoch;

        // Since when the leader has been in one handler, and when to report that next. Times of Stopwatch; 0 means never.
        public long StandsSince;
        public long ReportAt;

        // When to look at the latest for a handler that is stuck: a time of Stopwatch, or long.MaxValue.
        public long NextLook;
    }

    private readonly AutoResetEvent _noticed = new(initialState: false);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _tick = loops[0].Dispatch == NetpollDispatch.Inline ? InlineTickMilliseconds : TickMilliseconds;

    // Atomic.
    private bool _stopped;

    // Atomic. Pairs with LoopTerms.LeadTerm: the monitor sets it and then looks at the leaders; a leader publishes that it runs and then
    // reads it. Each has a full fence between.
    private int _asleep;

    /// <summary>For the tests: whether the monitor sleeps until a leader has something to run.</summary>
    internal bool IsAsleep => Volatile.Read(ref _asleep) != 0;

    /// <summary>Completes when its thread ends, after <see cref="Stop"/>.</summary>
    public Task Ended => _ended.Task;

    public void Start() => new Thread(Watch) { IsBackground = true, Name = "poller monitor" }.UnsafeStart();

    /// <summary>Wakes the monitor if it sleeps. A leader that has filled its batch calls it.</summary>
    public void Wake()
    {
        if (Volatile.Read(ref _asleep) != 0 && Interlocked.Exchange(ref _asleep, 0) != 0) _noticed.Set();
    }

    public void Stop()
    {
        Volatile.Write(ref _stopped, true);
        _noticed.Set();
    }

    /// <summary>Sleeps while all leaders poll, for at most so long.</summary>
    internal void SleepUntilNoticed(int milliseconds = Timeout.Infinite)
    {
        Interlocked.Exchange(ref _asleep, 1);
        if (Array.TrueForAll(loops, static loop => LoopTerms.IsPolling(loop.Terms.Lead))) _noticed.WaitOne(milliseconds);
        Volatile.Write(ref _asleep, 0);
    }

    private void Watch()
    {
        Snapshot[] looks = new Snapshot[loops.Length];
        int quiet = 0;
        int tick = _tick;
        while (Pause(tick))
        {
            bool needed = false;
            bool moved = false;
            long next = long.MaxValue;
            for (int i = 0; i < loops.Length; i++)
            {
                Snapshot before = looks[i];
                Snapshot now = Examine(loops[i], before);
                looks[i] = now;
                next = Math.Min(next, now.NextLook);
                needed |= loops[i].Terms.IsShared && !LoopTerms.IsPolling(now.Lead);
                needed |= IsSameBatch(now, before) && (now.Progress == before.Progress || !LoopTerms.HasOneCore);
                moved |= now.Progress != before.Progress;
            }
            if (needed)
            {
                quiet = 0;
                tick = _tick;
            }
            else if (++quiet >= QuietTicks)
            {
                quiet = 0;
                if (!moved)
                {
                    foreach (PollLoop loop in loops) loop.Terms.StandsSince = 0;
                    SleepUntilNoticed(MillisecondsUntil(next));
                    tick = _tick;
                }
                else if (tick < MaxTickMilliseconds) tick *= 2;
            }
        }
        _ended.SetResult();
    }

    private static Snapshot Examine(PollLoop loop, Snapshot before)
    {
        Snapshot now = new()
        {
            Lead = loop.Terms.Lead,
            Progress = loop.Terms.Progress,
            Helped = loop.Terms.Helped,
            SlowRuns = loop.Terms.SlowRuns,
            Epoch = loop.Batch.Epoch,
        };
        if (loop.Dispatch == NetpollDispatch.Adaptive) Share(loop, before, ref now);
        LookForStandStill(loop, before, ref now);
        loop.Terms.StandsSince = now.StandsSince;
        uint? standing = now.StandsSince != 0 ? LoopTerms.TermOf(now.Lead) : null;
        now.NextLook = loop.Threads.LookForStalls(standing);
        return now;
    }

    private static void Share(PollLoop loop, Snapshot before, ref Snapshot now)
    {
        now.HelpersStoodStill = now.Helped == before.Helped ? Math.Min(before.HelpersStoodStill + 1, StuckLooks) : 0;
        bool staysShared = before.SharedLooksLeft > 0 && (now.SlowRuns != before.SlowRuns || loop.Threads.AnyWaits(SharedLooks));
        now.SharedLooksLeft = staysShared ? SharedLooks : Math.Max(0, before.SharedLooksLeft - 1);

        // Now and then the loop must show again that it needs helpers, because threads that share too few cores make each other's handlers
        // last.
        now.SharedLooksInRow = now.SharedLooksLeft > 0 ? before.SharedLooksInRow + 1 : 0;
        if (now.SharedLooksInRow > MaxSharedLooks) (now.SharedLooksInRow, now.SharedLooksLeft) = (0, 0);
        if (IsSameBatch(now, before)) Assist(loop, before, ref now);
        loop.Terms.IsShared = now.SharedLooksLeft > 0;
    }

    // Reports a stand-still after a second, and again each time that its length has doubled, but at least once a minute. If a successor has
    // taken over, the term differs.
    private static void LookForStandStill(PollLoop loop, Snapshot before, ref Snapshot now)
    {
        if (!IsSameBatch(now, before) || now.Lead != before.Lead || now.Progress != before.Progress) return;
        long time = Stopwatch.GetTimestamp();
        now.StandsSince = before.StandsSince != 0 ? before.StandsSince : time;
        now.ReportAt = before.ReportAt != 0 ? before.ReportAt : now.StandsSince + Ticks(LongStandStill);
        if (time < now.ReportAt) return;
        TimeSpan stands = Stopwatch.GetElapsedTime(now.StandsSince, time);
        loop.Threads.TryFindHandler(LoopTerms.TermOf(now.Lead), out HandlerTrace trace);
        loop.Warn(
            $"{loop.Name} has stood still for {stands.TotalSeconds:F0} s in {HandlerNames.Describe(trace)}, "
            + "and all its other connections wait for it. "
            + (loop.Dispatch == NetpollDispatch.Inline
                ? "With inline dispatch a handler must not block or compute for long: await, or use NetpollDispatch.Adaptive or ThreadPool."
                : "No thread could be started to take over; free descriptors and memory were expected."));
        now.ReportAt = time + Ticks(stands < LongestSilence ? stands : LongestSilence);

        static long Ticks(TimeSpan span) => (long)(span.TotalSeconds * Stopwatch.Frequency);
    }

    private static void Assist(PollLoop loop, Snapshot before, ref Snapshot now)
    {
        if (now.Lead == before.Lead && now.Progress == before.Progress)
        {
            // On one core a helper is useful only if the leader sleeps or waits: a leader that computes needs the core itself.
            bool wantsHelpers = loop.Batch.Remaining > 0 && (!LoopTerms.HasOneCore || loop.Threads.AnyWaits(SharedLooks));

            // Set this before the successor starts, so that the successor wakes a helper for what is left of the batch.
            if (wantsHelpers) loop.Terms.IsShared = true;
            if (!loop.Terms.TryPromote(now.Lead)) return;

            // The next look compares with the successor's term, so the successor gets a full tick before we judge it.
            now.Lead = loop.Terms.Lead;
            if (wantsHelpers) now.SharedLooksLeft = SharedLooks;
        }
        else if (!LoopTerms.HasOneCore && loop.Batch.Remaining > 0)
        {
            // One look is not enough to call helpers stuck: a handler that computes for some milliseconds still works, and another helper
            // would take its core.
            if (!loop.Threads.TryStartHelper(othersAreStuck: now.HelpersStoodStill >= StuckLooks)) return;
            now.HelpersStoodStill = 0;
            now.SharedLooksLeft = SharedLooks;
        }
    }

    private static bool IsSameBatch(Snapshot now, Snapshot before) => !LoopTerms.IsPolling(now.Lead) && now.Epoch == before.Epoch;

    private static int MillisecondsUntil(long time) => time == long.MaxValue
        ? Timeout.Infinite
        : (int)Math.Ceiling(Math.Max(0, Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), time).TotalMilliseconds)) + 1;

    private bool Pause(int milliseconds)
    {
        _noticed.WaitOne(milliseconds);
        return !Volatile.Read(ref _stopped);
    }
}
