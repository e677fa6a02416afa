using System.Diagnostics;

namespace Poller.Net;

// The twin of sysmon in Go's runtime/proc.go: a thread that looks at the leaders every millisecond while they have work.
//
// A leader that runs, and has run nothing to its end since the last look, is stuck in a handler that blocks or computes: a follower takes
// its term. A batch that lasts from one look to the next gets a helper, where there is more than one core. A loop that needed either, with
// waiters left, is shared from then on: each batch gets a helper at once, as the monitor alone would be too slow. It stays so until for a
// while no handler has slept or waited, nor run for long with others behind it.
//
// With inline dispatch there is nobody to take over. The monitor then only tells of a loop that stands still, as it does when no thread can
// be started; so it looks four times a second.
//
// While there is nothing to do for it, it looks less often, down to every 4 ms: a look costs some 30 us of a processor that the leader may
// want. While nothing runs at all it sleeps, and the next leader that fills a batch wakes it.

/// <summary>The monitor of a Netpoller that runs handlers in place.</summary>
#pragma warning disable CA1001 // The event is left to its finalizer: a leader may signal it after the end.
internal sealed class Sysmon(PollLoop[] loops)
#pragma warning restore CA1001
{
    // A stuck leader is found after one to two ticks. A look costs some 30 us: 3 % of a processor at this rate, and 6 % at half the tick. At
    // double, the first handler that blocks costs the others up to 4 ms instead of 2.
    private const int TickMilliseconds = 1;

    // When all is calm: 0.8 % of a processor, and 1.5 % at half. At double, the first handler that blocks costs the others up to 16 ms, where
    // an echo beside it is to take less than 20.
    private const int MaxTickMilliseconds = 4;

    // A handler that blocks every 10 ms keeps the monitor awake; at half it would not. At double the monitor takes 32 ms to come to rest.
    private const int QuietTicks = 16;

    // A helper that ends nothing for so many looks is taken for stuck, and another thread gets its share of the core. At half that befalls
    // handlers that compute for 8 ms; at double a batch waits 32 ms behind a helper that sleeps.
    private const int StuckLooks = 16;

    // For how long a handler that blocks keeps a loop shared, whose batches each pay for a wake-up, about as much as an echo. At half, a loop
    // whose handlers block every 50 ms is alone again before each. At double the wake-ups are paid for twice as long.
    private const int SharedLooks = 64;

    // Once a second the need is shown anew, which costs one stuck leader: some milliseconds of that second, and twice as many at half. At
    // double a loop that is shared for no reason pays for two seconds of wake-ups.
    private const int MaxSharedLooks = 1024;

    // A stand-still of a second is known to a quarter of it; to an eighth at half, to a half at double. Four looks cost 0.01 % of a processor.
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

        // Since when the leader is in one handler, and when that is told next, both by Stopwatch; 0 is never.
        public long StandsSince;
        public long TellAt;
    }

    private readonly AutoResetEvent _noticed = new(initialState: false);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _tick = loops[0].Dispatch == NetpollDispatch.Inline ? InlineTickMilliseconds : TickMilliseconds;

    // Atomic.
    private bool _stopped;

    // Atomic. Pairs with LoopTerms.LeadTerm: this is set and then the leaders are looked at; a leader says that it runs and then looks at
    // this.
    private int _asleep;

    /// <summary>For the tests: whether it sleeps until a leader has something to run.</summary>
    internal bool IsAsleep => Volatile.Read(ref _asleep) != 0;

    /// <summary>Completes when its thread ends, after <see cref="Stop"/>.</summary>
    public Task Ended => _ended.Task;

    public void Start() => new Thread(Watch) { IsBackground = true, Name = "poller monitor" }.UnsafeStart();

    /// <summary>A leader has filled its batch.</summary>
    public void Wake()
    {
        if (Volatile.Read(ref _asleep) != 0 && Interlocked.Exchange(ref _asleep, 0) != 0) _noticed.Set();
    }

    public void Stop()
    {
        Volatile.Write(ref _stopped, true);
        _noticed.Set();
    }

    /// <summary>Sleeps while all leaders poll.</summary>
    internal void SleepUntilNoticed()
    {
        Interlocked.Exchange(ref _asleep, 1);
        if (Array.TrueForAll(loops, static loop => LoopTerms.IsPolling(loop.Terms.Lead))) _noticed.WaitOne();
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
            for (int i = 0; i < loops.Length; i++)
            {
                Snapshot before = looks[i];
                Snapshot now = Examine(loops[i], before);
                looks[i] = now;
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
                    SleepUntilNoticed();
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
        return now;
    }

    private static void Share(PollLoop loop, Snapshot before, ref Snapshot now)
    {
        now.HelpersStoodStill = now.Helped == before.Helped ? Math.Min(before.HelpersStoodStill + 1, StuckLooks) : 0;
        bool staysShared = before.SharedLooksLeft > 0 && (now.SlowRuns != before.SlowRuns || loop.Threads.AnyWaits(SharedLooks));
        now.SharedLooksLeft = staysShared ? SharedLooks : Math.Max(0, before.SharedLooksLeft - 1);

        // Every so often the need is to be shown anew: threads that take turns on too few cores make each other's handlers last.
        now.SharedLooksInRow = now.SharedLooksLeft > 0 ? before.SharedLooksInRow + 1 : 0;
        if (now.SharedLooksInRow > MaxSharedLooks) (now.SharedLooksInRow, now.SharedLooksLeft) = (0, 0);
        if (IsSameBatch(now, before)) Assist(loop, before, ref now);
        loop.Terms.IsShared = now.SharedLooksLeft > 0;
    }

    // A leader that was succeeded has another term by now. Told after a second, and again whenever the time has doubled, or a minute later.
    private static void LookForStandStill(PollLoop loop, Snapshot before, ref Snapshot now)
    {
        if (!IsSameBatch(now, before) || now.Lead != before.Lead || now.Progress != before.Progress) return;
        long time = Stopwatch.GetTimestamp();
        now.StandsSince = before.StandsSince != 0 ? before.StandsSince : time;
        now.TellAt = before.TellAt != 0 ? before.TellAt : now.StandsSince + Ticks(LongStandStill);
        if (time < now.TellAt) return;
        TimeSpan stands = Stopwatch.GetElapsedTime(now.StandsSince, time);
        loop.ReportStandStill(stands);
        now.TellAt = time + Ticks(stands < LongestSilence ? stands : LongestSilence);

        static long Ticks(TimeSpan span) => (long)(span.TotalSeconds * Stopwatch.Frequency);
    }

    private static void Assist(PollLoop loop, Snapshot before, ref Snapshot now)
    {
        if (now.Lead == before.Lead && now.Progress == before.Progress)
        {
            // On one core a helper is of use where the leader sleeps or waits: one that computes has the core already.
            bool wantsHelpers = loop.Batch.Remaining > 0 && (!LoopTerms.HasOneCore || loop.Threads.AnyWaits(SharedLooks));

            // Before the successor starts: it wakes a helper for what is left of the batch.
            if (wantsHelpers) loop.Terms.IsShared = true;
            if (!loop.Terms.TryPromote(now.Lead)) return;

            // The successor's term is what the next look compares with: it gets a full tick before it is judged.
            now.Lead = loop.Terms.Lead;
            if (wantsHelpers) now.SharedLooksLeft = SharedLooks;
        }
        else if (!LoopTerms.HasOneCore && loop.Batch.Remaining > 0)
        {
            // Not after one look: a helper whose handler computes for some milliseconds is at work, and another beside it takes its core.
            if (!loop.Threads.TryStartHelper(othersAreStuck: now.HelpersStoodStill >= StuckLooks)) return;
            now.HelpersStoodStill = 0;
            now.SharedLooksLeft = SharedLooks;
        }
    }

    private static bool IsSameBatch(Snapshot now, Snapshot before) => !LoopTerms.IsPolling(now.Lead) && now.Epoch == before.Epoch;

    private bool Pause(int milliseconds)
    {
        _noticed.WaitOne(milliseconds);
        return !Volatile.Read(ref _stopped);
    }
}
