namespace Poller.Net;

/// <summary>When a <see cref="PolledFile"/> sets O_NONBLOCK on its descriptor.</summary>
/// <remarks>
/// O_NONBLOCK belongs to the open file description (open(2)). Every duplicate of the descriptor shares it, in other processes too: a
/// program's standard input is often its parent's as well.
/// </remarks>
public enum NonBlockingMode
{
    /// <summary>If the file owns the descriptor. This is the default.</summary>
    IfOwned,

    /// <summary>Always. A dispose that does not close the descriptor puts it back, as every <see cref="PolledFile.Detach"/> does.</summary>
    Always,

    /// <summary>Never. <see cref="PolledFile"/> says what holds for a descriptor that is left blocking.</summary>
    Never,
}
