using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans.Configuration;
using Orleans.Messaging;

namespace Cluster;

/// <summary>Three silos on loopback, each a process of its own, and a client in this one. Disposing it ends them.</summary>
internal sealed class LocalCluster : IAsyncDisposable
{
    /// <summary>How many silos it has at its start.</summary>
    public const int FirstSilos = 3;

    private readonly Transport _transport;
    private readonly string _ledgers;
    private readonly TimeSpan _responseTimeout;
    private readonly Gateways _gateways = new();
    private readonly List<SiloProcess> _silos = [];
    private IHost? _client;

    private LocalCluster(Transport transport, string ledgers, TimeSpan responseTimeout)
    {
        _transport = transport;
        _ledgers = ledgers;
        _responseTimeout = responseTimeout;
    }

    /// <summary>All that were started, the primary one first.</summary>
    public IReadOnlyList<SiloProcess> Silos => _silos;

    public IGrainFactory Grains => _client!.Services.GetRequiredService<IGrainFactory>();

    /// <summary>Starts the silos and connects the client, which waits for an answer for as long as the time-out says.</summary>
    public static async Task<LocalCluster> StartAsync(
        Transport transport, string ledgers, TimeSpan responseTimeout, CancellationToken stop)
    {
        LocalCluster cluster = new(transport, ledgers, responseTimeout);
        try
        {
            await cluster.AddSiloAsync(stop); // The primary one, before the others.
            await Task.WhenAll(Enumerable.Range(1, FirstSilos - 1).Select(_ => cluster.AddSiloAsync(stop)));
            await cluster.ConnectAsync(stop);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts one more silo, and awaits that it has joined.</summary>
    public async Task<SiloProcess> AddSiloAsync(CancellationToken stop)
    {
        SiloProcess silo = SiloProcess.Start(_silos.Count + 1, _silos.FirstOrDefault(), _transport, _ledgers);
        _silos.Add(silo);
        await silo.AwaitLineAsync(Silo.Ready, stop);
        _gateways.Add(silo.Gateway.ToGatewayUri());
        return silo;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (SiloProcess silo in _silos) await silo.DisposeAsync();
        _client?.Dispose();
    }

    private async Task ConnectAsync(CancellationToken stop)
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.UseOrleansClient(client =>
        {
            client.Configure<ClusterOptions>(static options =>
            {
                options.ClusterId = Silo.Name;
                options.ServiceId = Silo.Name;
            });
            client.Configure<ClientMessagingOptions>(options => options.ResponseTimeout = _responseTimeout);
            client.Configure<GatewayOptions>(static options => options.GatewayListRefreshPeriod = TimeSpan.FromSeconds(1));
            client.Services.AddSingleton<IGatewayListProvider>(_gateways);
            _transport.AddTo(client.Services);
        });
        _client = builder.Build();
        await _client.StartAsync(stop);
    }

    // The gateways that a client may use. Orleans leaves out those to which it cannot connect. Safe from any thread.
    private sealed class Gateways : IGatewayListProvider
    {
        // Replaced as a whole.
        private volatile Uri[] _uris = [];

        public TimeSpan MaxStaleness => TimeSpan.FromSeconds(1);

        public bool IsUpdatable => true;

        public void Add(Uri gateway)
        {
            lock (this) _uris = [.. _uris, gateway];
        }

        public Task InitializeGatewayListProvider() => Task.CompletedTask;

        public Task<IList<Uri>> GetGateways() => Task.FromResult<IList<Uri>>(_uris);
    }
}
