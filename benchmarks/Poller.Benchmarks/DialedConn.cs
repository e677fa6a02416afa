using System.Net;
using System.Net.Sockets;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>A connection over loopback TCP. One end is in its own epoll poller; the other is an ordinary socket.</summary>
internal sealed class DialedConn : IDisposable
{
    public DialedConn(NetpollDispatch dispatch = NetpollDispatch.Adaptive)
    {
        Poller = new Netpoller(Backends.Epoll, new NetpollerOptions { Dispatch = dispatch });
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Conn = new NetStack(Poller).DialTcp((IPEndPoint)listener.LocalEndPoint!);
        Peer = listener.Accept();
        Peer.NoDelay = true;
    }

    public Netpoller Poller { get; }

    public TcpConn Conn { get; }

    public Socket Peer { get; }

    public void Dispose()
    {
        Peer.Dispose();
        Conn.Dispose();
        Poller.Dispose();
    }
}
