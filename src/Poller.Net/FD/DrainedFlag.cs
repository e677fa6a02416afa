namespace Poller.Net;

// After a short read of a stream the socket's buffer is empty, so new bytes raise a new edge. The next read can wait at once: without
// Reset, which would forget an edge that has come since, and without a recv(2) that would fail. A level-triggered poller reports bytes that
// are already there, so it is safe there too.
//
//   Unknown -> Drained   AfterRead: the read got fewer bytes than it asked for
//   Drained -> Unknown   BeforeTry: a hang-up was seen. Its edge comes once, and may have come with the bytes that were read.
//   Drained -> Unknown   Waited: the next read must try. A wait that is interrupted may take the edge with it.
//
// It is an enum because the runtime packs it with the small fields of its object. As a struct it cost each connection 8 bytes.

/// <summary>Whether we know that the reading side of a stream is empty. Guarded by the read lock.</summary>
internal enum DrainedFlag : byte
{
    Unknown,
    Drained,
}

internal static class DrainedFlags
{
    /// <summary>Whether a read must wait before it tries the system call.</summary>
    public static bool BeforeTry(this ref DrainedFlag flag, bool hangupSeen)
    {
        if (hangupSeen) flag = DrainedFlag.Unknown;
        return flag == DrainedFlag.Drained;
    }

    public static void AfterRead(this ref DrainedFlag flag, IoResult result, int asked)
    {
        bool isShort = result.IsSuccess && result.Value > 0 && result.Value < asked;
        flag = isShort ? DrainedFlag.Drained : DrainedFlag.Unknown;
    }

    public static void Waited(this ref DrainedFlag flag) => flag = DrainedFlag.Unknown;
}
