namespace Poller.Interleaving.Tests.Controlled;

/// <summary>A thread that the sources start. Starting it is a scheduling point and a full fence; it then is a service of the run.</summary>
public sealed class Thread(Action start)
{
    public bool IsBackground { get; init; }

    public string Name { get; init; } = "";

    /// <summary>Every thread counts as one that runs.</summary>
    public ThreadState ThreadState => ThreadState.Running;

    /// <summary>The explorer keeps all threads on one CPU, and the schedule decides who comes next.</summary>
    public static bool Yield() => false;

    public void UnsafeStart()
    {
        ControlledThread? self = ControlledThread.Step(new Site("Start", Name, "", 0));
        Run.Current.Service(Name, start);
        self?.Fence();
    }
}
