namespace Poller.Net;

/// <summary>
/// What methods need that are written once for the blocking and the async form. If told to block, such a method completes before it
/// returns.
/// </summary>
internal static class Blocking
{
    /// <summary>Takes the result of such a method.</summary>
    public static T Result<T>(ValueTask<T> task) => task.IsCompleted ? task.GetAwaiter().GetResult() : throw NotDone();

    /// <inheritdoc cref="Result"/>
    public static void End(ValueTask task)
    {
        if (!task.IsCompleted) throw NotDone();
        task.GetAwaiter().GetResult();
    }

    /// <summary>
    /// Call it before this thread blocks on what a poller may have to do; null means any poller. A loop's thread hands its loop over.
    /// </summary>
    /// <exception cref="InvalidOperationException">This thread runs a loop of the poller with inline dispatch.</exception>
    public static void Enter(string operation, Netpoller? poller)
    {
        if (LoopThreads.LoopOfThisThread is not { } loop) return;
        if (loop.Dispatch == NetpollDispatch.Inline && (poller is null || poller.Loops.Contains(loop)))
        {
            throw PollFd.WouldWaitForItself(operation);
        }
        loop.HandOff();
    }

    /// <summary>Waits for so long.</summary>
    /// <exception cref="InvalidOperationException">It is to block a loop's thread with inline dispatch.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static ValueTask PauseAsync(string operation, bool blocking, TimeSpan pause, TimeProvider clock, CancellationToken token)
    {
        if (!blocking) return new ValueTask(Task.Delay(pause, clock, token));
        Enter(operation, poller: null);
        Thread.Sleep(pause);
        return ValueTask.CompletedTask;
    }

    private static InvalidOperationException NotDone() =>
        new("the blocking form of an operation returned before the operation was done.");
}
