using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text.Json;

namespace WebApp.Tests;

/// <summary>How the app starts and ends.</summary>
public sealed class CommandLineTests
{
    private const string TooLong =
        "a-path-of-a-Unix-socket-has-107-bytes-at-most-on-Linux-and-this-one-has-some-more-than-its-address-takes-so";

    [Theory]
    [InlineData("--transport \"nonsense\": poller, sockets or sockets-inline was expected.", "--transport", "nonsense")]
    [InlineData("--transport: one value, poller|sockets|sockets-inline, was expected.", "--transport")]
    [InlineData("--backend \"nonsense\": auto, epoll, epoll-level, posix or kqueue was expected.", "--backend", "nonsense")]
    [InlineData("--backend \"epoll\": only the transport \"poller\" has a backend", "--backend", "epoll", "--transport", "sockets")]
    [InlineData("--urls \"nonsense\": \"nonsense\" is no URL;", "--urls", "nonsense")]
    [InlineData("--urls \";\": it has no URL;", "--urls", ";")]
    [InlineData("--urls \"ftp://127.0.0.1:21\": unknown scheme \"ftp\";", "--urls", "ftp://127.0.0.1:21")]
    [InlineData("\"127.0.0.1:port\" is no host with a port;", "--urls", "http://127.0.0.1:port")]
    [InlineData("no port 65536;", "--urls", "http://127.0.0.1:65536")]
    [InlineData("\"http://127.0.0.1:0/path\" has a path;", "--urls", "http://127.0.0.1:0/path")]
    [InlineData("\" is no path of a Unix socket", "--urls", "http://unix:/tmp/" + TooLong)]
    [InlineData("localhost has two addresses", "--urls", "http://127.0.0.1:0;http://localhost:0")]
    [InlineData("Poller:Loops \"many\": a whole number from 1 to 1024 was expected.", "Poller:Loops=many")]
    [InlineData("\"nonsense\": an option, or a setting such as Poller:Loops=2, was expected;", "nonsense")]
    [InlineData("\"--trasport\": an option", "--trasport", "sockets")]
    [InlineData("\"@file\": an option", "@file")]
    [InlineData("\"[suggest]\": an option", "[suggest]")]
    public async Task Bad_input_is_one_line_and_exit_code_2(string error, params string[] arguments)
    {
        string[] urls = arguments.Contains("--urls") ? [] : ["--urls", "http://127.0.0.1:0"];
        (int code, string output, string[] errors) = await AppProcess.RunAsync([.. urls, .. arguments]);
        Assert.Contains(error, Assert.Single(errors), StringComparison.Ordinal);
        Assert.Equal(2, code);
        Assert.DoesNotContain("Exception", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Settings_that_are_no_JSON_are_one_line_and_exit_code_2()
    {
        string name = $"broken{Environment.ProcessId}";
        string file = Path.Combine(AppContext.BaseDirectory, $"appsettings.{name}.json");
        await File.WriteAllTextAsync(file, "{ \"Poller\": ");
        try
        {
            (int code, _, string[] errors) = await AppProcess.RunAsync("--urls", "http://127.0.0.1:0", $"environment={name}");
            Assert.Contains(file, Assert.Single(errors), StringComparison.Ordinal);
            Assert.Equal(2, code);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("poller")]
    [InlineData("sockets")]
    public async Task A_port_in_use_is_one_line_and_exit_code_1(string transport)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        string url = $"http://{listener.LocalEndpoint}";
        (int code, string output, string[] errors) = await AppProcess.RunAsync("--urls", url, "--transport", transport);
        Assert.Equal($"--urls \"{url}\": Failed to bind to address {url}: address already in use.", Assert.Single(errors));
        Assert.Equal(1, code);
        Assert.DoesNotContain("Exception", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_lists_the_options()
    {
        (int code, string output, string[] errors) = await AppProcess.RunAsync("--help");
        Assert.Equal(0, code);
        Assert.Empty(errors);
        Assert.Contains("--urls", output, StringComparison.Ordinal);
        Assert.Contains("--transport <poller|sockets|sockets-inline>", output, StringComparison.Ordinal);
        Assert.Contains("--backend <auto|epoll|epoll-level|posix|kqueue>", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_command_line_overrides_the_environment_and_takes_settings()
    {
        using AppProcess app = await AppProcess.StartAsync(
            [("POLLER_BACKEND", "epoll")],
            ["--urls", "http://127.0.0.1:0", "--backend", "posix", "Poller:Loops=2", "Poller:Dispatch=ThreadPool"]);
        using HttpClient http = app.NewHttpClient();
        await using LoopStream samples = await LoopStream.OpenAsync(http);
        JsonElement sample = (await samples.NextAsync())!.Value;
        Assert.Equal("""{"backend":"posix","dispatch":"threadpool","loops":2}""", sample.GetProperty("server").GetRawText());
        Assert.Equal(2, sample.GetProperty("loops").GetArrayLength());
    }

    [Theory]
    [InlineData("poller")]
    [InlineData("sockets")]
    public async Task A_signal_ends_the_app_and_its_streams(string transport)
    {
        using AppProcess app = await AppProcess.StartAsync("--transport", transport);
        using HttpClient http = app.NewHttpClient();
        await using LoopStream samples = await LoopStream.OpenAsync(http);
        Assert.NotNull(await samples.NextAsync());
        using ClientWebSocket socket = new();
        await socket.ConnectAsync(new UriBuilder(app.Http) { Scheme = "ws", Path = "/echo" }.Uri, CancellationToken.None).Within();

        Task<int> code = app.StopAsync();
        while (await samples.NextAsync() is not null)
        {
            // What came before the signal. The stream then ends in order: a connection that is cut would throw.
        }
        await Assert.ThrowsAsync<WebSocketException>(() => socket.ReceiveAsync(new byte[1].AsMemory(), CancellationToken.None).Within());
        Assert.Equal(0, await code);
    }
}
