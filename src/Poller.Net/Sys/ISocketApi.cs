using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// The socket system calls; each OS family has one implementation. A method returns the call's result, or its <c>errno</c>. No method
/// waits or retries. Descriptors are non-blocking and close-on-exec from their creation.
/// </summary>
/// <remarks>
/// An address is the bytes of a <see cref="System.Net.SocketAddress"/>, which the BCL lays out for each OS. Safe from any thread.
/// </remarks>
internal partial interface ISocketApi
{
    /// <summary>socket(2).</summary>
    IoResult Socket(AddressFamily family, SocketType type, ProtocolType protocol);

    /// <summary>bind(2).</summary>
    IoResult Bind(nint fd, ReadOnlySpan<byte> address);

    /// <summary>listen(2).</summary>
    IoResult Listen(nint fd, int backlog);

    /// <summary>accept(2). Writes the peer's address to <paramref name="address"/>, cut to the room there.</summary>
    IoResult Accept(nint fd, Span<byte> address, out int addressLength);

    /// <summary>connect(2).</summary>
    IoResult Connect(nint fd, ReadOnlySpan<byte> address);

    /// <summary>recv(2).</summary>
    IoResult Receive(nint fd, Span<byte> buffer);

    /// <summary>recv(2) with MSG_PEEK, which leaves the bytes in the socket's buffer.</summary>
    IoResult Peek(nint fd, Span<byte> buffer);

    /// <summary>send(2). It raises no SIGPIPE.</summary>
    IoResult Send(nint fd, ReadOnlySpan<byte> buffer);

    /// <summary>shutdown(2).</summary>
    IoResult Shutdown(nint fd, SocketShutdown how);

    /// <summary>
    /// setsockopt(2) of an int. Level and name are the BCL's numbers. The value of Linger is in seconds; -1 turns it off. The error is
    /// ENOPROTOOPT if the system has no such option.
    /// </summary>
    IoResult SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value);

    /// <summary>getsockopt(2) of an option that <see cref="SetOption"/> sets.</summary>
    IoResult GetOption(nint fd, SocketOptionLevel level, SocketOptionName name, out int value);

    /// <summary>setsockopt(2). Level and name are the system's numbers.</summary>
    IoResult SetRawOption(nint fd, int level, int name, ReadOnlySpan<byte> value);

    /// <summary>getsockopt(2). Level and name are the system's numbers. Returns the length of the value, in bytes.</summary>
    IoResult GetRawOption(nint fd, int level, int name, Span<byte> value);

    /// <summary>Reads and clears the socket's pending error (SO_ERROR): 0, or that error.</summary>
    IoResult TakeError(nint fd);

    /// <summary>
    /// The number of bytes that the peer has not acknowledged yet (SIOCOUTQ, tcp(7)); the end counts as one. EOPNOTSUPP on a system that we
    /// cannot ask.
    /// </summary>
    IoResult Unsent(nint fd);

    /// <summary>getsockname(2).</summary>
    IoResult LocalName(nint fd, Span<byte> address, out int addressLength);

    /// <summary>getpeername(2).</summary>
    IoResult PeerName(nint fd, Span<byte> address, out int addressLength);

    /// <summary>close(2). It is never repeated.</summary>
    IoResult Close(nint fd);

    /// <summary>
    /// How many descriptors the process may have open (RLIMIT_NOFILE); every descriptor's number is below it. Each call asks the system
    /// again.
    /// </summary>
    long MaxDescriptors { get; }

    /// <summary>How many connections the system lets a listener queue at most.</summary>
    int MaxBacklog { get; }
}
