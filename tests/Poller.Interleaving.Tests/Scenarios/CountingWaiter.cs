using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>An operation that must run once.</summary>
internal sealed class CountingWaiter(Action? body = null) : PollWaiter
{
    public int Runs { get; private set; }

    public override void Execute()
    {
        Runs++;
        Invariant.Holds(Runs == 1, "a waiter ran twice.");
        body?.Invoke();
    }

    internal override bool TryWakeThread() => false;

    /// <summary>Waits until it has run.</summary>
    public void Await() => ControlledThread.WaitUntil(() => Runs == 1, new Site("Wait", "until it has run", "", 0));
}
