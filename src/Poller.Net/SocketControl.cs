using System.Net;

namespace Poller.Net;

/// <summary>
/// Sees the descriptor of a new socket before it is bound or connected: the twin of <c>Control</c> in Go's <c>net.Dialer</c> and
/// <c>net.ListenConfig</c>. Use it for options of the system that this library does not have.
/// </summary>
/// <param name="descriptor">
/// The socket, which is non-blocking and has this library's options already. It is valid during the call only; do not close it.
/// </param>
/// <param name="network">The network, for one address family: <c>tcp4</c>, <c>tcp6</c>, <c>unix</c>, …</param>
/// <param name="address">
/// The address to connect to or to listen on; a copy. A dial of a name calls once for each address that it tries, possibly from two threads
/// at once.
/// </param>
/// <remarks>
/// If it throws, that socket is closed, and its dial or listen fails with a <see cref="NetOpException"/> whose inner exception is the one
/// thrown. A dial of a name then goes on with the next address.
/// </remarks>
public delegate void SocketControl(nint descriptor, string network, EndPoint address);
