namespace Poller.AspNetCore.Tests;

/// <summary>
/// An app as people write them: it takes --urls, and --transport, the name of a transport's class. WebApplicationFactory finds it as the
/// entry point, and a test runs it as a process.
/// </summary>
public sealed class WebApp
{
    private WebApp()
    {
    }

    internal static Task Main(string[] arguments)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(arguments);
        builder.Logging.ClearProviders();
        AddTransport(builder.Services, builder.Configuration["transport"]);
        WebApplication app = builder.Build();
        app.MapGet("/", static () => "hello");
        return app.RunAsync();
    }

    private static void AddTransport(IServiceCollection services, string? name)
    {
        Action<IServiceCollection> add = name switch
        {
            nameof(SocketsTransport) => SocketsTransport.AddTo,
            nameof(EpollTransport) => EpollTransport.AddTo,
            nameof(EpollLevelTransport) => EpollLevelTransport.AddTo,
            nameof(PosixTransport) => PosixTransport.AddTo,
            nameof(KqueueTransport) => KqueueTransport.AddTo,
            _ => throw new ArgumentException($"--transport \"{name}\": the name of a transport's class was expected.", nameof(name)),
        };
        add(services);
    }
}
