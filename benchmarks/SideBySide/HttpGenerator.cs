using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace SideBySide;

/// <summary>
/// Loads a web server by wrk, or by h2load for HTTP/2: programs in C, each with one thread. Each run makes its connections anew. The first
/// answer is compared with what was expected. Of the others, the programs check the status.
/// </summary>
internal sealed partial class HttpGenerator(Load load, int port) : LoadGenerator(load, port)
{
    private const string Body = "Hello, World!";
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    // Touched only by the thread that runs the load.
    private readonly List<Socket> _idle = [];
    private Process? _sleepers;

    /// <summary>What to install; null if all is there.</summary>
    public static string? Missing =>
        Tool.Run("wrk", ["--version"]) is null ? "not installed: apt-get install wrk"
        : Tool.Run("h2load", ["--version"]) is null ? "not installed: apt-get install nghttp2-client"
        : null;

    /// <inheritdoc/>
    public override long Cpu() => base.Cpu() + LibC.ChildrenCpu();

    public override void Connect(CancellationToken cancel) => CheckAnswer(cancel);

    public override void Disturb()
    {
        if (Load.Sleepers == 0) return;
        const string Long = "1h"; // It is killed before.
        _sleepers = Start("wrk", "-t1", $"-c{Load.Sleepers}", $"-d{Long}", "--timeout", "60s", Url("/sleep"));
    }

    public override void ConnectIdle(CancellationToken cancel)
    {
        byte[] request = Encoding.ASCII.GetBytes($"GET {Load.Path} HTTP/1.1\r\nHost: localhost\r\n\r\n"), buffer = new byte[4096];
        for (int i = 0; i < Load.Idle; i++)
        {
            cancel.ThrowIfCancellationRequested();
            Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _idle.Add(socket);
            socket.ReceiveTimeout = (int)Grace.TotalMilliseconds;
            socket.Connect(IPAddress.Loopback, Port);
            socket.Send(request);
            string answer = "";
            while (!answer.EndsWith(Body, StringComparison.Ordinal))
            {
                int n = socket.Receive(buffer);
                if (n == 0) throw new InvalidDataException($"an idle connection ended after \"{answer}\"; an answer was expected.");
                answer += Encoding.ASCII.GetString(buffer, 0, n);
            }
        }
    }

    public override LoadResult Run(TimeSpan window, double rate, CancellationToken cancel)
    {
        long start = Begin();
        string seconds = Math.Max(1, Math.Ceiling(window.TotalSeconds)).ToString(CultureInfo.InvariantCulture); // They take no fractions.
        return Load.Http2
            ? OfH2Load(Finish(Start("h2load", "-t1", $"-c{Load.Connections}", "-m10", $"-D{seconds}", Url(Load.Path)), cancel), start)
            : OfWrk(Finish(Start("wrk", "-t1", $"-c{Load.Connections}", $"-d{seconds}s", "--timeout", "30s",
                "-s", Path.Combine(AppContext.BaseDirectory, "peers/wrk/report.lua"), Url(Load.Path)), cancel));
    }

    public override void Dispose()
    {
        if (_sleepers is not null) End(_sleepers);
        foreach (Socket socket in _idle) socket.Dispose();
        base.Dispose();
    }

    private bool Secure => Load.Arguments.Contains("https");

    private LoadResult OfWrk(string report)
    {
        string[] lines = report.Split('\n');
        string counted = lines.FirstOrDefault(static line => line.StartsWith("counted ", StringComparison.Ordinal)) ?? "";
        long[] counts = Numbers(counted);
        if (counts is not [> 0, _, _, 0]) throw Unexpected(report);
        foreach (string line in lines.Where(static line => line.StartsWith("latency ", StringComparison.Ordinal)))
        {
            if (Numbers(line) is [var microseconds, var count]) Latencies.RecordValueWithCount(microseconds * 1000, count);
        }
        return new LoadResult(counts[0], counts[1], TimeSpan.FromMicroseconds(counts[2]), Latencies);
    }

    // It tells no percentiles. The rate is 0 if a cold server has answered nothing.
    private LoadResult OfH2Load(string report, long start)
    {
        Match finished = Finished().Match(report), counted = Counted().Match(report);
        if (!finished.Success || !counted.Success || !report.Contains("Application protocol: h2", StringComparison.Ordinal))
        {
            throw Unexpected(report);
        }
        double requests = double.Parse(counted.Groups[1].Value, CultureInfo.InvariantCulture);
        double rate = double.Parse(finished.Groups[1].Value, CultureInfo.InvariantCulture);
        return new LoadResult(requests, 0, rate > 0 ? TimeSpan.FromSeconds(requests / rate) : Since(start), Latencies);
    }

    private static InvalidDataException Unexpected(string report) => new($"requests without an error were expected: {report}");

    private static long[] Numbers(string line) =>
        [.. line.Split(' ').Skip(1).Select(static number => long.Parse(number, CultureInfo.InvariantCulture))];

    private string Url(string path) => $"{(Secure ? "https" : "http")}://127.0.0.1:{Port}{path}";

    private void CheckAnswer(CancellationToken cancel)
    {
        try
        {
            CheckAnswerAsync(cancel).GetAwaiter().GetResult();
        }
        catch (HttpRequestException e)
        {
            throw new IOException($"{Url(Load.Path)}: {e.Message}", e);
        }
        catch (OperationCanceledException e) when (e.InnerException is TimeoutException timeout)
        {
            throw timeout;
        }
    }

    private async Task CheckAnswerAsync(CancellationToken cancel)
    {
        using SocketsHttpHandler handler = new();
        handler.SslOptions.RemoteCertificateValidationCallback =
            static (_, certificate, _, _) => certificate?.Subject == "CN=localhost";
        using HttpClient client = new(handler) { Timeout = Grace };
        using HttpRequestMessage request = new(HttpMethod.Get, Url(Load.Path))
        {
            Version = Load.Http2 ? HttpVersion.Version20 : HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using HttpResponseMessage response = await client.SendAsync(request, cancel);
        byte[] body = await response.Content.ReadAsByteArrayAsync(cancel);
        byte[] expected = Load.Path switch
        {
            "/json" => Encoding.ASCII.GetBytes($$"""{"message":"{{Body}}"}"""),
            "/large" => new byte[100_000],
            _ => Encoding.ASCII.GetBytes(Body),
        };
        if (response.StatusCode == HttpStatusCode.OK && body.AsSpan().SequenceEqual(expected)) return;
        throw new InvalidDataException($"{Load.Path} answered {response.StatusCode} and {body.Length} bytes; others were expected.");
    }

    private static Process Start(string program, params string[] arguments) =>
        Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;

    private static string Finish(Process process, CancellationToken cancel)
    {
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync(cancel), output = process.StandardOutput.ReadToEndAsync(cancel);
            if (Task.WhenAll(errors, output).Wait((int)Grace.TotalMilliseconds, cancel)) return output.Result + errors.Result;
            throw new TimeoutException($"{process.StartInfo.FileName}: it was expected to end within {Grace.TotalSeconds} s.");
        }
        finally
        {
            End(process);
        }
    }

    private static void End(Process process)
    {
        process.Kill(); // Nothing happens if it has ended.
        process.WaitForExit();
        process.Dispose();
    }

    [GeneratedRegex(@"finished in .*, ([0-9.]+) req/s")]
    private static partial Regex Finished();

    [GeneratedRegex(@"requests: .* ([0-9]+) succeeded, 0 failed, 0 errored, 0 timeout")]
    private static partial Regex Counted();
}
