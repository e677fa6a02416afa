using System.Threading.Tasks.Sources;

namespace Poller.Net;

/// <summary>An attempt with a result of any type.</summary>
internal interface IAttempt<out T> : IAttempt
{
    /// <summary>The result, after a try that succeeded.</summary>
    T Result { get; }

    /// <summary>Drops what the operation was given, and keeps the result.</summary>
    void Release();
}

/// <summary>An operation that could not complete at once, and goes on with its attempt.</summary>
internal sealed class AttemptOp<TAttempt, T>(PollFd fd, Direction direction) : PollOp(fd, direction), IValueTaskSource<T>
    where TAttempt : struct, IAttempt<T>
{
    // Set for each operation.
    private TAttempt _attempt;

    public override bool Arms => TAttempt.Arms;

    protected override string Name => _attempt.Name;

    public AttemptOp<TAttempt, T> With(in TAttempt attempt)
    {
        _attempt = attempt;
        return this;
    }

    T IValueTaskSource<T>.GetResult(short token)
    {
        // After TakeResult another operation may use this object, so take the result out first.
        CheckDone(token);
        T result = _attempt.Result;
        _attempt = default;
        TakeResult(token, out _);
        return result;
    }

    protected override IoResult Try(ref object? made) => _attempt.Try(Fd);

    protected override void Release() => _attempt.Release();
}
