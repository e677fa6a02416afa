using System.Net;

namespace Poller.AspNetCore.Tests;

/// <summary>A transport's listener without a server above it.</summary>
internal sealed class BoundTransport : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    private BoundTransport(ServiceProvider services, IConnectionListener listener, Log log) =>
        (_services, Listener, Log) = (services, listener, log);

    public IConnectionListener Listener { get; }

    public Log Log { get; }

    public static async Task<BoundTransport> BindAsync<TTransport>(EndPoint? address = null) where TTransport : ITestTransport
    {
        Log log = new();
        ServiceCollection services = new();
        services.AddLogging(builder => builder.AddProvider(log).SetMinimumLevel(LogLevel.Trace));
        TTransport.AddTo(services);
        ServiceProvider provider = services.BuildServiceProvider();
        try
        {
            IConnectionListenerFactory factory = provider.GetRequiredService<IConnectionListenerFactory>();
            IConnectionListener listener = await factory.BindAsync(address ?? new IPEndPoint(IPAddress.Loopback, 0)).Within();
            return new BoundTransport(provider, listener, log);
        }
        catch
        {
            await provider.DisposeAsync();
            throw;
        }
    }

    public Task<RawClient> ConnectAsync(int receiveBuffer = 0) => RawClient.ConnectAsync(Listener.EndPoint, receiveBuffer);

    /// <summary>The two ends of a connection.</summary>
    public async Task<(RawClient Client, ConnectionContext Connection)> PairAsync(int receiveBuffer = 0)
    {
        RawClient client = await ConnectAsync(receiveBuffer);
        return (client, await AcceptAsync());
    }

    public async Task<ConnectionContext> AcceptAsync()
    {
        ConnectionContext? connection = await Listener.AcceptAsync().Within("accept");
        Assert.NotNull(connection);
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        await Listener.UnbindAsync().Within();
        await Listener.DisposeAsync().Within();
        await _services.DisposeAsync().Within();
    }
}

/// <summary>A listener that the tests of a class share.</summary>
/// <typeparam name="TTransport">The transport.</typeparam>
public sealed class SharedTransport<TTransport> : IAsyncLifetime where TTransport : ITestTransport
{
    internal BoundTransport Transport { get; private set; } = null!;

    /// <inheritdoc/>
    public async Task InitializeAsync() => Transport = await BoundTransport.BindAsync<TTransport>();

    /// <inheritdoc/>
    public Task DisposeAsync() => Transport.DisposeAsync().AsTask();
}
