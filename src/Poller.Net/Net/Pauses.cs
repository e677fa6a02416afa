namespace Poller.Net;

/// <summary>
/// The pauses between the tries of an operation for whose room no event comes: 1 ms, and then twice as long each time, up to 32 ms.
/// </summary>
/// <remarks>
/// Half the last pause would cost a waiting thread twice the system calls, 60 a second; with double, a dial would find room 32 ms later
/// at worst. Both would do.
/// </remarks>
internal struct Pauses
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(32);

    private TimeSpan _last;

    /// <summary>Waits for the next pause, or for <paramref name="most"/> if that is less.</summary>
    /// <exception cref="InvalidOperationException">It is to block a loop's thread with inline dispatch.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ValueTask NextAsync(string operation, bool blocking, TimeSpan? most, TimeProvider clock, CancellationToken token)
    {
        _last = _last == TimeSpan.Zero ? First : _last * 2 < Longest ? _last * 2 : Longest;
        TimeSpan pause = most < _last ? most.Value : _last;
        if (!blocking) return new ValueTask(Task.Delay(pause, clock, token));
        if (LoopThreads.LoopOfThisThread is { } loop)
        {
            if (loop.Dispatch == NetpollDispatch.Inline)
            {
                const string Reason = "a blocking call on the loop's thread may wait for its own loop; with inline dispatch, ";
                throw new InvalidOperationException($"{operation}: {Reason}await the async form.");
            }
            loop.HandOff();
        }
        Thread.Sleep(pause);
        return ValueTask.CompletedTask;
    }
}
