using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of runnable waiters, from the poll or the caller that found them to the thread that runs them.</summary>
internal static class LoopScenarios
{
    // The leader fills the batch and claims from it. It refills the batch when all is claimed, while the helper is amid a claim.
    public static void FillAndClaim(Run run)
    {
        ReadyBatch batch = new();
        CountingWaiter[] waiters = [new(), new(), new()];
        Fill(batch, waiters[0]);
        run.Thread("leader", () =>
        {
            Claim(batch);
            for (int i = 1; i < waiters.Length; i++)
            {
                batch.Clear();
                Fill(batch, waiters[i]);
                Claim(batch);
            }
        });
        run.Thread("helper", () => Claim(batch));
        run.Finally(() => AllRan(waiters));
    }

    public static void TwoClaim(Run run)
    {
        ReadyBatch batch = new();
        CountingWaiter[] waiters = [new(), new(), new()];
        Fill(batch, waiters);
        run.Thread("claimer 1", () => Claim(batch));
        run.Thread("claimer 2", () => Claim(batch));
        run.Finally(() => AllRan(waiters));
    }

    public static void PushAndTakeAll(Run run)
    {
        InjectedQueue queue = default;
        CountingWaiter[] waiters = [new(), new(), new()];
        run.Thread("pusher 1", () =>
        {
            queue.Push(waiters[0]);
            queue.Push(waiters[1]);
        });
        run.Thread("pusher 2", () => queue.Push(waiters[2]));
        run.Thread("taker", () => Take(ref queue));
        run.Finally(() =>
        {
            Take(ref queue);
            AllRan(waiters);
        });
    }

    // A waiter is scheduled while the leader falls asleep. The leader must see it, or a Break must end its sleep.
    public static void ScheduleAndSleep(Run run)
    {
        Loop loop = new(threads: 1);
        CountingWaiter waiter = new();
        run.Thread("scheduler", () => loop.It.Schedule(waiter));
        run.Finally(() => AllRan(waiter));
    }

    // A deadline is set while the leader falls asleep until a later one, or for ever.
    public static void SetDeadlineAndSleep(Run run)
    {
        Loop loop = new(threads: 1);
        CountingWaiter waiter = new();
        PollDesc desc = loop.Parked(waiter);
        loop.It.SetDeadline(desc, PollMode.Read, 1_000);
        run.Thread("setter", () =>
        {
            loop.It.SetDeadline(desc, PollMode.Read, 10);

            TimeProvider.System.Advance(12);

            // A poll that began after the clock moved ends later, by as much.
            ControlledThread.WaitUntil(() => waiter.Runs == 1 || loop.Poll.IsPolling, new Site("Wait", "for the poll", "", 0));
            TimeProvider.System.Advance(30);
        });
        run.Finally(() =>
        {
            AllRan(waiter);
            Invariant.Holds(desc.Check(Direction.Read) == IoResult.Timeout, "the waiter ran before its deadline.");
        });
    }

    // The monitor finds the leader caught in the first of two waiters, and a follower takes over. There is no place for a third thread, so
    // the new leader puts the second waiter into the overflow unless the old leader has come back. The pool runs nothing meanwhile, so
    // whoever gives back a place must pass the waiter on.
    public static void PromoteAndClaim(Run run)
    {
        ThreadPool.Reset();
        Loop loop = new(threads: 2);
        CountingWaiter[] waiters = [new(), new()];
        foreach (CountingWaiter waiter in waiters) loop.Ready(waiter);
        run.Thread("monitor", loop.PromoteOnce);
        run.Finally(() =>
        {
            AllRan(waiters);
            Invariant.Holds(loop.Poll.IsPolling, "nobody leads.");
        });
    }

    // A helper claims beside the leader. If it finds nothing left while the leader runs, it takes the lead. No waiter may be lost, and one
    // of the two must poll in the end.
    public static void HelpAndClaim(Run run)
    {
        Loop loop = new(threads: 2, maxBlockedHandlers: 2);
        CountingWaiter[] waiters = [new(), new()];
        foreach (CountingWaiter waiter in waiters) loop.Ready(waiter);
        loop.StartHelper();
        run.Finally(() =>
        {
            AllRan(waiters);
            Invariant.Holds(loop.Poll.IsPolling, "nobody leads.");
        });
    }

    // The loop stops while a helper takes the lead. Whichever thread leads then must end the loop.
    public static void HelpAndStop(Run run)
    {
        ThreadPool.Reset();
        Loop loop = new(threads: 2, maxBlockedHandlers: 2);
        CountingWaiter waiter = new();
        loop.Ready(waiter);
        loop.StartHelper();
        run.Thread("stopper", loop.It.Stop);
        run.Finally(() =>
        {
            ThreadPool.RunAll();
            AllRan(waiter);
            Invariant.Holds(loop.Poll.IsDisposed, "the loop did not end.");
        });
    }

