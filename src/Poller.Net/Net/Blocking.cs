namespace Poller.Net;

/// <summary>
/// Takes the result of a method that is written once for the blocking and the async form. If told to block, it completes before it returns.
/// </summary>
internal static class Blocking
{
    public static T Result<T>(ValueTask<T> task) => task.IsCompleted ? task.GetAwaiter().GetResult() : throw NotDone();

    /// <inheritdoc cref="Result"/>
    public static void End(ValueTask task)
    {
        if (!task.IsCompleted) throw NotDone();
        task.GetAwaiter().GetResult();
    }

    private static InvalidOperationException NotDone() =>
        new("the blocking form of an operation returned before the operation was done.");
}
