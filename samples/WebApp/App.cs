using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;
using Poller.DependencyInjection;
using Poller.Net;

namespace WebApp;

/// <summary>The app: Kestrel on a transport, its endpoints, its metrics and its page.</summary>
internal static class App
{
    // Kestrel's own log, with what keeps it from starting.
    private const string Kestrel = "Microsoft.AspNetCore.Server.Kestrel";

    /// <summary>
    /// Serves until SIGINT or SIGTERM. Returns the exit code: 0 after a signal, 1 if the system refused something, 2 if a setting is wrong.
    /// </summary>
    public static async Task<int> RunAsync(string[] settings)
    {
        string? urls = null;
        try
        {
            bool serves = false;
            WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions
            {
                Args = settings,
                ContentRootPath = AppContext.BaseDirectory,
            });
            AppOptions options = AppOptions.Read(builder.Configuration);
            urls = builder.Configuration[WebHostDefaults.ServerUrlsKey];

            // What keeps the app from starting is one line of its own.
            builder.Logging
                .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None)
                .AddFilter(Kestrel, level => level >= LogLevel.Warning && (serves || level < LogLevel.Critical));
            AddTransport(builder, options);
            AddServices(builder);

            await using WebApplication app = builder.Build();
            Endpoints.Map(app);
            try
            {
                await app.StartAsync();
            }
            catch (OperationCanceledException) when (app.Lifetime.ApplicationStopping.IsCancellationRequested)
            {
                return 0; // A signal came before it served.
            }
            serves = true;
            await app.WaitForShutdownAsync();
            return 0;
        }
        catch (FormatException e)
        {
            return Complain(2, e.Message);
        }
        catch (InvalidDataException e)
        {
            return Complain(2, $"{e.Message} {e.GetBaseException().Message}"); // appsettings.json is no JSON.
        }
        catch (OptionsValidationException e)
        {
            return Complain(2, [.. e.Failures]);
        }
        catch (Exception e) when (e is IOException or SocketException or UnauthorizedAccessException or CryptographicException)
        {
            return Complain(1, urls is null ? e.Message : $"--urls \"{urls}\": {e.Message}");
        }
    }

    private static void AddTransport(WebApplicationBuilder builder, AppOptions options)
    {
        switch (options.Transport)
        {
            case Transport.Poller:
                builder.Services.AddPollerTransport();

                // After AddPoller's own, because the command line overrides the environment.
                if (options.Backend is not null) builder.Services.PostConfigure<PollerOptions>(poller => poller.Backend = options.Backend);
                break;
            case Transport.SocketsInline:
                // The runtime reads it at the first socket.
                Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
                builder.WebHost.UseSockets(static sockets => sockets.UnsafePreferInlineScheduling = true);
                break;
            case Transport.Sockets:
                break; // Kestrel's own choice.
        }
    }

    private static void AddServices(WebApplicationBuilder builder)
    {
        // One of the configuration is Kestrel's own, but only if the defaults have none.
        if (!builder.Configuration.GetSection("Kestrel:Certificates:Default").Exists())
        {
            builder.Services.Configure<KestrelServerOptions>(static kestrel =>
                kestrel.ConfigureHttpsDefaults(static https => https.ServerCertificate = DevelopmentCertificate.Shared));
        }
        builder.Services.ConfigureHttpJsonOptions(static json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, Json.Default));
        builder.Services.AddOpenTelemetry().WithMetrics(static metrics => metrics.AddMeter("Poller.Net", Kestrel).AddPrometheusExporter());
        builder.Services.AddSingleton(static services => ServerInfo.Of(services.GetService<Netpoller>()));
    }

    private static int Complain(int code, params string[] errors)
    {
        foreach (string error in errors) Console.Error.WriteLine(error);
        return code;
    }
}

/// <summary>How what the app sends becomes JSON.</summary>
[JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Greeting))]
[JsonSerializable(typeof(Sample))]
internal sealed partial class Json : JsonSerializerContext;
