namespace Poller.Net;

/// <summary>One item of a message's control data: a struct cmsghdr and its data (cmsg(3)).</summary>
public readonly ref struct ControlItem
{
    internal ControlItem(int level, int type, ReadOnlySpan<byte> data)
    {
        Level = level;
        Type = type;
        Data = data;
    }

    /// <summary>The protocol that it belongs to, by the system's number, such as that of SOL_SOCKET.</summary>
    public int Level { get; }

    /// <summary>What it is, by the system's number, such as that of SCM_RIGHTS.</summary>
    public int Type { get; }

    /// <summary>Its data, in the layout that the system defines for the type.</summary>
    public ReadOnlySpan<byte> Data { get; }
}
