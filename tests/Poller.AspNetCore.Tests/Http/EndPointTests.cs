using System.Net;
using System.Net.Sockets;

namespace Poller.AspNetCore.Tests;

/// <summary>What Kestrel is told to listen on.</summary>
public abstract class EndPointTests<TTransport> where TTransport : ITestTransport
{
    [Fact]
    public async Task A_dynamic_port_is_told()
    {
        await using Server server = await StartAsync(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        Assert.NotEqual(0, server.EndPoint.Port);
        Assert.Equal([$"http://127.0.0.1:{server.EndPoint.Port}"], server.Addresses);
        await AssertServesAsync(server, server.EndPoint);
    }

    [Fact]
    public async Task Dynamic_ports_differ()
    {
        await using Server server = await StartAsync(static kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.Listen(IPAddress.Loopback, 0);
        });
        int[] ports = [.. server.Addresses.Select(static address => new Uri(address).Port)];
        Assert.NotEqual(ports[0], ports[1]);
        foreach (int port in ports) await AssertServesAsync(server, new IPEndPoint(IPAddress.Loopback, port));
    }

    [Fact]
    public async Task Any_address_is_dual_stack()
    {
        await using Server server = await StartAsync(static kestrel => kestrel.ListenAnyIP(0));
        await AssertServesAsync(server, new IPEndPoint(IPAddress.Loopback, server.EndPoint.Port));
        await AssertServesAsync(server, new IPEndPoint(IPAddress.IPv6Loopback, server.EndPoint.Port));
    }

    [Fact]
    public async Task The_ipv6_loopback_is_its_own()
    {
        await using Server server = await StartAsync(static kestrel => kestrel.Listen(IPAddress.IPv6Loopback, 0));
        await AssertServesAsync(server, new IPEndPoint(IPAddress.IPv6Loopback, server.EndPoint.Port));
        IPEndPoint nobody = new(IPAddress.Parse("127.0.0.12"), server.EndPoint.Port); // Another test may have the port on 127.0.0.1.
        await Assert.ThrowsAsync<SocketException>(() => RawClient.ConnectAsync(nobody));
    }

