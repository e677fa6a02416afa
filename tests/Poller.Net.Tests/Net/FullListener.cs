using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>A listener with room for one connection, which is there already. The next one waits.</summary>
internal sealed class FullListener : IDisposable
{
    private readonly Socket _listener;
    private readonly Socket _first;

    public FullListener() : this(Raw.AnyLoopbackPort) { }

    public FullListener(IPEndPoint address)
    {
        _listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _first = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(address);
        _listener.Listen(0);
        _first.Connect(EndPoint);
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

    public Socket AcceptOne() => _listener.Accept();

    public void Dispose()
    {
        _first.Dispose();
        _listener.Dispose();
    }
}
