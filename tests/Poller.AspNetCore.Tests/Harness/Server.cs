using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Hosting;

namespace Poller.AspNetCore.Tests;

/// <summary>A Kestrel over a transport, on a port of its own. A test maps its handler to a path.</summary>
internal sealed class Server : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, RequestDelegate> _handlers = new();
    private readonly ConcurrentDictionary<string, ServerConnection> _connections = new();
    private readonly WebApplication _app;
    private readonly string _scheme;
    private int _paths;

    private Server(WebApplication app, Log log, string scheme) => (_app, Log, _scheme) = (app, log, scheme);

    public Log Log { get; }

    public IHost Host => _app;

    public IServiceProvider Services => _app.Services;

    public IPEndPoint EndPoint => new(IPAddress.Loopback, new Uri(Addresses.First()).Port);

    public ICollection<string> Addresses => Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;

    /// <summary>Every connection that it has accepted, of the endpoint that it makes itself.</summary>
    public ICollection<ServerConnection> Connections => _connections.Values;

    /// <param name="kestrel">Its limits, and more endpoints than its own.</param>
    /// <param name="listen">What is said of its endpoint.</param>
    /// <param name="bindsItself">Whether the endpoints are those of <paramref name="kestrel"/> alone.</param>
    /// <param name="scheme">http, or https if the endpoint is told to use TLS.</param>
    /// <param name="services">Further services.</param>
    /// <param name="app">Further middleware.</param>
    public static async Task<Server> StartAsync<TTransport>(
        Action<KestrelServerOptions>? kestrel = null,
        Action<ListenOptions>? listen = null,
        bool bindsItself = true,
        string scheme = "http",
        Action<IServiceCollection>? services = null,
        Action<WebApplication>? app = null) where TTransport : ITestTransport
    {
        Server server = Create<TTransport>(kestrel, listen, bindsItself, scheme, services, app);
        try
        {
            await server._app.StartAsync().Within();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>One that is not started.</summary>
    public static Server Create<TTransport>(
        Action<KestrelServerOptions>? kestrel = null,
        Action<ListenOptions>? listen = null,
        bool bindsItself = true,
        string scheme = "http",
        Action<IServiceCollection>? services = null,
        Action<WebApplication>? app = null) where TTransport : ITestTransport
    {
        Log log = new();
        Server? server = null;
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Debug);
        TTransport.AddTo(builder.Services);
        services?.Invoke(builder.Services);
        builder.WebHost.ConfigureKestrel(options =>
        {
            kestrel?.Invoke(options);
            if (!bindsItself) return;
            options.Listen(IPAddress.Loopback, 0, endpoint =>
            {
                endpoint.Use(next => connection => server!.ServeAsync(connection, next));
                listen?.Invoke(endpoint);
            });
        });
        WebApplication application = builder.Build();
        server = new Server(application, log, scheme);
        app?.Invoke(application);
        application.Run(server.HandleAsync);
        return server;
    }

    /// <summary>Gives a handler a path of its own.</summary>
    public string Map(RequestDelegate handler)
    {
        string path = $"/{Interlocked.Increment(ref _paths)}";
        _handlers[path] = handler;
        return path;
    }

    public Uri Uri(string path) => new($"{_scheme}://localhost:{EndPoint.Port}{path}");

    public Task<RawClient> ConnectAsync(int receiveBuffer = 0) => RawClient.ConnectAsync(EndPoint, receiveBuffer);

    /// <summary>A client that takes <see cref="Certificates.Server"/>.</summary>
    public HttpClient NewHttpClient(Action<SocketsHttpHandler>? configure = null)
    {
        SocketsHttpHandler handler = new();
        handler.SslOptions.RemoteCertificateValidationCallback = Certificates.IsServer;
        configure?.Invoke(handler);
        return new HttpClient(handler) { BaseAddress = Uri(""), Timeout = Waiting.Patience };
    }

    /// <summary>The server's side of a client's connection.</summary>
    public ServerConnection Of(RawClient client) => ConnectionOf(client.Socket.LocalEndPoint!.ToString()!);

    /// <summary>Ends the host, within the time that it has for it.</summary>
    public Task StopAsync(TimeSpan? grace = null)
    {
        CancellationTokenSource timeout = new(grace ?? Waiting.Patience);
        return _app.StopAsync(timeout.Token).Within();
    }

    public async ValueTask DisposeAsync()
    {
        using CancellationTokenSource now = new(TimeSpan.Zero);
        await _app.StopAsync(now.Token).Within();
        await _app.DisposeAsync().Within();
    }

    private ServerConnection ConnectionOf(string client) => _connections.GetOrAdd(client, static _ => new ServerConnection());

    private async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        // A port is used again.
        ServerConnection ours = _connections.AddOrUpdate(
            connection.RemoteEndPoint!.ToString()!, static _ => new(), static (_, last) => last.HasEnded ? new() : last);
        ours.Begin(connection);
        try
        {
            await next(connection);
        }
        finally
        {
            ours.End();
        }
    }

    private Task HandleAsync(HttpContext context)
    {
        if (_handlers.TryGetValue(context.Request.Path, out RequestDelegate? handler)) return handler(context);
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }
}

/// <summary>A connection as the server's middleware sees it.</summary>
internal sealed class ServerConnection
{
    private readonly TaskCompletionSource<ConnectionContext> _began = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<ConnectionContext> Began => _began.Task.Within("the connection's begin");

    /// <summary>Comes back once Kestrel is done with it.</summary>
    public Task Ended => _ended.Task.Within("the connection's end");

    public bool HasEnded => _ended.Task.IsCompleted;

    public void Begin(ConnectionContext connection) => _began.SetResult(connection);

    public void End() => _ended.SetResult();
}

/// <summary>A server that the tests of a class share.</summary>
/// <typeparam name="TTransport">The transport.</typeparam>
public sealed class SharedServer<TTransport> : IAsyncLifetime where TTransport : ITestTransport
{
    private Server? _server;
    private HttpClient? _http;

    internal Server Server => _server!;

    internal HttpClient Http => _http!;

    /// <inheritdoc/>
    public async Task InitializeAsync()
    {
        _server = await Server.StartAsync<TTransport>(
            static kestrel => kestrel.Limits.MaxRequestBodySize = null, app: static app => app.UseWebSockets());
        _http = _server.NewHttpClient();
    }

    /// <inheritdoc/>
    public async Task DisposeAsync()
    {
        _http?.Dispose();
        if (_server is not null) await _server.DisposeAsync();
    }
}
