namespace Poller.Net;

/// <summary>
/// Makes a <see cref="TryResult{T}"/>: what a function that you give to a <see cref="PolledFile"/> or a <see cref="RawConn"/> returns.
/// </summary>
public static class TryResult
{
    /// <summary>The call would block (EAGAIN). The operation waits, and runs the function again.</summary>
    public static WouldBlock WouldBlock => default;

    /// <summary>The call is done, with this result. For most types the value alone does.</summary>
    public static TryResult<T> Done<T>(T value) => new(value);
}

/// <summary>"Would block" as a <see cref="TryResult{T}"/> of any type: <see cref="TryResult.WouldBlock"/>.</summary>
public readonly record struct WouldBlock;

/// <summary>One try of a call that does not block: its result, or "would block", which is the default value.</summary>
/// <typeparam name="T">The result's type.</typeparam>
public readonly record struct TryResult<T>
{
    /// <summary>The call is done, with this result.</summary>
    public TryResult(T value)
    {
        Value = value;
        IsDone = true;
    }

    /// <summary>Whether the call is done; false for "would block".</summary>
    public bool IsDone { get; }

    internal T? Value { get; }

    /// <summary>The call is done, with this result.</summary>
    public static implicit operator TryResult<T>(T value) => new(value);

    /// <summary>The call would block.</summary>
    public static implicit operator TryResult<T>(WouldBlock wouldBlock) => default;
}
