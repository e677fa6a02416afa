using System.Net;
using System.Net.Sockets;

namespace Poller.Docs.Tests;

/// <summary>An echo server for a client of the docs, over System.Net.Sockets. Disposing it ends it.</summary>
internal sealed class EchoServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    private EchoServer()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public static EchoServer Start() => new();

    public void Dispose() => _listener.Dispose();

    // The dispose of the listener ends it, by an exception that says nothing to anybody.
    private async Task AcceptAsync()
    {
        while (true) _ = EchoAsync(await _listener.AcceptTcpClientAsync());
    }

    private static async Task EchoAsync(TcpClient client)
    {
        using (client) await client.GetStream().CopyToAsync(client.GetStream());
    }
}
