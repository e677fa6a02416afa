using System.Diagnostics;

namespace Poller.Interleaving.Tests;

// Runs the sources of Poller.Net through every interleaving of a scenario up to a bound of preemptions, as CHESS does (Musuvathi and
// others, "Finding and Reproducing Heisenbugs in Concurrent Programs", OSDI 2008).
//
// What runs. This project compiles the source files of Poller.Net themselves, with Interlocked, Volatile, Lock, AutoResetEvent,
// ThreadPool and TimeProvider bound to the controlled ones under Controlled; what stands around a PollLoop (Netpoller, LoopThreads,
// Sysmon, the backend) are doubles. A scenario's threads are real threads of which one at a time holds the baton; each controlled
// operation is a point where the baton may pass on. Going on costs nothing, and neither does passing the baton because its holder
// blocks or ends; taking it from one that could go on is a preemption. A schedule is the list of the decisions that were not the first
// option, and replays as such. Schedules run in the order of their preemptions, so the first that fails has the fewest. A state in
// which no thread can go on is a deadlock, which is how a lost wake-up shows.
//
// What memory does. Interlocked operations and entering a lock are full fences; Volatile.Write and leaving a lock are release stores,
// which on x86-TSO wait in the writer's store buffer while its later reads go ahead. That is modelled from the reader's end: the store
// happens when the schedule says, and a thread that has stored since its last fence or newest read may read any value that a location
// has had since then, though no older than its own store there. It is the same: a read that goes ahead of a store that happens late.
// Each read that takes an old value counts as a preemption. So a fence that is missing between a thread's write and its read is found
// (Exchange weakened to Volatile.Write, MemoryBarrier dropped).
//
// What it cannot find. Plain accesses to fields are not points of their own and see the newest value: an access that ought to be
// volatile and is not, and what a compiler or a weaker memory model may make of it (Arm64 reorders what TSO does not), is out of
// sight. So is a bug that takes more preemptions than the bound, or more threads than the scenario has.

/// <summary>What an exploration came to. A failure names its schedule, for <see cref="Explorer.Replay"/>.</summary>
public sealed record Exploration(int Schedules, TimeSpan Elapsed, ScheduleFailure? Failure);

/// <summary>A schedule that broke the scenario, and what was done in its order.</summary>
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

    /// <summary>Runs every schedule of at most <paramref name="bound"/> preemptions, or up to the first that fails.</summary>
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

    /// <summary>Runs the one schedule that a failure printed. Null when it passes.</summary>
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

                // Up to the prefix's end its relatives are known; behind it every decision took the first option.
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
