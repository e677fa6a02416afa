using System.Diagnostics;
using System.Text.RegularExpressions;

namespace WebApp.Tests;

/// <summary>A process of <c>samples/WebApp</c>. Disposing it kills it, if it still runs.</summary>
internal sealed partial class AppProcess : IDisposable
{
    // The first request over TLS compiles TLS and HTTP/2 in both processes: some seconds of CPU, and minutes where much else runs.
    private static readonly TimeSpan RequestPatience = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly Task<string> _error;
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<Uri> _urls = [];
    private readonly Task<string> _output;

    private AppProcess(string[] arguments, (string Name, string Value)[] environment)
    {
        ProcessStartInfo start = new(
            Environment.ProcessPath!, ["exec", Path.Combine(AppContext.BaseDirectory, "WebApp.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Remove("POLLER_BACKEND"); // The command line says what a test runs over.
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        _process = Process.Start(start)!;
        _error = _process.StandardError.ReadToEndAsync();
        _output = ReadAsync();
    }

    /// <summary>Where it listens, by http.</summary>
    public Uri Http => Url(Uri.UriSchemeHttp);

    /// <summary>Where it listens, by https.</summary>
    public Uri Https => Url(Uri.UriSchemeHttps);

    /// <summary>Starts one on ports that the system chooses, and awaits its start.</summary>
    public static Task<AppProcess> StartAsync(params string[] arguments) =>
        StartAsync([], ["--urls", "http://127.0.0.1:0;https://127.0.0.1:0", .. arguments]);

    /// <summary>Starts one, and awaits its start.</summary>
    public static async Task<AppProcess> StartAsync((string Name, string Value)[] environment, string[] arguments)
    {
        AppProcess app = new(arguments, environment);
        try
        {
            await Task.WhenAny(app._started.Task, app._output).Within("the app's start");
            if (app._started.Task.IsCompleted) return app;
            Assert.Fail($"The app did not start: {await app._output}{await app._error}");
        }
        catch
        {
            app.Dispose();
            throw;
        }
        return app;
    }

    /// <summary>Runs one that is not to start. Returns its exit code, and the lines that it wrote.</summary>
    public static async Task<(int Code, string Output, string[] Errors)> RunAsync(params string[] arguments)
    {
        using AppProcess app = new(arguments, []);
        (int code, string errors) = await app.ExitAsync();
        return (code, await app._output, errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>Sends SIGTERM, and awaits the end. Returns its exit code.</summary>
    public async Task<int> StopAsync()
    {
        using (Process kill = Process.Start("kill", ["-TERM", $"{_process.Id}"])) await kill.WaitForExitAsync().Within();
        return (await ExitAsync()).Code;
    }

    /// <summary>A client that takes the certificate which the app makes itself.</summary>
    public HttpClient NewHttpClient(Uri? url = null)
    {
        SocketsHttpHandler handler = new();
        handler.SslOptions.RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate?.Subject == "CN=localhost";
        return new HttpClient(handler) { BaseAddress = url ?? Http, Timeout = RequestPatience };
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    [GeneratedRegex(@"Now listening on: (\S+)")]
    private static partial Regex Listening();

    private Uri Url(string scheme) => _urls.Single(url => url.Scheme == scheme);

    private async Task<(int Code, string Errors)> ExitAsync()
    {
        await _process.WaitForExitAsync().Within("the app's end");
        return (_process.ExitCode, await _error);
    }

    private async Task<string> ReadAsync()
    {
        StringWriter all = new();
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            await all.WriteLineAsync(line);
            if (Listening().Match(line) is { Success: true } match) _urls.Add(new Uri(match.Groups[1].Value));
            else if (line.Contains("Application started", StringComparison.Ordinal)) _started.TrySetResult();
        }
        return $"{all}";
    }
}
