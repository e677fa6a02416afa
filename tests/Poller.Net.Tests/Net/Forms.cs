namespace Poller.Net.Tests;

/// <summary>What a behaviour must not depend on: where continuations run, and whether a call blocks its thread.</summary>
public static class Forms
{
    public static TheoryData<NetpollDispatch> Dispatches => [.. Enum.GetValues<NetpollDispatch>()];

    /// <summary>
    /// Every dispatch with the async form (false), and the blocking form (true) once: the loop wakes a thread that is parked before it looks
    /// at the dispatch.
    /// </summary>
    public static TheoryData<NetpollDispatch, bool> All
    {
        get
        {
            TheoryData<NetpollDispatch, bool> all = new() { { NetpollDispatch.Adaptive, true } };
            foreach (NetpollDispatch dispatch in Enum.GetValues<NetpollDispatch>()) all.Add(dispatch, false);
            return all;
        }
    }
}
