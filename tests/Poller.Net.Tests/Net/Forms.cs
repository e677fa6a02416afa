namespace Poller.Net.Tests;

/// <summary>What a behaviour must not depend on: where continuations run, and whether a call blocks its thread.</summary>
public static class Forms
{
    public static TheoryData<NetpollDispatch> Dispatches => [.. Enum.GetValues<NetpollDispatch>()];

    /// <summary>Every dispatch, each with the async form (false) and the blocking form (true).</summary>
    public static TheoryData<NetpollDispatch, bool> All
    {
        get
        {
            TheoryData<NetpollDispatch, bool> all = [];
            foreach (NetpollDispatch dispatch in Enum.GetValues<NetpollDispatch>())
            {
                all.Add(dispatch, false);
                all.Add(dispatch, true);
            }
            return all;
        }
    }
}
