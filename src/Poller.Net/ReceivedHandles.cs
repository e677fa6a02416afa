namespace Poller.Net;

/// <summary>What <see cref="UnixConn.ReceiveAsync"/> has received.</summary>
public readonly record struct ReceivedHandles
{
    /// <summary>The number of bytes; 0 at the end of a connection, and for an empty message.</summary>
    public int Bytes { get; init; }

    /// <summary>The number of handles that were put into the caller's memory, from its start on. Each is the caller's to dispose.</summary>
    public int Handles { get; init; }

    /// <summary>Whether the message was longer than the buffer. The rest is lost (MSG_TRUNC). Bytes of a stream are never lost.</summary>
    public bool IsTruncated { get; init; }

    /// <summary>
    /// Whether more descriptors came than were received, because there was no room for more handles, or because this process has as many
    /// descriptors as it may (MSG_CTRUNC). The others are closed.
    /// </summary>
    public bool HandlesDropped { get; init; }
}
