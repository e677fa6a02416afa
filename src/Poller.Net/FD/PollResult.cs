namespace Poller.Net;

/// <summary>What an operation came to, in one int: the result from 0 up, an errno below 0, or one of these.</summary>
internal static class PollResult
{
    /// <summary>The descriptor was closed during the operation.</summary>
    public const int Closing = -100_001;

    /// <summary>The deadline passed.</summary>
    public const int Timeout = -100_002;

    /// <summary>The descriptor cannot be polled.</summary>
    public const int NotPollable = -100_003;

    /// <summary>The operation's token was cancelled.</summary>
    public const int Canceled = -100_004;

    /// <summary>The descriptor was closed before the operation.</summary>
    public const int Disposed = -100_006;

    /// <summary>The descriptor was closed while the operation queued for its turn: it holds no reference.</summary>
    public const int ClosedInQueue = -100_007;

    /// <summary>0, or the result that stands for the error.</summary>
    public static int Of(PollError error) => error switch
    {
        PollError.None => 0,
        PollError.Closing => Closing,
        PollError.Timeout => Timeout,
        PollError.NotPollable => NotPollable,
        _ => throw new ArgumentOutOfRangeException(nameof(error), error, "one of the errors of a PollDesc was expected."),
    };
}
