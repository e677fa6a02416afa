using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Poller.Net.Tests;

/// <summary>What lies under a connection, and peers that are not ours.</summary>
internal static class Raw
{
    public static readonly IPEndPoint AnyLoopbackPort = new(IPAddress.Loopback, 0);

    /// <summary>The socket under a connection or a listener, to look at its options; it is not owned.</summary>
    public static Socket SocketOf(TcpConn conn) => SocketOf(NetFdOf(conn));

    /// <inheritdoc cref="SocketOf(TcpConn)"/>
    public static Socket SocketOf(IpPacketConn conn) => SocketOf(NetFdOf(conn));

    /// <inheritdoc cref="SocketOf(TcpConn)"/>
    public static Socket SocketOf(TcpConnListener listener) => SocketOf(NetFdOf(listener));

    /// <summary>Closes a connection as a peer that dies does.</summary>
    public static void Reset(this TcpConn conn)
    {
        conn.LingerState = new LingerOption(true, 0);
        conn.Dispose();
    }

    /// <summary>Comes back once so many bytes have arrived.</summary>
    public static async Task ArrivedAsync(this TcpConn conn, int count)
    {
        using Socket socket = SocketOf(conn);
        using CancellationTokenSource patience = new(Fixture.Patience);
        while (socket.Available < count) await Task.Delay(1, patience.Token).ConfigureAwait(false);
    }

    /// <summary>A System.Net.Sockets listener.</summary>
    public static Socket Listen()
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(AnyLoopbackPort);
        socket.Listen();
        return socket;
    }

    /// <summary>A socket that has a port and does not listen. A connection to it is refused, and nobody else gets the port.</summary>
    public static Socket Bind()
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(AnyLoopbackPort);
        return socket;
    }

    /// <summary>A System.Net.Sockets client of a listener.</summary>
    public static async Task<Socket> ConnectAsync(EndPoint remote)
    {
        Socket socket = new(remote.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(remote).Within().ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose(); // Otherwise its finalizer closes it during a test that counts sockets.
            throw;
        }
    }

    /// <summary>Whether a child process would get the descriptor.</summary>
    public static bool IsInherited(TcpConn conn)
    {
        const int CloseOnExec = 0x80000;
        IEnumerable<string> info = File.ReadLines($"/proc/self/fdinfo/{FdOf(conn)}");
        string flags = info.First(static line => line.StartsWith("flags:", StringComparison.Ordinal));
        return (Convert.ToInt32(flags["flags:".Length..].Trim(), 8) & CloseOnExec) == 0;
    }

    public static nint FdOf(TcpConn conn) => NumberOf(NetFdOf(conn));

    public static nint FdOf(PollFd fd) => NumberOf(fd);

    public static nint FdOf(TcpConnListener listener) => NumberOf(NetFdOf(listener));

    /// <summary>The loop that serves a connection.</summary>
    public static PollLoop LoopOf(TcpConn conn) => LoopOf(NetFdOf(conn))!;

    /// <summary>The poller's view of a socket of packets.</summary>
    public static PollDesc DescOf(IpPacketConn conn) => DescOf(NetFdOf(conn))!;

    /// <summary>Dies when nobody holds a connection's descriptor any more.</summary>
    public static WeakReference WeakFdOf(Conn conn) => new(NetFdOf(conn));

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_desc")]
    private static extern ref PollDesc? DescOf(PollFd fd);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_loop")]
    private static extern ref PollLoop? LoopOf(PollFd fd);

    private static Socket SocketOf(PollFd fd) => new(new SafeSocketHandle(NumberOf(fd), ownsHandle: false));

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Fd")]
    private static extern nint NumberOf(PollFd fd);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_fd")]
    private static extern ref NetFd NetFdOf(Conn conn);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_fd")]
    private static extern ref NetListenFd NetFdOf(ConnListener listener);
}