    // The leader ends its own term before it blocks, while the monitor ends it too. Only one of them may succeed.
    public static void HandOffAndPromote(Run run)
    {
        Loop loop = new(threads: 2);
        CountingWaiter waiter = new(() => loop.It.HandOff());
        loop.Ready(waiter);
        run.Thread("monitor", loop.PromoteOnce);
        run.Finally(() =>
        {
            AllRan(waiter);
            Invariant.Holds(loop.Poll.IsPolling, "nobody leads.");
        });
    }

    // The monitor falls asleep while the leader finds a waiter, in which it is then caught. The leader must wake the monitor, or the
    // monitor must see that the leader runs.
    public static void RunAndMonitorSleeps(Run run)
    {
        Loop loop = new(threads: 1);
        bool isAwake = false;
        CountingWaiter waiter = new(() => ControlledThread.WaitUntil(() => isAwake, new Site("Wait", "for the monitor", "", 0)));
        loop.Ready(waiter);
        run.Thread("monitor", () =>
        {
            loop.Monitor.SleepUntilNoticed();
            isAwake = true;
        });
        run.Finally(() => AllRan(waiter));
    }

    // A waiter must run, whether it is scheduled before the loop stops or after.
    public static void ScheduleAndStop(Run run)
    {
        ThreadPool.Reset();
        Loop loop = new(threads: 1);
        CountingWaiter waiter = new();
        run.Thread("scheduler", () => loop.It.Schedule(waiter));
        run.Thread("stopper", loop.It.Stop);
        run.Finally(() =>
        {
            ThreadPool.RunAll();
            AllRan(waiter);
            Invariant.Holds(loop.Poll.IsDisposed, "the loop did not end.");
        });
    }

    // The backend fails while an operation opens, parks and closes. The operation must learn that the poller failed, and not that it was
    // stopped.
    public static void BeginAndFail(Run run)
    {
        ThreadPool.Reset();
        Loop loop = new(threads: 1);
        CountingWaiter waiter = new();
        InvalidOperationException failure = new("the backend is to fail.");
        run.Thread("operation", () =>
        {
            PollDesc desc;
            try
            {
                desc = loop.It.Open(3);
            }
            catch (IOException e)
            {
                Invariant.Holds(e.InnerException == failure, $"an operation could not begin for another reason: {e}");
                return;
            }
            if (loop.It.Park(desc, Direction.Read, waiter) == PollPark.Parked) ThreadPool.RunUntil(() => waiter.Runs == 1);
            Invariant.Holds(desc.Check(Direction.Read) == IoResult.PollerFailed, "a wait ended for another reason.");
            loop.It.Evict(desc);
            loop.It.Close(desc);
        });
        run.Thread("kernel", () => loop.Poll.Fail(failure));
        run.Finally(() => HasFailed(loop, failure));
    }

    // Break and Poll of the backend fail at the same time. That must be reported once, and a waiter that is scheduled meanwhile must run.
    public static void ScheduleAndFail(Run run)
    {
        ThreadPool.Reset();
        Loop loop = new(threads: 1);
        CountingWaiter waiter = new();
        InvalidOperationException failure = new("the backend is to fail.");
        loop.Poll.BreakFailure = failure;
        run.Thread("scheduler", () =>
        {
            loop.It.Schedule(waiter);
            ThreadPool.RunUntil(() => waiter.Runs == 1);
        });
        run.Thread("kernel", () => loop.Poll.Fail(failure));
        run.Finally(() => HasFailed(loop, failure));
    }

    private static void HasFailed(Loop loop, Exception failure) => Invariant.Holds(
        loop.It.Failure == failure && loop.Owner.Reports == 1 && loop.Poll.IsDisposed,
        $"the loop did not end, or its failure was reported {loop.Owner.Reports} times; once was expected.");

    private static void Fill(ReadyBatch batch, params CountingWaiter[] waiters)
    {
        foreach (CountingWaiter waiter in waiters) Invariant.Holds(batch.TryAdd(waiter), "an empty batch was full.");
        batch.Publish();
    }

    private static void Claim(ReadyBatch batch)
    {
        while (batch.TryClaim(out PollWaiter? waiter)) waiter.Execute();
    }

    private static void Take(ref InjectedQueue queue)
    {
        PollWaiter? waiters = queue.TakeAll();
        while (PollWaiter.TryPop(ref waiters, out PollWaiter? waiter)) waiter.Execute();
    }

    private static void AllRan(params CountingWaiter[] waiters) =>
        Invariant.Holds(Array.TrueForAll(waiters, static waiter => waiter.Runs == 1), "a waiter did not run.");
}
