namespace Poller.Net;

/// <summary>Ends of methods that are written once for both forms, and complete before they return when told to block.</summary>
internal static class Blocking
{
    public static T Result<T>(ValueTask<T> task) => task.IsCompleted
        ? task.GetAwaiter().GetResult()
        : throw new InvalidOperationException("the blocking form of an operation returned before it was done.");
}
