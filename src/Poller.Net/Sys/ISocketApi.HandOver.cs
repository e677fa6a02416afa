using System.Net.Sockets;

namespace Poller.Net;

// The calls for sockets that come from elsewhere, or go there.
internal partial interface ISocketApi
{
    /// <summary>Sets or clears O_NONBLOCK.</summary>
    IoResult SetNonBlocking(nint fd, bool value);

    /// <summary>Makes a socket of another origin non-blocking and close-on-exec.</summary>
    IoResult SetUp(nint fd);

    /// <summary>
    /// Makes a close-on-exec duplicate of a descriptor (fcntl(2), F_DUPFD_CLOEXEC), with a number above its own if one is free.
    /// </summary>
    IoResult Duplicate(nint fd);

    /// <summary>dup2(2): makes <paramref name="fd"/> a duplicate of <paramref name="by"/>, and closes what it was.</summary>
    IoResult Replace(nint fd, nint by);

    /// <summary>What a socket is. The error is ENOTSOCK if it is none.</summary>
    /// <remarks>The protocol is Unspecified if the system does not tell.</remarks>
    IoResult Describe(nint fd, out AddressFamily family, out SocketType type, out ProtocolType protocol, out bool listens);
}
