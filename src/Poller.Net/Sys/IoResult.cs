using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// The result of a system call, a wait or an operation: a value from 0 up, the <see cref="Abstractions.Errno"/> of a call that failed, or
/// one of this library's own reasons why nothing was done.
/// </summary>
internal readonly struct IoResult : IEquatable<IoResult>
{
    // A value is stored as it is, an errno negated. The reasons are below every negated errno. An Errno whose name this system lacks has a
    // number below zero, which no call returns; it is stored below the reasons, where it equals nothing else.
    private const int Reasons = -100_000;
    private const int Absent = -200_000;

    private readonly int _value;

    private IoResult(int value) => _value = value;

    /// <summary>The descriptor was closed, or its poller was disposed, during the operation.</summary>
    public static IoResult Closing => new(Reasons - 1);

    /// <summary>The deadline passed.</summary>
    public static IoResult Timeout => new(Reasons - 2);

    /// <summary>The descriptor cannot be polled.</summary>
    public static IoResult NotPollable => new(Reasons - 3);

    /// <summary>The operation's token was cancelled.</summary>
    public static IoResult Canceled => new(Reasons - 4);

    /// <summary>The descriptor was closed before the operation. The operation holds no reference to it.</summary>
    public static IoResult Disposed => new(Reasons - 5);

    /// <summary>The descriptor was closed while the operation was queued. The operation holds no reference to it.</summary>
    public static IoResult ClosedInQueue => new(Reasons - 6);

    /// <summary>The backend failed, and its loop has ended.</summary>
    public static IoResult PollerFailed => new(Reasons - 7);

    /// <summary>Whether it is a value.</summary>
    public bool IsSuccess => _value >= 0;

    /// <summary>The value, if the call or operation succeeded; throws otherwise.</summary>
    public int Value => _value >= 0 ? _value : throw new InvalidOperationException($"{this}: a value was expected.");

    /// <summary>The error of a call that failed; <see cref="Errno.None"/> for a value or a reason.</summary>
    public Errno Errno => _value is < 0 and > Reasons ? new Errno(-_value) : Errno.None;

    /// <summary>A value, from 0 up.</summary>
    public static implicit operator IoResult(int value)
    {
        Debug.Assert(value >= 0, "a value from 0 up was expected");
        return new IoResult(value);
    }

    /// <summary>An error; <see cref="Errno.None"/> is 0.</summary>
    public static implicit operator IoResult(Errno errno) => new(errno.Number >= 0 ? -errno.Number : Absent + errno.Number);

    public static bool operator ==(IoResult left, IoResult right) => left._value == right._value;

    public static bool operator !=(IoResult left, IoResult right) => left._value != right._value;

    public bool Equals(IoResult other) => _value == other._value;

    public override bool Equals(object? obj) => obj is IoResult other && Equals(other);

    public override int GetHashCode() => _value;

    public override string ToString() =>
        IsSuccess ? $"{_value}"
        : this == Closing ? nameof(Closing)
        : this == Timeout ? nameof(Timeout)
        : this == NotPollable ? nameof(NotPollable)
        : this == Canceled ? nameof(Canceled)
        : this == Disposed ? nameof(Disposed)
        : this == ClosedInQueue ? nameof(ClosedInQueue)
        : this == PollerFailed ? nameof(PollerFailed)
        : $"{Errno}";
}
