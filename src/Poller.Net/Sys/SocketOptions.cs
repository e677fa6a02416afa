using System.Net.Sockets;

namespace Poller.Net;

/// <summary>Options that the BCL has no name for. As its own, the numbers are those of the BSDs.</summary>
internal static class SocketOptions
{
    /// <summary>SO_REUSEPORT.</summary>
    public const SocketOptionName ReusePort = (SocketOptionName)0x200;
}
