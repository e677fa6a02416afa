using System.Net;
using System.Net.Sockets;

namespace Poller.Conformance;

/// <summary>A listener whose queue has room for one connection and is full, so that every further dial waits.</summary>
internal sealed class FullListener : IDisposable
{
    private readonly Socket _listener;
    private readonly Socket _first;

    public FullListener(string network)
    {
        bool isUnix = network == "unix";
        AddressFamily family = isUnix ? AddressFamily.Unix : AddressFamily.InterNetwork;
        ProtocolType protocol = isUnix ? ProtocolType.Unspecified : ProtocolType.Tcp;
        _listener = new Socket(family, SocketType.Stream, protocol);
        _first = new Socket(family, SocketType.Stream, protocol);
        _listener.Bind(isUnix ? new UnixDomainSocketEndPoint($"\0poller-{Guid.NewGuid():N}") : new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(0);
        _first.Connect(EndPoint);
    }

    public EndPoint EndPoint => _listener.LocalEndPoint!;

    public void Dispose()
    {
        _first.Dispose();
        _listener.Dispose();
    }
}