    [Fact]
    public async Task An_ipv4_client_of_a_dual_stack_endpoint_has_an_ipv4_mapped_address()
    {
        await using Server server = await StartAsync(static kestrel => kestrel.ListenAnyIP(0));
        string path = server.Map(static context => context.Response.WriteAsync(
            $"{context.Connection.RemoteIpAddress} {context.Connection.LocalIpAddress} {context.Connection.LocalPort}"));
        using RawClient client = await RawClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, server.EndPoint.Port));
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal($"::ffff:127.0.0.1 ::ffff:127.0.0.1 {server.EndPoint.Port}", (await client.ReadResponseAsync()).Body);
    }

    [Fact]
    public async Task A_port_in_use_keeps_the_host_from_starting()
    {
        await using Server first = await StartAsync(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        int port = first.EndPoint.Port;
        await using Server second = Server.Create<TTransport>(kestrel => kestrel.Listen(IPAddress.Loopback, port), bindsItself: false);
        IOException error = await Assert.ThrowsAsync<IOException>(() => second.Host.StartAsync().Within());
        Assert.Equal($"Failed to bind to address http://127.0.0.1:{port}: address already in use.", error.Message);
        Assert.IsType<SocketException>(Assert.IsType<AddressInUseException>(error.InnerException).GetBaseException());
        await AssertServesAsync(first, first.EndPoint);
    }

    [Fact]
    public async Task Endpoints_that_were_bound_are_let_go_when_a_later_one_fails()
    {
        await using Server other = await StartAsync(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        string path = NewPath();
        await using Server server = Server.Create<TTransport>(
            kestrel =>
            {
                kestrel.ListenUnixSocket(path);
                kestrel.Listen(IPAddress.Loopback, other.EndPoint.Port);
            },
            bindsItself: false);
        await Assert.ThrowsAsync<IOException>(() => server.Host.StartAsync().Within());
        await server.DisposeAsync();
        await Assert.ThrowsAsync<SocketException>(() => RawClient.ConnectAsync(new UnixDomainSocketEndPoint(path)));
    }

    [Fact]
    public async Task An_address_that_no_interface_has_fails()
    {
        await using Server server = Server.Create<TTransport>(
            static kestrel => kestrel.Listen(IPAddress.Parse("192.0.2.1"), 0), bindsItself: false); // RFC 5737, for documentation.
        await Assert.ThrowsAnyAsync<Exception>(() => server.Host.StartAsync().Within());
    }

    [Fact]
    public async Task A_unix_socket_serves_and_its_file_is_deleted_at_the_end()
    {
        string path = NewPath();
        await using (Server server = await StartAsync(kestrel => kestrel.ListenUnixSocket(path)))
        {
            Assert.Equal([$"http://unix:{path}"], server.Addresses);
            await AssertServesAsync(server, new UnixDomainSocketEndPoint(path));
        }
        Assert.False(File.Exists(path), "the socket's file is left behind.");
    }

    [Fact]
    public async Task A_unix_path_in_use_keeps_the_host_from_starting()
    {
        string path = NewPath();
        await using Server first = await StartAsync(kestrel => kestrel.ListenUnixSocket(path));
        await using Server second = Server.Create<TTransport>(kestrel => kestrel.ListenUnixSocket(path), bindsItself: false);
        IOException error = await Assert.ThrowsAsync<IOException>(() => second.Host.StartAsync().Within());
        Assert.IsType<AddressInUseException>(error.InnerException);
    }

    [Fact]
    public async Task A_listener_that_was_inherited_by_its_handle_serves_and_stays_its_owners()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        EndPoint address = listener.LocalEndPoint!;
        await using (Server server = await StartAsync(kestrel => kestrel.ListenHandle((ulong)listener.Handle)))
        {
            await AssertServesAsync(server, address);
        }
        using RawClient late = await RawClient.ConnectAsync(address);
        using Socket accepted = listener.Accept();
        Assert.Equal(late.Socket.LocalEndPoint, accepted.RemoteEndPoint);
    }

    [Fact]
    public async Task An_endpoint_of_another_kind_is_left_to_another_transport()
    {
        await using Server server = await StartAsync(
            static kestrel => kestrel.Listen(new OwnEndPoint()),
            static services => services.Insert(0, ServiceDescriptor.Singleton<IConnectionListenerFactory, OwnTransport>()));
        Assert.True(server.Services.GetServices<IConnectionListenerFactory>().OfType<OwnTransport>().Single().IsBound);
    }

    private static Task<Server> StartAsync(Action<KestrelServerOptions> kestrel, Action<IServiceCollection>? services = null) =>
        Server.StartAsync<TTransport>(kestrel, bindsItself: false, services: services);

    private static string NewPath() => Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.sock");

    private static async Task AssertServesAsync(Server server, EndPoint address)
    {
        string path = server.Map(static context => context.Response.WriteAsync("served"));
        using RawClient client = await RawClient.ConnectAsync(address);
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Equal("served", (await client.ReadResponseAsync()).Body);
    }

    private sealed class OwnEndPoint : EndPoint;

    /// <summary>Binds its own endpoint alone, and accepts nothing there.</summary>
    private sealed class OwnTransport : IConnectionListenerFactory, IConnectionListenerFactorySelector, IConnectionListener
    {
        private readonly TaskCompletionSource<ConnectionContext?> _unbound = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool IsBound { get; private set; }

        public EndPoint EndPoint { get; } = new OwnEndPoint();

        public bool CanBind(EndPoint endpoint) => endpoint is OwnEndPoint;

        public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
        {
            IsBound = true;
            return ValueTask.FromResult<IConnectionListener>(this);
        }

        public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) => new(_unbound.Task);

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            _unbound.TrySetResult(null);
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => UnbindAsync();
    }
}
