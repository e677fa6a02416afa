using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace WebApp;

/// <summary>What <c>/json</c> answers.</summary>
internal sealed record Greeting(string Message);

/// <summary>What the app answers. The page and <c>/file.txt</c> are files in <c>wwwroot</c>.</summary>
internal static class Endpoints
{
    private const int MostMilliseconds = 60_000;

    private static readonly byte[] Hello = "Hello, World!"u8.ToArray();

    public static void Map(WebApplication app)
    {
        app.UseFileServer();
        app.MapGet("/plaintext", PlaintextAsync);
        app.MapGet("/json", static () => new Greeting("Hello, World!"));
        app.MapGet("/block", Block);
        app.MapGet("/loops", Loops);
        app.Map("/echo", ((IEndpointRouteBuilder)app).CreateApplicationBuilder().UseWebSockets().Use(EchoAsync).Build());
        app.MapPrometheusScrapingEndpoint(); // /metrics
    }

    private static Task PlaintextAsync(HttpContext context)
    {
        context.Response.ContentType = "text/plain";
        context.Response.ContentLength = Hello.Length;
        return context.Response.BodyWriter.WriteAsync(Hello).AsTask();
    }

    // What no handler should do: it holds its thread. With the poller's adaptive dispatch another thread takes over its loop.
    private static ContentHttpResult Block(string? ms)
    {
        bool parsed = int.TryParse(ms, NumberStyles.None, CultureInfo.InvariantCulture, out int milliseconds);
        if (!parsed || milliseconds > MostMilliseconds)
        {
            string error = $"ms \"{ms}\": a whole number of milliseconds from 0 to {MostMilliseconds} was expected.\n";
            return TypedResults.Text(error, statusCode: StatusCodes.Status400BadRequest);
        }
        Thread.Sleep(milliseconds);
        return TypedResults.Text($"blocked its thread for {milliseconds} ms\n");
    }

    private static ServerSentEventsResult<Sample> Loops(ServerInfo server, IHostApplicationLifetime app) =>
        TypedResults.ServerSentEvents(Sampler.SampleAsync(server, app.ApplicationStopping));

    private static async Task EchoAsync(HttpContext context, RequestDelegate next)
    {
        if (context.WebSockets.IsWebSocketRequest)
        {
            await WebSocketEcho.ServeAsync(context);
            return;
        }
        await TypedResults.Text("a WebSocket was expected.\n", statusCode: StatusCodes.Status400BadRequest).ExecuteAsync(context);
    }
}
