using System.Net.Sockets;

namespace Poller.Net;

/// <summary>Options that the BCL has no name for. The BCL's enum uses the BSDs' numbers, and so do we.</summary>
internal static class SocketOptions
{
    /// <summary>SO_REUSEPORT.</summary>
    public const SocketOptionName ReusePort = (SocketOptionName)0x200;
}
