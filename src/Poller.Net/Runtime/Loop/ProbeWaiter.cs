using System.Diagnostics;

namespace Poller.Net;

/// <summary>A waiter that shows that its loop responds.</summary>
internal sealed class ProbeWaiter(PollLoop loop) : PollWaiter
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly TaskCompletionSource _ran = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Written before the task completes.
    private TimeSpan? _took;

    /// <summary>Completes when the loop has run it.</summary>
    public Task Ran => _ran.Task;

    /// <summary>How long the loop took, or has taken so far.</summary>
    public TimeSpan Elapsed => _ran.Task.IsCompleted ? _took!.Value : Stopwatch.GetElapsedTime(_start);

    public override void Execute()
    {
        _took = Stopwatch.GetElapsedTime(_start);
        loop.NoteProbed();
        _ran.SetResult();
    }

    internal override bool TryWakeThread() => false;
}
