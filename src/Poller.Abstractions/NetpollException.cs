using System.Globalization;

namespace Poller.Abstractions;

/// <summary>The system refused an operation of a poller, or one on a descriptor that a poller has.</summary>
public sealed class NetpollException : IOException
{
    /// <summary>Describes a failed operation.</summary>
    /// <param name="operation">What failed, such as the system call, with the descriptor if there is one: <c>epoll open fd 7</c>.</param>
    /// <param name="error">What the system answered.</param>
    /// <param name="hint">What was expected or what to do, if the error's own text does not say it.</param>
    public NetpollException(string operation, Errno error, string? hint = null)
        : base(string.Create(
            CultureInfo.InvariantCulture,
            $"{operation}: {error.Message} ({error.Name ?? "errno"} {error.Number}){(hint is null ? "" : ": " + hint)}"))
    {
        Operation = operation;
        Error = error;
    }

    /// <summary>The operation that failed.</summary>
    public string Operation { get; }

    /// <summary>What the system answered.</summary>
    public Errno Error { get; }
}
