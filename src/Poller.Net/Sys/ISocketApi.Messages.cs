namespace Poller.Net;

// The calls that move messages: with addresses, with control data, and of several buffers.
internal partial interface ISocketApi
{
    /// <summary>recvfrom(2). Writes the sender's address, cut to the room there.</summary>
    IoResult ReceiveFrom(nint fd, Span<byte> buffer, Span<byte> address, out int addressLength);

    /// <summary>sendto(2). An empty address means the peer. It raises no SIGPIPE.</summary>
    IoResult SendTo(nint fd, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> address);

    /// <summary>
    /// recvmsg(2). Descriptors that it receives are close-on-exec where the system can do that in one step.
    /// </summary>
    IoResult ReceiveMessage(
        nint fd, ReadOnlySpan<IoVector> buffers, Span<byte> address, Span<byte> control, out MessageInfo info);

    /// <summary>sendmsg(2). An empty address means the peer. It raises no SIGPIPE.</summary>
    IoResult SendMessage(nint fd, ReadOnlySpan<IoVector> buffers, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control);

    /// <summary>How this system lays out control data.</summary>
    ControlLayout ControlLayout { get; }

    /// <summary>SOL_SOCKET: the level of control data that belongs to no protocol.</summary>
    int SocketLevel { get; }

    /// <summary>The type of control data that has a descriptor of the sender's process (SCM_PIDFD); 0 if the system has none.</summary>
    int PidFdType { get; }
}
