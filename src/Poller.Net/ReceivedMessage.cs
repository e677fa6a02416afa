namespace Poller.Net;

/// <summary>What a receive of a message says of it: the twin of the results of Go's <c>UDPConn.ReadMsgUDP</c>.</summary>
public readonly record struct ReceivedMessage
{
    /// <summary>How many bytes of the message were received; 0 for an empty message.</summary>
    public int Bytes { get; init; }

    /// <summary>How many bytes of control data were received. <see cref="ControlReader"/> reads them.</summary>
    public int ControlBytes { get; init; }

    /// <summary>Whether the message was longer than the buffer. The rest is lost (MSG_TRUNC).</summary>
    public bool IsTruncated { get; init; }

    /// <summary>
    /// Whether there was more control data than its buffer takes. The rest is lost (MSG_CTRUNC), and <see cref="SegmentSize"/> may be.
    /// </summary>
    public bool IsControlTruncated { get; init; }

    /// <summary>
    /// Above 0, if the system joined several datagrams of one sender: each has this many bytes, and the last one may have fewer. See
    /// <see cref="UdpConn.ReceivesSegments"/>.
    /// </summary>
    public int SegmentSize { get; init; }
}
