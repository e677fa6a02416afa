using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>The operations of a socket of packets in both forms.</summary>
internal static class Udp
{
    public static readonly IPEndPoint Any = new(IPAddress.Loopback, 0);

    /// <summary>A reusable address with room for both families.</summary>
    public static SocketAddress NewAddress() => new(AddressFamily.InterNetworkV6);

    public static IPEndPoint ToEndPoint(this SocketAddress address) =>
        (IPEndPoint)new IPEndPoint(address.Family == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0).Create(address);

    public static IPEndPoint At(this IpPacketConn conn, IPAddress address) => new(address, conn.LocalEndPoint.Port);

    public static Operation<int> StartReceiveFrom(this IPacketConn conn, bool blocking, Memory<byte> buffer, SocketAddress address) =>
        blocking ? new(() => conn.ReceiveFrom(buffer.Span, address)) : new(conn.ReceiveFromAsync(buffer, address).AsTask());

    public static Operation<SocketReceiveFromResult> StartReceiveFrom(this IPacketConn conn, bool blocking, Memory<byte> buffer) =>
        blocking ? new(() => conn.ReceiveFrom(buffer.Span)) : new(conn.ReceiveFromAsync(buffer).AsTask());

    public static Operation<ReceivedMessage> StartReceiveMessage(
        this IpPacketConn conn, bool blocking, Memory<byte> buffer, Memory<byte> control, SocketAddress? address) => blocking
            ? new(() => conn.ReceiveMessage(buffer.Span, control.Span, address))
            : new(conn.ReceiveMessageAsync(buffer, control, address).AsTask());

    public static Task<SocketReceiveFromResult> ReceiveAsync(this IPacketConn conn, bool blocking, Memory<byte> buffer) =>
        conn.StartReceiveFrom(blocking, buffer).Within();

    public static Task<ReceivedMessage> ReceiveMessageAsync(
        this IpPacketConn conn, bool blocking, Memory<byte> buffer, Memory<byte> control = default, SocketAddress? address = null) =>
        conn.StartReceiveMessage(blocking, buffer, control, address).Within();

    public static Task SendToAsync(this IPacketConn conn, bool blocking, ReadOnlyMemory<byte> buffer, EndPoint remote) =>
        Do(blocking, () => conn.SendTo(buffer.Span, remote), () => conn.SendToAsync(buffer, remote));

    public static Task SendToAsync(this IPacketConn conn, bool blocking, ReadOnlyMemory<byte> buffer, SocketAddress address) =>
        Do(blocking, () => conn.SendTo(buffer.Span, address), () => conn.SendToAsync(buffer, address));

    public static Task SendSegmentsAsync(
        this UdpConn conn, bool blocking, ReadOnlyMemory<byte> buffer, int segmentSize, SocketAddress? address = null) => Do(
            blocking,
            () => conn.SendSegments(buffer.Span, segmentSize, address),
            () => conn.SendSegmentsAsync(buffer, segmentSize, address));

    public static Task SendMessageAsync(
        this IpPacketConn conn, bool blocking, ReadOnlyMemory<byte> buffer, ReadOnlyMemory<byte> control, SocketAddress? address) => Do(
            blocking,
            () => conn.SendMessage(buffer.Span, control.Span, address),
            () => conn.SendMessageAsync(buffer, control, address));

    /// <summary>Two sockets of one port: one of IPv6 alone, which <paramref name="listen"/> opens, and one of IPv4.</summary>
    public static (UdpConn Six, UdpConn Four) OfOnePort(NetStack net, Func<UdpConn> listen)
    {
        for (int attempt = 1; ; attempt++)
        {
            UdpConn six = listen();
            try
            {
                return (six, net.ListenUdp(six.At(IPAddress.Any)));
            }
            catch (NetOpException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse && attempt < 20)
            {
                six.Dispose(); // Another test has the port of IPv4.
            }
        }
    }

    /// <summary>
    /// Comes back once datagrams to an address are refused. A child process that another test starts holds a socket that was closed until
    /// its exec.
    /// </summary>
    public static void AwaitNobody(EndPoint address)
    {
        Assert.True(SpinWait.SpinUntil(Refuses, Fixture.Patience), $"{address} still takes datagrams.");

        bool Refuses()
        {
            using Socket probe = new(address.AddressFamily, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
            try
            {
                probe.Connect(address);
                for (int i = 0; i < 2; i++) probe.Send([0]); // The second gets the error of the first.
                return false;
            }
            catch (SocketException e)
            {
                return e.SocketErrorCode == SocketError.ConnectionRefused;
            }
        }
    }

    private static Task Do(bool blocking, Action sync, Func<ValueTask> async) =>
        blocking ? Operation.OnOwnThread(sync).Within() : async().Within();
}
