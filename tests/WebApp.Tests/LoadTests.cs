using System.Text.RegularExpressions;

namespace WebApp.Tests;

/// <summary>Programs that load the app on the poller, and count no error.</summary>
public sealed class LoadTests(Apps apps) : IClassFixture<Apps>
{
    [ProgramFact("wrk")]
    public async Task Wrk_counts_no_error()
    {
        AppProcess app = await apps.OverAsync("poller");
        foreach (string path in new[] { "plaintext", "file.txt" })
        {
            string report = await Programs.RunAsync("wrk", "-t1", "-c32", "-d1s", "--timeout", "30s", $"{app.Http}{path}");
            Assert.DoesNotContain("Socket errors", report, StringComparison.Ordinal);
            Assert.DoesNotContain("Non-2xx", report, StringComparison.Ordinal);
            Assert.Matches("[1-9][0-9]* requests in ", report);
        }
    }

    [ProgramFact("h2load")]
    public async Task H2load_counts_no_error_over_http2_and_tls()
    {
        AppProcess app = await apps.OverAsync("poller");
        foreach ((string path, int count) in new[] { ("plaintext", 5000), ("json", 5000), ("file.txt", 200) })
        {
            string report = await Programs.RunAsync("h2load", $"-n{count}", "-c10", "-m10", $"{app.Https}{path}");
            Assert.Contains("Application protocol: h2", report, StringComparison.Ordinal);
            Assert.Contains($"{count} succeeded, 0 failed, 0 errored, 0 timeout", report, StringComparison.Ordinal);
            Assert.Contains($"status codes: {count} 2xx", report, StringComparison.Ordinal);
        }
    }

    [ProgramFact("curl")]
    public async Task Curl_gets_over_each_protocol()
    {
        AppProcess app = await apps.OverAsync("poller");
        foreach ((Uri url, string option, string version) in new[]
        {
            (app.Http, "--http1.1", "1.1"), (app.Https, "--http1.1", "1.1"), (app.Https, "--http2", "2"),
        })
        {
            Assert.Equal($"Hello, World! {version} 200", await Programs.RunAsync(
                "curl", "-sSk", option, "-w", " %{http_version} %{http_code}", $"{url}plaintext"));
        }
        Assert.Matches(new Regex("(?m)^poller_polls_total{"), await Programs.RunAsync("curl", "-sS", $"{app.Http}metrics"));
    }
}
