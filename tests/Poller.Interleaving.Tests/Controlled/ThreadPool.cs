namespace Poller.Interleaving.Tests.Controlled;

/// <summary>Queueing is a scheduling point and a full fence. Queued items run when the scenario says so.</summary>
public static class ThreadPool
{
    private static readonly Queue<IThreadPoolWorkItem> Items = [];

    /// <summary>Empties the pool, for a scenario's set-up.</summary>
    public static void Reset() => Items.Clear();

    public static bool UnsafeQueueUserWorkItem(IThreadPoolWorkItem callBack, bool preferLocal)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Queue", "to the pool", "", 0));
        Items.Enqueue(callBack);
        self?.Fence();
        return true;
    }

    /// <summary>Runs items on the calling thread, which does nothing else until <paramref name="isDone"/> holds.</summary>
    public static void RunUntil(Func<bool> isDone)
    {
        while (true)
        {
            ControlledThread.WaitUntil(() => isDone() || Items.Count > 0, new Site("Wait", "for work of the pool", "", 0));
            if (isDone()) return;
            Items.Dequeue().Execute();
        }
    }

    /// <summary>Runs the queued items.</summary>
    public static void RunAll()
    {
        while (Items.TryDequeue(out IThreadPoolWorkItem? item)) item.Execute();
    }
}
