namespace Poller.Net;

/// <summary>One buffer of a gathered or scattered call: a struct iovec. Its memory is pinned while a call uses it.</summary>
internal struct IoVector
{
    public nint Base;
    public nint Length;
}

/// <summary>What recvmsg(2) says of a message beside its bytes.</summary>
internal struct MessageInfo
{
    /// <summary>The length of the sender's address, in bytes; 0 if there is none.</summary>
    public int AddressLength;

    /// <summary>The length of the control data, in bytes.</summary>
    public int ControlLength;

    /// <summary>Whether the message was longer than the buffers. The rest is lost (MSG_TRUNC).</summary>
    public bool IsTruncated;

    /// <summary>Whether there was more control data than its buffer takes. The rest is lost (MSG_CTRUNC).</summary>
    public bool IsControlTruncated;
}

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

    /// <summary>setsockopt(2). Level and name are the system's numbers.</summary>
    IoResult SetRawOption(nint fd, int level, int name, ReadOnlySpan<byte> value);

    /// <summary>getsockopt(2). Level and name are the system's numbers. Returns the length of the value, in bytes.</summary>
    IoResult GetRawOption(nint fd, int level, int name, Span<byte> value);

    /// <summary>How this system lays out control data.</summary>
    ControlLayout ControlLayout { get; }
}
