using System.Diagnostics;

namespace Poller.Interleaving.Tests;

// Runs the sources of Poller.Net through every interleaving of a scenario, up to a bound of preemptions, as CHESS does (Musuvathi and
// others, "Finding and Reproducing Heisenbugs in Concurrent Programs", OSDI 2008).
//
// What runs. This project compiles the source files of Poller.Net themselves, with Interlocked, Volatile, Lock, Monitor, AutoResetEvent,
// ConcurrentQueue, Thread, ThreadPool and TimeProvider bound to the controlled versions in the folder Controlled. Their surroundings are in
// the folder Doubles: Netpoller, PollFd, the backend and a socket. A scenario's threads are real threads, and one at a time holds the
// baton. At each controlled operation the baton may pass to another thread. It costs nothing if the holder goes on, blocks or ends. It is a
// preemption to take the baton from a thread that could go on. A schedule is the list of the decisions that were not the first option, and
// the same list replays it. Schedules run in the order of their preemptions, so the first failing one has the fewest. A state in which no
// thread can go on is a deadlock, and so a lost wake-up shows as a deadlock.
//
// How memory behaves. Interlocked operations and entering a lock are full fences. Volatile.Write and leaving a lock are release stores,
// which on x86-TSO wait in the writer's store buffer while its later reads go ahead. We model that from the reader's end: the store happens
// when the schedule says, and a thread that has stored since its last fence or newest read may read any value that a location has had since
// then, but none older than its own store there. The effect is the same as of a late store that a read overtakes. Each read of an old value
// counts as a preemption. So the explorer finds a missing fence between a thread's write and its read (Exchange weakened to Volatile.Write,
// or a dropped MemoryBarrier).
//
// What it cannot find. Plain accesses to fields are not scheduling points, and they see the newest value. So it does not find an access
// that should be volatile and is not, or what a compiler or a weaker memory model may do with it (Arm64 reorders more than TSO). It also
// does not find a bug that needs more preemptions than the bound, or more threads than the scenario has.

/// <summary>The result of an exploration. A failure names its schedule, for <see cref="Explorer.Replay"/>.</summary>
public sealed record Exploration(int Schedules, TimeSpan Elapsed, ScheduleFailure? Failure);

/// <summary>A schedule that broke the scenario, and the steps in their order.</summary>
public sealed record ScheduleFailure(string Schedule, int Preemptions, string Message, string Trace)
{
    public override string ToString() =>
        string.Join(Environment.NewLine, Message, $"Schedule \"{Schedule}\", preemptions: {Preemptions}", Trace);
}

/// <summary>Explores scenarios. A scenario sets itself up, and gives the run its threads and a check for the end.</summary>
public static class Explorer
{
    public const int Bound = 3;

    private const int MaxTrace = 200;

    /// <summary>Runs every schedule with at most <paramref name="bound"/> preemptions, or stops at the first that fails.</summary>
    public static Exploration Explore(Action<Run> scenario, int bound = Bound)
    {
        ulong[]? cpus = OneCpu.Enter(Worker.ThreadIds);
        try
        {
            return ExploreHere(scenario, bound);
        }
        finally
        {
            OneCpu.Leave(cpus);
        }
    }

    /// <summary>Runs the one schedule that a failure printed. Returns null if it passes.</summary>
    public static ScheduleFailure? Replay(Action<Run> scenario, string schedule)
    {
        byte[] prefix = Schedule.Parse(schedule);
        Run run = Execute(scenario, prefix, traced: true);
        int preemptions = run.Decisions.Zip(prefix).Count(static taken => taken.Second != 0 && !taken.First.IsFree);
        return run.Failure is null ? null : Fail(run, schedule, preemptions);
    }

    private static Exploration ExploreHere(Action<Run> scenario, int bound)
    {
        Stopwatch time = Stopwatch.StartNew();
        Stack<byte[]>[] pending = [.. Enumerable.Range(0, bound + 1).Select(_ => new Stack<byte[]>())];
        pending[0].Push([]);
        int schedules = 0;
        for (int preemptions = 0; preemptions <= bound; preemptions++)
        {
            while (pending[preemptions].TryPop(out byte[]? prefix))
            {
                Run run = Execute(scenario, prefix, traced: false);
                schedules++;
                if (run.Failure is not null)
                {
                    string schedule = Schedule.Format(prefix);
                    return new Exploration(schedules, time.Elapsed, Fail(Execute(scenario, prefix, traced: true), schedule, preemptions));
                }

                // The alternatives within the prefix are known already. Behind the prefix every decision took the first option.
                for (int i = prefix.Length; i < run.Decisions.Count; i++)
                {
                    int cost = run.Decisions[i].IsFree ? preemptions : preemptions + 1;
                    if (cost > bound) continue;
                    for (int option = 1; option < run.Decisions[i].Options; option++)
                    {
                        byte[] next = new byte[i + 1];
                        prefix.CopyTo(next, 0);
                        next[i] = (byte)option;
                        pending[cost].Push(next);
                    }
                }
            }
        }
        return new Exploration(schedules, time.Elapsed, null);
    }

    private static Run Execute(Action<Run> scenario, byte[] prefix, bool traced)
    {
        while (true)
        {
            Run run = new(prefix, traced);
            if (run.Execute(scenario)) return run;
        }
    }

    private static ScheduleFailure Fail(Run run, string schedule, int preemptions) => new(
        schedule,
        preemptions,
        run.Failure ?? throw new InvalidOperationException($"schedule \"{schedule}\" failed and then passed: the scenario's runs differ."),
        string.Join(Environment.NewLine, run.Trace.TakeLast(MaxTrace)));
}
