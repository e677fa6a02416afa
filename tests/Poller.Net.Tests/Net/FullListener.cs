using System.Net;
using System.Net.Sockets;

namespace Poller.Net.Tests;

/// <summary>A listener with room for one connection, which is there already. The next one waits.</summary>
internal sealed class FullListener : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Socket _first = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public FullListener() : this(Raw.AnyLoopbackPort) { }

    public FullListener(IPEndPoint address)
    {
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
