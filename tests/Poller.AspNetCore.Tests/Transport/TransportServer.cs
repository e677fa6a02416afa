using System.Net;

namespace Poller.AspNetCore.Tests.Transport;

/// <summary>A Kestrel over the transport.</summary>
internal sealed class TransportServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TransportServer(WebApplication app) => _app = app;

    public int Port => new Uri(_app.Urls.First()).Port;

    public static async Task<TransportServer> StartAsync(
        RequestDelegate handler,
        Action<KestrelServerOptions>? kestrel = null,
        Action<PollerTransportOptions>? transport = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddPollerTransport(transport);
        builder.WebHost.ConfigureKestrel(kestrel ?? (static options => options.Listen(IPAddress.Loopback, 0)));
        WebApplication app = builder.Build();
        app.Run(handler);
        await app.StartAsync();
        return new TransportServer(app);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
