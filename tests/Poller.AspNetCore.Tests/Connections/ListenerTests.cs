using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Poller.AspNetCore.Tests;

/// <summary>The contract of a connection listener.</summary>
public abstract class ListenerTests<TTransport> where TTransport : ITestTransport
{
    [Fact]
    public async Task A_pending_accept_returns_null_after_unbind()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        Task<ConnectionContext?> accepting = transport.Listener.AcceptAsync().AsTask();
        Assert.False(accepting.IsCompleted);
        await transport.Listener.UnbindAsync().Within();
        Assert.Null(await accepting.Within());
    }

    [Fact]
    public async Task Accept_returns_null_after_unbind()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        await transport.Listener.UnbindAsync().Within();
        Assert.Null(await transport.Listener.AcceptAsync().Within());
        Assert.Null(await transport.Listener.AcceptAsync().Within());
    }

    [Fact]
    public async Task A_pending_accept_returns_null_after_dispose()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        Task<ConnectionContext?> accepting = transport.Listener.AcceptAsync().AsTask();
        await transport.Listener.DisposeAsync().Within();
        Assert.Null(await accepting.Within());
    }

    [Fact]
    public async Task Unbind_and_dispose_may_come_twice()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        await transport.Listener.UnbindAsync().Within();
        await transport.Listener.UnbindAsync().Within();
        await transport.Listener.DisposeAsync().Within();
        await transport.Listener.DisposeAsync().Within();
    }

    [Fact]
    public async Task A_connection_that_was_accepted_outlives_unbind()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        (RawClient client, ConnectionContext connection) = await transport.PairAsync();
        using (client)
        {
            await transport.Listener.UnbindAsync().Within();
            await client.SendAsync("still here");
            ReadResult read = await connection.Transport.Input.ReadAtLeastAsync(10).Within();
            Assert.Equal("still here", Encoding.ASCII.GetString(read.Buffer));
            connection.Transport.Input.AdvanceTo(read.Buffer.End);
            await connection.DisposeAsync().Within();
        }
    }

    [Fact]
    public async Task An_unbound_port_refuses()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        await transport.Listener.UnbindAsync().Within();

        // A child process that another test starts holds the listener until its exec.
        long start = Environment.TickCount64;
        SocketException error = await Assert.ThrowsAnyAsync<SocketException>(async () =>
        {
            while (Environment.TickCount64 - start < Waiting.Patience.TotalMilliseconds) (await transport.ConnectAsync()).Dispose();
        });
        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
    }

    [Fact]
    public async Task A_connection_that_was_reset_in_the_queue_does_not_fail_accept()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        for (int i = 0; i < 5; i++) (await transport.ConnectAsync()).Reset();
        using RawClient client = await transport.ConnectAsync();
        await client.SendAsync("here");
        while (true)
        {
            ConnectionContext connection = await transport.AcceptAsync();
            bool isClient = connection.RemoteEndPoint is { } remote && remote.Equals(client.Socket.LocalEndPoint);
            if (isClient)
            {
                ReadResult read = await connection.Transport.Input.ReadAtLeastAsync(4).Within();
                Assert.Equal(4, read.Buffer.Length);
                connection.Transport.Input.AdvanceTo(read.Buffer.End);
            }
            await connection.DisposeAsync().Within();
            if (isClient) return;
        }
    }

    [Fact]
    public async Task Two_hundred_connections_wait_in_the_queue()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        List<RawClient> clients = [];
        for (int i = 0; i < 200; i++) clients.Add(await transport.ConnectAsync());
        HashSet<string> ids = [];
        for (int i = 0; i < 200; i++)
        {
            ConnectionContext connection = await transport.AcceptAsync();
            ids.Add(connection.ConnectionId);
            await connection.DisposeAsync().Within();
        }
        Assert.Equal(200, ids.Count);
        foreach (RawClient client in clients) client.Dispose();
    }

    [ProgramFact("ss")]
    public async Task The_queue_has_the_length_of_the_sockets_transports()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        string port = $"sport = :{((IPEndPoint)transport.Listener.EndPoint).Port}";
        string[] columns = (await Programs.RunAsync("ss", "-ltnH", port)).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string limit = await File.ReadAllTextAsync("/proc/sys/net/core/somaxconn");
        Assert.Equal(Math.Min(512, int.Parse(limit, CultureInfo.InvariantCulture)), int.Parse(columns[2], CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task The_endpoint_has_the_port_that_was_chosen()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        IPEndPoint address = Assert.IsType<IPEndPoint>(transport.Listener.EndPoint);
        Assert.NotEqual(0, address.Port);
        Assert.Equal(IPAddress.Loopback, address.Address);
    }

    [Fact]
    public async Task A_port_in_use_is_told()
    {
        await using BoundTransport transport = await BoundTransport.BindAsync<TTransport>();
        AddressInUseException error = await Assert.ThrowsAsync<AddressInUseException>(
            () => BoundTransport.BindAsync<TTransport>(transport.Listener.EndPoint));
        Assert.Equal(SocketError.AddressAlreadyInUse, Assert.IsType<SocketException>(error.GetBaseException()).SocketErrorCode);
    }

    [Theory, InlineData(true), InlineData(false)]
    public async Task It_says_which_endpoints_it_binds(bool binds)
    {
        await using ServiceProvider services = Services();
        IConnectionListenerFactorySelector selector =
            Assert.IsAssignableFrom<IConnectionListenerFactorySelector>(services.GetRequiredService<IConnectionListenerFactory>());
        EndPoint[] endPoints = binds
            ? [new IPEndPoint(IPAddress.Any, 0), new UnixDomainSocketEndPoint("/a"), new FileHandleEndPoint(3, FileHandleType.Tcp)]
            : [new DnsEndPoint("localhost", 80), new OwnEndPoint()];
        Assert.All(endPoints, endPoint => Assert.Equal(binds, selector.CanBind(endPoint)));
    }

    private static ServiceProvider Services()
    {
        ServiceCollection services = new();
        services.AddLogging();
        TTransport.AddTo(services);
        return services.BuildServiceProvider();
    }

    private sealed class OwnEndPoint : EndPoint;
}
