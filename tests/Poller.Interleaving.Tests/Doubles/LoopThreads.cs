using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>A reserved thread.</summary>
internal sealed class LoopThread;

/// <summary>The threads of a loop. The scenario supplies them, and each of them runs <see cref="Serve"/>.</summary>
#pragma warning disable CS9113 // The doubles never reach a bound.
internal sealed class LoopThreads(PollLoop loop, string name, int maxBlockedHandlers)
#pragma warning restore CS9113
{
    [ThreadStatic]
    private static uint _termOfThisThread;

    private readonly Queue<uint> _terms = [];
    private int _idle;
    private bool _stopped;

    public static uint TermOfThisThread => _termOfThisThread;

    public int Blocked => 0;

    public bool HasPlace => true;

    public bool TryOverflow(PollWaiter waiter) => throw new InvariantException("a waiter overflowed where there was a place.");

    public bool AnyWaits(int looks) => false;

    public void StartLeader(bool withFollower) => _terms.Enqueue(0);

    public bool TryStartHelper(bool othersAreStuck) => false;

    public bool TryWakeHelper() => false;

    public static void NoteRun() { }

    public LoopThread? TryReserve()
    {
        Fence("Reserve");
        if (_idle == 0) return null;
        _idle--;
        return new LoopThread();
    }

    public void Release(LoopThread follower)
    {
        Fence("Release");
        _idle++;
    }

    public void Lead(LoopThread follower, uint term)
    {
        Fence("Lead");
        _terms.Enqueue(term);
    }

    public void Stop()
    {
        Fence("Stop");
        _stopped = true;
    }

    public void ResetThread() { }

    /// <summary>The body of a thread of this loop.</summary>
    public void Serve()
    {
        while (true)
        {
            if (_terms.Count == 0) _idle++;
            ControlledThread.WaitUntil(() => _terms.Count > 0 || _stopped, new Site("Wait", $"{name}, for a role", "", 0));
            if (!_terms.TryDequeue(out uint term)) return;
            _termOfThisThread = term;
            loop.Terms.LeadTerm(term);
        }
    }

    /// <summary>The body of a thread that helps, and then leads if it must.</summary>
    public void Help()
    {
        if (!loop.Terms.Help(out uint term)) return;
        _termOfThisThread = term;
        loop.Terms.LeadTerm(term);
    }

    private static void Fence(string operation) => ControlledThread.Step(new Site(operation, "thread", "", 0))?.Fence();
}
