using System.Runtime.CompilerServices;

namespace Poller.AspNetCore.Tests;

/// <summary>Waits that are bounded, and say what they waited for.</summary>
internal static class Waiting
{
    /// <summary>Longer than anything takes that is not stuck.</summary>
    public static TimeSpan Patience { get; } = TimeSpan.FromMinutes(1);

    public static async Task Within(this Task task, [CallerArgumentExpression(nameof(task))] string what = "")
    {
        try
        {
            await task.WaitAsync(Patience);
        }
        catch (TimeoutException) when (!task.IsCompleted)
        {
            throw new TimeoutException($"{what}: it was still not done after {Patience.TotalSeconds} s.");
        }
    }

    public static async Task<T> Within<T>(this Task<T> task, [CallerArgumentExpression(nameof(task))] string what = "")
    {
        await ((Task)task).Within(what);
        return await task;
    }

    public static Task Within(this ValueTask task, [CallerArgumentExpression(nameof(task))] string what = "") => task.AsTask().Within(what);

    public static Task<T> Within<T>(this ValueTask<T> task, [CallerArgumentExpression(nameof(task))] string what = "") =>
        task.AsTask().Within(what);

    /// <summary>Comes back when the token fires.</summary>
    public static Task Fired(this CancellationToken token)
    {
        TaskCompletionSource fired = new(TaskCreationOptions.RunContinuationsAsynchronously);
        token.Register(fired.SetResult);
        return fired.Task;
    }

    /// <summary>
    /// Comes back once a count has come to <paramref name="least"/> and then stands still for a tenth of a second, and says at what.
    /// </summary>
    public static async Task<long> StandsStillAsync(Func<long> count, long least = 1)
    {
        long start = Environment.TickCount64, before, now = count();
        do
        {
            if (Environment.TickCount64 - start > Patience.TotalMilliseconds) throw new TimeoutException($"it does not stand still, at {now}.");
            before = now;
            await Task.Delay(100); // That nothing more happens is no event.
            now = count();
        }
        while (now != before || now < least);
        return now;
    }
}
