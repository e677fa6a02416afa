using System.Net.Sockets;

namespace Poller.Net;

/// <summary>
/// The socket system calls, one implementation an OS family. Each returns what the call returned, or its error by this system's number.
/// Nothing here waits or retries: descriptors are non-blocking and close-on-exec from their creation.
/// </summary>
/// <remarks>
/// Addresses are the bytes of <see cref="System.Net.SocketAddress"/>, which the BCL lays out for each OS. Safe from any thread.
/// </remarks>
internal interface ISocketApi
{
    /// <summary>socket(2).</summary>
    IoResult Socket(AddressFamily family, SocketType type, ProtocolType protocol);

    /// <summary>bind(2).</summary>
    IoResult Bind(nint fd, ReadOnlySpan<byte> address);

    /// <summary>listen(2).</summary>
    IoResult Listen(nint fd, int backlog);

    /// <summary>accept(2). The peer's address is written to <paramref name="address"/>, as much of it as there is room for.</summary>
    IoResult Accept(nint fd, Span<byte> address, out int addressLength);

    /// <summary>connect(2).</summary>
    IoResult Connect(nint fd, ReadOnlySpan<byte> address);

    /// <summary>recv(2).</summary>
    IoResult Receive(nint fd, Span<byte> buffer);

    /// <summary>recv(2) that leaves the bytes where they are (MSG_PEEK).</summary>
    IoResult Peek(nint fd, Span<byte> buffer);

    /// <summary>send(2), without a SIGPIPE.</summary>
    IoResult Send(nint fd, ReadOnlySpan<byte> buffer);

    /// <summary>shutdown(2).</summary>
    IoResult Shutdown(nint fd, SocketShutdown how);

    /// <summary>
    /// setsockopt(2) of an int, the level and the name as the BCL numbers them. Of Linger the value is the seconds, or -1 for off.
    /// </summary>
    IoResult SetOption(nint fd, SocketOptionLevel level, SocketOptionName name, int value);

    /// <summary>Reads and clears the socket's pending error (SO_ERROR): 0, or that error.</summary>
    IoResult TakeError(nint fd);

    /// <summary>getsockname(2).</summary>
    IoResult LocalName(nint fd, Span<byte> address, out int addressLength);

    /// <summary>getpeername(2).</summary>
    IoResult PeerName(nint fd, Span<byte> address, out int addressLength);

    /// <summary>close(2), never repeated.</summary>
    IoResult Close(nint fd);

    /// <summary>How many descriptors the process may have open; none has a number as high (RLIMIT_NOFILE). Asked anew each time.</summary>
    long MaxDescriptors { get; }

    /// <summary>What the system lets a listener queue at most.</summary>
    int MaxBacklog { get; }
}
