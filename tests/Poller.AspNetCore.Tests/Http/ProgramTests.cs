using System.Globalization;
using System.Text.RegularExpressions;

namespace Poller.AspNetCore.Tests;

/// <summary>Programs that load a server, and count no error.</summary>
public abstract partial class ProgramTests<TTransport> : IAsyncLifetime where TTransport : ITestTransport
{
    private Server _http = null!, _http2 = null!, _https = null!;

    public async Task InitializeAsync()
    {
        _http = await Server.StartAsync<TTransport>();
        _http2 = await Server.StartAsync<TTransport>(listen: static endpoint => endpoint.Protocols = HttpProtocols.Http2);
        _https = await Server.StartAsync<TTransport>(
            scheme: "https", listen: static endpoint => endpoint.UseHttps(Certificates.Server));
    }

    public async Task DisposeAsync()
    {
        await _http.DisposeAsync();
        await _http2.DisposeAsync();
        await _https.DisposeAsync();
    }

    [ProgramFact("wrk")]
    public async Task Wrk_counts_no_error()
    {
        string url = _http.Uri(MapHello(_http)).ToString();
        using HttpClient http = _http.NewHttpClient();
        Assert.Equal("hello", await http.GetStringAsync(new Uri(url)).Within()); // The first request compiles the path.
        string report = await Programs.RunAsync("wrk", "-t1", "-c32", "-d1s", "--timeout", "30s", url);
        Assert.DoesNotContain("Socket errors", report, StringComparison.Ordinal);
        Assert.DoesNotContain("Non-2xx", report, StringComparison.Ordinal);
        Assert.InRange(NumberIn(WrkRequests().Match(report)), 100, int.MaxValue);
    }

    [ProgramFact("h2load")]
    public async Task H2load_counts_no_error()
    {
        string report = await Programs.RunAsync("h2load", "-n5000", "-c10", "-m20", _http2.Uri(MapHello(_http2)).ToString());
        AssertAllSucceeded(report, 5000);
    }

    [ProgramFact("h2load")]
    public async Task H2load_counts_no_error_over_tls()
    {
        string report = await Programs.RunAsync("h2load", "-n5000", "-c10", "-m20", _https.Uri(MapHello(_https)).ToString());
        AssertAllSucceeded(report, 5000);
        Assert.Contains("Application protocol: h2", report, StringComparison.Ordinal);
    }

    [ProgramFact("h2load")]
    public async Task H2load_counts_no_error_over_http1()
    {
        string report = await Programs.RunAsync("h2load", "--h1", "-n5000", "-c10", _http.Uri(MapHello(_http)).ToString());
        AssertAllSucceeded(report, 5000);
    }

    [ProgramFact("curl")]
    public async Task Curl_gets_over_each_protocol()
    {
        foreach ((Server server, string option, string version) in new[]
        {
            (_http, "--http1.1", "1.1"), (_http2, "--http2-prior-knowledge", "2"), (_https, "--http1.1", "1.1"), (_https, "--http2", "2"),
        })
        {
            string url = server.Uri(MapHello(server)).ToString();
            Assert.Equal($"hello {version}", await Programs.RunAsync("curl", "-sSk", option, "-w", " %{http_version}", url));
        }
    }

    [ProgramFact("curl")]
    public async Task Curl_uploads_a_file_and_expects_to_continue()
    {
        string path = _http.Map(static async context =>
            await context.Response.WriteAsync($"{await Pattern.CheckAsync(context.Request.Body)}"));
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(file, Pattern.Of(3_000_000));
            Assert.Equal("3000000", await Programs.RunAsync(
                "curl", "-sS", "--data-binary", "@" + file, "-H", "Expect: 100-continue", _http.Uri(path).ToString()));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [GeneratedRegex(@"(\d+) requests in ")]
    private static partial Regex WrkRequests();

    [GeneratedRegex(@"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")]
    private static partial Regex H2loadRequests();

    [GeneratedRegex(@"status codes: (\d+) 2xx")]
    private static partial Regex H2loadCodes();

    private static string MapHello(Server server) => server.Map(static context => context.Response.WriteAsync("hello"));

    private static void AssertAllSucceeded(string report, int count)
    {
        Match requests = H2loadRequests().Match(report);
        Assert.Equal(
            new[] { count, count, count, 0, 0, 0 },
            Enumerable.Range(1, 6).Select(group => int.Parse("0" + requests.Groups[group].Value, CultureInfo.InvariantCulture)));
        Assert.Equal(count, NumberIn(H2loadCodes().Match(report)));
    }

    private static int NumberIn(Match match)
    {
        Assert.True(match.Success, "the program's report has not the line that was expected.");
        return int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
    }
}
