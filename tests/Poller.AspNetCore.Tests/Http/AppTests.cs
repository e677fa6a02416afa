using System.Diagnostics;
using Microsoft.AspNetCore.Mvc.Testing;

namespace Poller.AspNetCore.Tests;

/// <summary>A whole app: <see cref="WebApp"/>.</summary>
public abstract class AppTests<TTransport> where TTransport : ITestTransport
{
    [Fact]
    public async Task A_web_application_factory_that_uses_kestrel_serves()
    {
        await using WebApplicationFactory<WebApp> factory = new WebApplicationFactory<WebApp>()
            .WithWebHostBuilder(static builder => builder
                .UseContentRoot(AppContext.BaseDirectory)
                .UseSetting("transport", typeof(TTransport).Name));
        factory.UseKestrel(0);
        using HttpClient http = factory.CreateClient();
        Assert.Equal("hello", await http.GetStringAsync(new Uri("/", UriKind.Relative)).Within());
        Assert.NotEqual(80, http.BaseAddress!.Port);
        Assert.True(http.BaseAddress.IsLoopback);
    }

    [Fact]
    public async Task An_app_whose_port_is_in_use_exits_with_an_error()
    {
        await using Server server = await Server.StartAsync<TTransport>();
        ProcessStartInfo start = new(Environment.ProcessPath!) { RedirectStandardError = true };
        foreach (string argument in new[]
        {
            "exec", typeof(WebApp).Assembly.Location,
            "--urls", $"http://127.0.0.1:{server.EndPoint.Port}", "--transport", typeof(TTransport).Name,
        })
        {
            start.ArgumentList.Add(argument);
        }
        using Process process = Process.Start(start)!;
        try
        {
            string errors = await process.StandardError.ReadToEndAsync().Within("the app's end");
            await process.WaitForExitAsync().Within();
            Assert.NotEqual(0, process.ExitCode);
            Assert.Contains(nameof(AddressInUseException), errors, StringComparison.Ordinal);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }
}
