using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>The codes that System.Net.Sockets has for this system's errors.</summary>
internal static class SocketErrors
{
    private static readonly Dictionary<Errno, SocketError> Codes = new()
    {
        [Errno.EPERM] = SocketError.AccessDenied,
        [Errno.EACCES] = SocketError.AccessDenied,
        [Errno.EINTR] = SocketError.Interrupted,
        [Errno.EBADF] = SocketError.OperationAborted,
        [Errno.EAGAIN] = SocketError.WouldBlock,
        [Errno.EINVAL] = SocketError.InvalidArgument,
        [Errno.EMFILE] = SocketError.TooManyOpenSockets,
        [Errno.ENFILE] = SocketError.TooManyOpenSockets,
        [Errno.ENOBUFS] = SocketError.NoBufferSpaceAvailable,
        [Errno.ENOMEM] = SocketError.NoBufferSpaceAvailable,
        [Errno.EPIPE] = SocketError.Shutdown,
        [Errno.ESHUTDOWN] = SocketError.Shutdown,
        [Errno.ENOENT] = SocketError.AddressNotAvailable,
        [Errno.EPROTOTYPE] = SocketError.ProtocolType,
        [Errno.EDESTADDRREQ] = SocketError.DestinationAddressRequired,
        [Errno.EMSGSIZE] = SocketError.MessageSize,
        [Errno.ENOPROTOOPT] = SocketError.ProtocolOption,
        [Errno.EPROTONOSUPPORT] = SocketError.ProtocolNotSupported,
        [Errno.EOPNOTSUPP] = SocketError.OperationNotSupported,
        [Errno.EAFNOSUPPORT] = SocketError.AddressFamilyNotSupported,
        [Errno.EADDRINUSE] = SocketError.AddressAlreadyInUse,
        [Errno.EADDRNOTAVAIL] = SocketError.AddressNotAvailable,
        [Errno.ENETDOWN] = SocketError.NetworkDown,
        [Errno.ENETUNREACH] = SocketError.NetworkUnreachable,
        [Errno.ENETRESET] = SocketError.NetworkReset,
        [Errno.ECONNABORTED] = SocketError.ConnectionAborted,
        [Errno.ECONNRESET] = SocketError.ConnectionReset,
        [Errno.EISCONN] = SocketError.IsConnected,
        [Errno.ENOTCONN] = SocketError.NotConnected,
        [Errno.ETIMEDOUT] = SocketError.TimedOut,
        [Errno.ECONNREFUSED] = SocketError.ConnectionRefused,
        [Errno.EHOSTDOWN] = SocketError.HostDown,
        [Errno.EHOSTUNREACH] = SocketError.HostUnreachable,
        [Errno.EALREADY] = SocketError.AlreadyInProgress,
        [Errno.EINPROGRESS] = SocketError.InProgress,
    };

    /// <summary>The code of System.Net.Sockets for an error; <see cref="SocketError.SocketError"/> if there is no code for it.</summary>
    public static SocketError CodeOf(Errno errno) => Codes.GetValueOrDefault(errno, SocketError.SocketError);

    /// <summary>The exception for an error. Its message is the system's, because not every errno has a <see cref="SocketError"/>.</summary>
    public static SocketException ToException(Errno errno) => new((int)CodeOf(errno), errno.Message);
}
