using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of what is ready, on its way from a poll or from elsewhere to the thread that runs it.</summary>
internal static class LoopScenarios
{
    // The one that fills also claims, and refills as soon as all is claimed, while another is in the middle of a claim.
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

    // A waiter is scheduled as the leader falls asleep: the leader sees it, or is broken out of its sleep.
    public static void ScheduleAndSleep(Run run)
    {
        Loop loop = new(run, threads: 1);
        CountingWaiter waiter = new();
        run.Thread("scheduler", () => loop.It.Schedule(waiter));
        run.Finally(() => AllRan(waiter));
    }

    // A deadline is set as the leader falls asleep for a later one, or for ever.
    public static void SetDeadlineAndSleep(Run run)
    {
        Loop loop = new(run, threads: 1);
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

    // The leader is caught in the first of two waiters, as the monitor sees it; a follower takes the term and claims with it.
    public static void PromoteAndClaim(Run run)
    {
        Loop loop = new(run, threads: 2);
        CountingWaiter[] waiters = [new(), new()];
        foreach (CountingWaiter waiter in waiters) loop.Ready(waiter);
        run.Thread("monitor", loop.PromoteOnce);
        run.Finally(() =>
        {
            AllRan(waiters);
            Invariant.Holds(loop.Poll.IsPolling, "nobody leads.");
        });
    }

    // A helper claims with the leader, and leads when it finds nothing left while the leader runs: no waiter is lost, and one of the two
    // polls in the end.
    public static void HelpAndClaim(Run run)
    {
        Loop loop = new(run, threads: 1);
        CountingWaiter[] waiters = [new(), new()];
        foreach (CountingWaiter waiter in waiters) loop.Ready(waiter);
        run.Service("helper", loop.It.Threads.Help);
        run.Finally(() =>
        {
            AllRan(waiters);
            Invariant.Holds(loop.Poll.IsPolling, "nobody leads.");
        });
    }

    // The loop stops as a helper takes the lead: whoever leads then ends it.
    public static void HelpAndStop(Run run)
    {
        ThreadPool.Reset();
        Loop loop = new(run, threads: 1);
        CountingWaiter waiter = new();
        loop.Ready(waiter);
        run.Service("helper", loop.It.Threads.Help);
        run.Thread("stopper", loop.It.Stop);
        run.Finally(() =>
        {
            ThreadPool.RunAll();
            AllRan(waiter);
            Invariant.Holds(loop.Poll.IsDisposed, "the loop did not end.");
        });
    }

    // The leader ends its own term, before it blocks, as the monitor does the same: one of them has it.
    public static void HandOffAndPromote(Run run)
    {
        Loop loop = new(run, threads: 2);
        CountingWaiter waiter = new(() => loop.It.HandOff());
        loop.Ready(waiter);
        run.Thread("monitor", loop.PromoteOnce);
        run.Finally(() =>
        {
            AllRan(waiter);
            Invariant.Holds(loop.Poll.IsPolling, "nobody leads.");
        });
    }

    // The monitor falls asleep as the leader finds something to run, in which it is caught: the leader wakes it, or it sees
    // that the leader runs.
    public static void RunAndMonitorSleeps(Run run)
    {
        Loop loop = new(run, threads: 1);
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

    // What is scheduled before the loop stops runs, and so does what is scheduled after: nobody waits for ever.
    public static void ScheduleAndStop(Run run)
    {
        ThreadPool.Reset();
        Loop loop = new(run, threads: 1);
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

    private sealed class Loop
    {
        public Loop(Run run, int threads)
        {
            Netpoller owner = new(TimeProvider.Reset(), NetpollDispatch.Adaptive);
            It = new PollLoop(owner, Poll, 0);
            owner.Sysmon = Monitor = new Sysmon([It]);
            It.Start();
            for (int i = 1; i <= threads; i++) run.Service($"loop {i}", It.Threads.Serve);
        }

        public FakeNetpoll Poll { get; } = new();

        public PollLoop It { get; }

        /// <summary>Awake; the scenarios have a thread that promotes in its stead.</summary>
        public Sysmon Monitor { get; }

        /// <summary>A desc in whose read side a waiter is parked.</summary>
        public PollDesc Parked(CountingWaiter waiter)
        {
            PollDesc desc = It.Open(3);
            Invariant.Holds(It.Park(desc, Direction.Read, waiter) == PollPark.Parked, "a waiter was not parked.");
            return desc;
        }

        /// <summary>The same, and the next poll finds it ready.</summary>
        public void Ready(CountingWaiter waiter) => Poll.Deliver(new PollEvent(Parked(waiter).Token, PollReadiness.Readable));

        /// <summary>What the monitor does when it takes the leader to be stuck.</summary>
        public void PromoteOnce()
        {
            uint lead = It.Terms.Lead;
            if (!LoopTerms.IsPolling(lead)) It.Terms.TryPromote(lead);
        }
    }

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
