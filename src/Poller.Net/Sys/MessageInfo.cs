namespace Poller.Net;

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
