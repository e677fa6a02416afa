using System.Globalization;
using System.Runtime.InteropServices;

namespace Poller.Abstractions;

/// <summary>The system refused an operation of a poller.</summary>
public sealed class NetpollException : IOException
{
    /// <summary>Describes a failed operation.</summary>
    /// <param name="operation">The system call, with the descriptor where there is one: <c>epoll_ctl add fd 7</c>.</param>
    /// <param name="errno">The system's number for the error.</param>
    /// <param name="hint">What was expected, or what to do, when the error's own text does not say it.</param>
    public NetpollException(string operation, int errno, string? hint = null)
        : base(string.Create(
            CultureInfo.InvariantCulture,
            $"{operation}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}){(hint is null ? "" : ": " + hint)}"))
    {
        Operation = operation;
        Errno = errno;
    }

    /// <summary>The operation that failed.</summary>
    public string Operation { get; }

    /// <summary>The system's number for the error.</summary>
    public int Errno { get; }
}
