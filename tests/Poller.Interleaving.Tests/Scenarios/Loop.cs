using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>A loop whose first leader polls, over a backend of the scenario. No more threads can start than the scenario says.</summary>
internal sealed class Loop
{
    private int _started;
    private int _opened;

    public Loop(int threads, int maxBlockedHandlers = 1)
    {
        Owner = new Netpoller(TimeProvider.Reset(), NetpollDispatch.Adaptive, maxBlockedHandlers);
        It = new PollLoop(Owner, Poll, 0);
        Owner.Sysmon = Monitor = new Sysmon([It]);
        It.Threads.IdleTime = Timeout.InfiniteTimeSpan;
        It.Threads.StartThread = thread =>
        {
            if (++_started > threads) throw new InsufficientMemoryException("the scenario lets no further thread start.");
            thread.UnsafeStart();
        };
        It.Threads.StartLeader(withFollower: threads > 1);
    }

    public Netpoller Owner { get; }

    public FakeNetpoll Poll { get; } = new();

    public PollLoop It { get; }

    /// <summary>Awake; the scenarios have a thread that promotes in its stead.</summary>
    public Sysmon Monitor { get; }

    /// <summary>A desc in whose read side a waiter is parked.</summary>
    public PollDesc Parked(CountingWaiter waiter)
    {
        PollDesc desc = It.Open(3 + _opened++);
        Invariant.Holds(It.Park(desc, Direction.Read, waiter) == PollPark.Parked, "a waiter was not parked.");
        return desc;
    }

    /// <summary>The same, and the next poll finds it ready.</summary>
    public void Ready(CountingWaiter waiter) => Poll.Deliver(new PollEvent(Parked(waiter).Token, PollReadiness.Readable));

    /// <summary>Has an idle thread help, as the monitor does.</summary>
    public void StartHelper() => Invariant.Holds(It.Threads.TryStartHelper(othersAreStuck: true), "there was no thread to help.");

    /// <summary>What the monitor does when it takes the leader to be stuck.</summary>
    public void PromoteOnce()
    {
        uint lead = It.Terms.Lead;
        if (!LoopTerms.IsPolling(lead)) It.Terms.TryPromote(lead);
    }
}
