// An ASP.NET Core app with nothing in it that the transports do not need: no routing, no metrics, and no log but that of errors.
// Arguments: "pollerkit", "sockets" or "sockets-inline", and then "https" for TLS.

using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Peers;

byte[] hello = "Hello, World!"u8.ToArray(), large = new byte[100_000];

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Error).AddConsole(static console =>
    console.LogToStandardErrorThreshold = LogLevel.Trace);
switch (args[0])
{
    case "pollerkit":
        builder.Services.AddPollerTransport();
        break;
    case "sockets-inline": // The harness also sets the variable for inline completions.
        builder.WebHost.UseSockets(static sockets => sockets.UnsafePreferInlineScheduling = true);
        break;
    case "sockets":
        break; // Kestrel's own choice.
    default:
        throw new ArgumentException($"\"{args[0]}\": pollerkit, sockets or sockets-inline was expected.");
}
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen =>
{
    if (args.Contains("https")) listen.UseHttps(WebApp.DevelopmentCertificate.Shared);
}));

await using WebApplication app = builder.Build();
app.Run(AnswerAsync);
await app.StartAsync();
Control.SayListening(new Uri(app.Urls.Single()).Port);
Control.Answer();
await app.StopAsync();

Task AnswerAsync(HttpContext context)
{
    switch (context.Request.Path.Value)
    {
        case "/plaintext":
            return WriteAsync(context.Response, hello);
        case "/json":
            context.Response.ContentType = "application/json";
            return JsonSerializer.SerializeAsync(context.Response.BodyWriter, new Greeting("Hello, World!"), Json.Default.Greeting);
        case "/large":
            return WriteAsync(context.Response, large);
        case "/sleep":
            Thread.Sleep(20);
            return WriteAsync(context.Response, hello);
        default:
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
    }
}

static Task WriteAsync(HttpResponse response, byte[] body)
{
    response.ContentType = "text/plain";
    response.ContentLength = body.Length;
    return response.BodyWriter.WriteAsync(body).AsTask();
}

internal sealed record Greeting(string Message);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Greeting))]
internal sealed partial class Json : JsonSerializerContext;
