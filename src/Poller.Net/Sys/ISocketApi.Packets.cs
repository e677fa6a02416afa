using System.Net.Sockets;

namespace Poller.Net;

// The calls for sockets of packets: one message of one buffer, and multicast.
internal partial interface ISocketApi
{
    /// <summary>recvmsg(2) into one buffer.</summary>
    IoResult ReceiveMessage(nint fd, Span<byte> buffer, Span<byte> address, Span<byte> control, out MessageInfo info);

    /// <summary>sendmsg(2) of one buffer. An empty address means the peer. It raises no SIGPIPE.</summary>
    IoResult SendMessage(nint fd, ReadOnlySpan<byte> buffer, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control);

    /// <summary>
    /// Joins or leaves a multicast group, of 4 or 16 bytes, on an interface; 0 means the one that the system chooses.
    /// </summary>
    IoResult SetMembership(nint fd, ReadOnlySpan<byte> group, int interfaceIndex, bool joins);

    /// <summary>Sets the interface that multicast packets of a family leave by; 0 means the one that the system chooses.</summary>
    IoResult SetMulticastInterface(nint fd, AddressFamily family, int interfaceIndex);

    /// <summary>How this system splits and joins datagrams; null if it cannot.</summary>
    UdpOffload? UdpOffload { get; }
}
