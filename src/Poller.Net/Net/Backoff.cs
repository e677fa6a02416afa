namespace Poller.Net;

/// <summary>The pauses between the tries of an operation: the first, and then twice as long each time, up to the longest.</summary>
internal struct Backoff(TimeSpan first, TimeSpan longest)
{
    private TimeSpan _last;

    /// <summary>
    /// For an operation for whose room no event comes: 1 to 32 ms. Half the longest pause would cost a waiting thread twice the system
    /// calls, 60 a second; with double, a dial would find room 32 ms later at worst. Both would do.
    /// </summary>
    public static Backoff ForRoom => new(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(32));

    /// <summary>Whether there was a pause.</summary>
    public readonly bool HasBegun => _last != TimeSpan.Zero;

    /// <summary>The next pause.</summary>
    public TimeSpan Next()
    {
        _last = _last == TimeSpan.Zero ? first : _last * 2 < longest ? _last * 2 : longest;
        return _last;
    }

    /// <summary>Begins anew with the first pause.</summary>
    public void Reset() => _last = TimeSpan.Zero;
}
