using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>A host with listeners, which has started. Disposing it stops it.</summary>
internal sealed class ListenerHost : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly IHost _host;

    private ListenerHost(IHost host, Log log)
    {
        _host = host;
        Log = log;
    }

    public Log Log { get; }

    public IServiceProvider Services => _host.Services;

    public NetListenerService[] Listeners => [.. Services.GetServices<NetListenerService>()];

    /// <summary>The address of the first listener.</summary>
    public EndPoint Address => Listeners[0].LocalEndPoints[0];

    public static async Task<ListenerHost> StartAsync(Action<IServiceCollection> add)
    {
        (IHost host, Log log) = Build(add);
        try
        {
            await host.StartAsync().WaitAsync(Patience);
            return new ListenerHost(host, log);
        }
        catch
        {
            await DisposeAsync(host);
            throw;
        }
    }

    public static (IHost Host, Log Log) Build(Action<IServiceCollection> add)
    {
        Log log = new();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddLog(log);
        add(builder.Services);
        return (builder.Build(), log);
    }

    public async Task<Socket> ConnectAsync(EndPoint? address = null) => await ConnectToAsync(address ?? Address);

    public static async Task<Socket> ConnectToAsync(EndPoint address)
    {
        Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(address).WaitAsync(Patience);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public Task StopAsync() => _host.StopAsync().WaitAsync(Patience);

    /// <summary>Disposes the services without a stop.</summary>
    public Task DisposeServicesAsync() => DisposeAsync(_host).WaitAsync(Patience);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await DisposeServicesAsync();
    }

    private static Task DisposeAsync(IHost host) => ((IAsyncDisposable)host).DisposeAsync().AsTask();
}

internal static class SocketExtensions
{
    /// <summary>Sends one byte and receives one.</summary>
    public static async Task<byte> AskAsync(this Socket socket, byte value)
    {
        byte[] buffer = [value];
        await socket.SendAsync(buffer).WaitAsync(ListenerHost.Patience);
        Assert.Equal(1, await socket.ReceiveAsync(buffer).WaitAsync(ListenerHost.Patience));
        return buffer[0];
    }

    /// <summary>That the peer has ended the connection.</summary>
    public static async Task AssertEndsAsync(this Socket socket)
    {
        try
        {
            Assert.Equal(0, await socket.ReceiveAsync(new byte[1]).WaitAsync(ListenerHost.Patience));
        }
        catch (SocketException e)
        {
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        }
    }

    /// <summary>Serves an echo until the peer ends.</summary>
    public static async Task EchoAsync(this Conn conn, CancellationToken token = default)
    {
        byte[] buffer = new byte[64];
        while (await conn.ReadAsync(buffer, token) is var n and > 0) await conn.WriteAsync(buffer.AsMemory(0, n), token);
    }
}
