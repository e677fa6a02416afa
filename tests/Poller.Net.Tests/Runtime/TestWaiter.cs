namespace Poller.Net.Tests;

/// <summary>A waiter that only remembers what was done to it.</summary>
internal sealed class TestWaiter : PollWaiter
{
    private readonly TaskCompletionSource _ran = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _runs;

    public Action? Continuation { get; init; }

    public int Runs => Volatile.Read(ref _runs);

    public Task Ran => _ran.Task;

    public void Cancel(bool value = true) => SetCanceled(value);

    public override void Execute()
    {
        Interlocked.Increment(ref _runs);
        _ran.TrySetResult();
        Continuation?.Invoke();
    }

    internal override bool TryWakeThread() => false;
}
