using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of a thread that runs waiters while the monitor looks for how long it has been in one.</summary>
internal static class RunWatchScenarios
{
    private sealed class Watched
    {
        public RunWatch Watch;
        public long Time;
        public long BeganAt;
    }

    // The monitor looks twice while the thread runs two waiters. If the thread is told that a run was seen, it must be that run: the time
    // is not before the run's begin. And what the monitor takes for one run has the time of its first look at that run.
    public static void RunAndLook(Run run)
    {
        Watched it = new();
        run.Thread("thread", () =>
        {
            for (int i = 0; i < 2; i++)
            {
                it.BeganAt = it.Time;
                it.Watch.Begin();
                if (it.Watch.End(out long since)) Invariant.Holds(since > it.BeganAt, "a run has a time before its begin.");
            }
        });
        run.Thread("monitor", () =>
        {
            (uint run, long since) first = default;
            for (int i = 0; i < 2; i++)
            {
                uint number = it.Watch.Runs;
                if (!RunWatch.IsRunning(number)) continue;
                long now = ++it.Time;
                long since = it.Watch.SinceOf(number, now);
                Invariant.Holds(since == (number == first.run ? first.since : now), "a look does not keep the time of the first.");
                first = (number, since);
            }
        });
        run.Finally(() => Invariant.Holds(!RunWatch.IsRunning(it.Watch.Runs), "the thread seems to run when it does not."));
    }
}
