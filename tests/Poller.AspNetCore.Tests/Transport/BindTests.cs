using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Hosting;

namespace Poller.AspNetCore.Tests.Transport;

public sealed class BindTests : IAsyncDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddLogging().AddPollerTransport().Services.BuildServiceProvider();

    private IConnectionListenerFactory Factory => _services.GetRequiredService<IConnectionListenerFactory>();

    public ValueTask DisposeAsync() => _services.DisposeAsync();

    [Fact]
    public async Task Kestrel_serves_over_an_ip_end_point()
    {
        await using TransportServer server = await TransportServer.StartAsync(static context => context.Response.WriteAsync("hello"));
        using HttpClient client = new();
        Assert.Equal("hello", await client.GetStringAsync($"http://127.0.0.1:{server.Port}/"));
    }

    [Fact]
    public async Task Kestrel_serves_over_a_unix_socket()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        await using TransportServer server = await TransportServer.StartAsync(
            static context => context.Response.WriteAsync("hello"), options => options.ListenUnixSocket(path));
        using SocketsHttpHandler handler = new()
        {
            ConnectCallback = async (_, token) =>
            {
                Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), token);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using HttpClient client = new(handler);
        Assert.Equal("hello", await client.GetStringAsync("http://localhost/"));
    }

    [Fact]
    public async Task Kestrel_serves_over_a_file_handle_which_goes_on_listening_after_the_server()
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen();
        int port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        await using (await TransportServer.StartAsync(
            static context => context.Response.WriteAsync("hello"), options => options.ListenHandle((ulong)socket.Handle)))
        {
            using HttpClient client = new();
            Assert.Equal("hello", await client.GetStringAsync($"http://127.0.0.1:{port}/"));
        }

        using Socket late = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        late.Connect(IPAddress.Loopback, port);
        using Socket accepted = socket.Accept();
        Assert.Equal(late.LocalEndPoint, accepted.RemoteEndPoint);
    }

    [Fact]
    public async Task An_address_in_use_is_told_by_its_own_exception()
    {
        await using IConnectionListener first = await Factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        await Assert.ThrowsAsync<AddressInUseException>(async () => await Factory.BindAsync(first.EndPoint));
    }

    // Kestrel tries IPv4 when the bind of an IPv6 address fails, unless the exception is an IOException.
    [Fact]
    public async Task An_address_that_cannot_be_bound_is_a_SocketException()
    {
        IPEndPoint elsewhere = new(IPAddress.Parse("192.0.2.1"), 0);
        SocketException error = await Assert.ThrowsAsync<SocketException>(async () => await Factory.BindAsync(elsewhere));
        Assert.Equal(SocketError.AddressNotAvailable, error.SocketErrorCode);
        Assert.Contains("192.0.2.1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void It_leaves_other_end_points_to_other_factories()
    {
        IConnectionListenerFactorySelector selector = (IConnectionListenerFactorySelector)Factory;
        Assert.True(selector.CanBind(new IPEndPoint(IPAddress.Loopback, 0)));
        Assert.True(selector.CanBind(new UnixDomainSocketEndPoint("/tmp/x")));
        Assert.True(selector.CanBind(new FileHandleEndPoint(3, FileHandleType.Tcp)));
        Assert.False(selector.CanBind(new DnsEndPoint("localhost", 0)));
        Assert.False(selector.CanBind(new NamedPipeEndPoint("pipe")));
    }

    [Fact]
    public async Task UsePoller_gives_a_web_host_the_transport()
    {
        using IHost host = new HostBuilder()
            .ConfigureWebHost(static web => web
                .UseKestrel(static options => options.Listen(IPAddress.Loopback, 0))
                .UsePoller()
                .Configure(static app => app.Run(static context => context.Response.WriteAsync("hello"))))
            .ConfigureLogging(static logging => logging.ClearProviders())
            .Build();
        Assert.IsType<PollerTransportFactory>(host.Services.GetServices<IConnectionListenerFactory>().Last());
        await host.StartAsync();
        await host.StopAsync();
    }

    [Fact]
    public async Task Accept_returns_null_after_an_unbind_and_when_one_ends_its_wait()
    {
        await using IConnectionListener listener = await Factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        ValueTask<ConnectionContext?> pending = listener.AcceptAsync();
        Assert.False(pending.IsCompleted);
        await listener.UnbindAsync();
        Assert.Null(await pending);
        Assert.Null(await listener.AcceptAsync());
    }

    [Fact]
    public async Task A_client_connects_to_a_listener_and_both_speak()
    {
        await using IConnectionListener listener = await Factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        IConnectionFactory connections = _services.GetRequiredService<IConnectionFactory>();
        await using ConnectionContext client = await connections.ConnectAsync(listener.EndPoint);
        await using ConnectionContext? server = await listener.AcceptAsync();
        Assert.Equal(client.LocalEndPoint, server!.RemoteEndPoint);
        await client.Transport.Output.WriteAsync(new byte[] { 1, 2, 3 });
        Assert.Equal(3, (await server.Transport.Input.ReadAsync()).Buffer.Length);
    }
}
