using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace WebApp.Tests;

/// <summary>What the app answers, over each transport.</summary>
public sealed partial class EndpointTests(Apps apps) : IClassFixture<Apps>
{
    public static TheoryData<string> Transports => new() { "poller", "sockets", "sockets-inline" };

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Plaintext_says_hello(string transport)
    {
        using HttpClient http = (await apps.OverAsync(transport)).NewHttpClient();
        using HttpResponseMessage response = await http.GetAsync(Of("/plaintext"));
        Assert.Equal("Hello, World!", await response.Content.ReadAsStringAsync());
        Assert.Equal("text/plain", $"{response.Content.Headers.ContentType}");
        Assert.Equal(13, response.Content.Headers.ContentLength);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Json_says_hello(string transport)
    {
        using HttpClient http = (await apps.OverAsync(transport)).NewHttpClient();
        using HttpResponseMessage response = await http.GetAsync(Of("/json"));
        Assert.Equal("""{"message":"Hello, World!"}""", await response.Content.ReadAsStringAsync());
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_file_is_sent_whole_and_in_part(string transport)
    {
        using HttpClient http = (await apps.OverAsync(transport)).NewHttpClient();
        byte[] file = await File.ReadAllBytesAsync(Path.Combine(AppContext.BaseDirectory, "wwwroot/file.txt"));
        Assert.Equal(100_000, file.Length);
        Assert.Equal(file, await http.GetByteArrayAsync(Of("/file.txt")));

        using HttpRequestMessage request = new(HttpMethod.Get, Of("/file.txt"));
        request.Headers.Range = new(50_000, 50_099);
        using HttpResponseMessage response = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        Assert.Equal(file[50_000..50_100], await response.Content.ReadAsByteArrayAsync());
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task The_page_takes_nothing_from_elsewhere(string transport)
    {
        using HttpClient http = (await apps.OverAsync(transport)).NewHttpClient();
        string page = await http.GetStringAsync(Of("/"));
        Assert.Contains("Block for a second", page, StringComparison.Ordinal);
        string[] resources = [.. Resource().Matches(page).Select(static match => match.Groups[1].Value).Distinct()];
        Assert.Equal(["icon.svg", "page.css", "page.js"], resources.Order());
        foreach (string resource in resources.Append(""))
        {
            string text = await http.GetStringAsync(Of("/" + resource));
            Assert.DoesNotMatch(@"https?://(?!www\.w3\.org/2000/svg)", text); // That is a name, which nobody loads.
        }
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_websocket_echoes(string transport)
    {
        AppProcess app = await apps.OverAsync(transport);
        using ClientWebSocket socket = new();
        await socket.ConnectAsync(new UriBuilder(app.Http) { Scheme = "ws", Path = "/echo" }.Uri, CancellationToken.None).Within();
        foreach (int length in new[] { 0, 5, 16 * 1024, 300_000 })
        {
            byte[] message = RandomNumberGenerator.GetBytes(length);
            Task sending = socket.SendAsync(message.AsMemory(), WebSocketMessageType.Binary, true, CancellationToken.None).AsTask();
            Assert.Equal(message, await ReceiveAsync(socket, WebSocketMessageType.Binary));
            await sending.Within();
        }
        await socket.SendAsync("grüß dich"u8.ToArray().AsMemory(), WebSocketMessageType.Text, true, CancellationToken.None).Within();
        Assert.Equal("grüß dich", Encoding.UTF8.GetString(await ReceiveAsync(socket, WebSocketMessageType.Text)));

        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "enough", CancellationToken.None).Within();
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);
        Assert.Equal("enough", socket.CloseStatusDescription);
    }

    [Fact]
    public async Task An_echo_without_a_websocket_is_a_bad_request()
    {
        using HttpClient http = (await apps.OverAsync("poller")).NewHttpClient();
        using HttpResponseMessage response = await http.GetAsync(Of("/echo"));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("a WebSocket was expected.\n", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Block_answers_when_its_time_has_passed(string transport)
    {
        using HttpClient http = (await apps.OverAsync(transport)).NewHttpClient();
        long start = Environment.TickCount64;
        Assert.Equal("blocked its thread for 50 ms\n", await http.GetStringAsync(Of("/block?ms=50")));
        Assert.InRange(Environment.TickCount64 - start, 40, long.MaxValue); // The clock ticks each 10 ms.
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("?ms=", "")]
    [InlineData("?ms=abc", "abc")]
    [InlineData("?ms=-1", "-1")]
    [InlineData("?ms=1.5", "1.5")]
    [InlineData("?ms=60001", "60001")]
    [InlineData("?ms=99999999999", "99999999999")]
    [InlineData("?ms=1&ms=2", "1,2")]
    public async Task A_block_of_no_such_time_is_a_bad_request(string query, string value)
    {
        using HttpClient http = (await apps.OverAsync("poller")).NewHttpClient();
        using HttpResponseMessage response = await http.GetAsync(Of("/block" + query));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(
            $"ms \"{value}\": a whole number of milliseconds from 0 to 60000 was expected.\n", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_handler_that_blocks_hands_the_loop_over_and_holds_up_nobody()
    {
        using AppProcess app = await AppProcess.StartAsync("--transport", "poller"); // Killed at the end, while the handler blocks.
        using HttpClient http = app.NewHttpClient();
        await using LoopStream samples = await LoopStream.OpenAsync(http);
        long before = HandOvers(await samples.LoopAsync(static _ => true));

        // Kestrel begins a connection on the thread pool, where its first request may run. A later one runs on the loop, but for the one
        // whose bytes are there before Kestrel waits for them.
        await http.GetStringAsync(Of("/plaintext"));
        Task<string> block;
        int tries = 0;
        do
        {
            Assert.InRange(++tries, 1, 10);
            block = http.GetStringAsync(Of("/block?ms=20000"));
        }
        while (!await samples.SeesAsync(loop => HandOvers(loop) > before && loop.GetProperty("blocked").GetInt64() > 0, block));

        for (int i = 0; i < 20; i++) Assert.Equal("Hello, World!", await http.GetStringAsync(Of("/plaintext")));
        await samples.LoopAsync(static loop => loop.GetProperty("polls").GetDouble() > 0);
        Assert.False(block.IsCompleted);

        static long HandOvers(JsonElement loop) => loop.GetProperty("handOvers").GetInt64();
    }

    [Fact]
    public async Task The_metrics_are_those_of_the_poller_and_of_kestrel()
    {
        using HttpClient http = (await apps.OverAsync("poller")).NewHttpClient();
        await http.GetStringAsync(Of("/block?ms=20"));
        string metrics = await http.GetStringAsync(Of("/metrics"));
        foreach (string name in new[]
        {
            "poller_connections", "poller_polls_total", "poller_events_total", "poller_promotions_total", "poller_handlers_blocked",
            "poller_dispatch_delay_seconds_count", "poller_network_io_bytes_total", "kestrel_active_connections",
        })
        {
            Assert.Matches($"(?m)^{name}{{", metrics);
        }
        string polls = metrics.Split('\n').Single(static line => line.StartsWith("poller_polls_total{", StringComparison.Ordinal));
        Assert.Contains("poller_name=\"epoll\"", polls, StringComparison.Ordinal);
        Assert.Contains("poller_loop=\"0\"", polls, StringComparison.Ordinal);
        Assert.Matches("} [1-9]", polls);
    }

    [Fact]
    public async Task The_metrics_of_the_sockets_transport_have_no_poller()
    {
        using HttpClient http = (await apps.OverAsync("sockets")).NewHttpClient();
        string metrics = await http.GetStringAsync(Of("/metrics"));
        Assert.Contains("kestrel_active_connections", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("poller_", metrics, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Samples_have_the_loops_of_the_poller(string transport)
    {
        using HttpClient http = (await apps.OverAsync(transport)).NewHttpClient();
        await using LoopStream samples = await LoopStream.OpenAsync(http);
        await samples.NextAsync(); // The head of the answer may come before the sampler counts.
        await http.GetStringAsync(Of("/plaintext"));

        // A request counts at its end, which may be in a later sample than its polls.
        List<JsonElement> all = [];
        do all.Add((await samples.NextAsync())!.Value);
        while (all[^1].GetProperty("requests").GetDouble() == 0);
        Assert.Equal(transport == "poller" ? "epoll" : null, all[^1].GetProperty("server").GetProperty("backend").GetString());
        Assert.Equal(transport == "poller" ? 1 : 0, all[^1].GetProperty("loops").GetArrayLength());
        if (transport != "poller") return;
        Assert.InRange(MostOf("connections"), 1, 100);
        Assert.InRange(MostOf("polls"), 0.1, 1e9);
        Assert.InRange(MostOf("events"), 0.1, 1e9);
        Assert.InRange(MostOf("longestDelay"), 1e-6, 1e6);

        double MostOf(string figure) => all.Max(sample => sample.GetProperty("loops")[0].GetProperty(figure).GetDouble());
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Http2_over_tls_is_served(string transport)
    {
        AppProcess app = await apps.OverAsync(transport);
        using HttpClient http = app.NewHttpClient(app.Https);
        http.DefaultRequestVersion = HttpVersion.Version20;
        http.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
        {
            using HttpResponseMessage response = await http.GetAsync(Of("/plaintext"));
            Assert.Equal(HttpVersion.Version20, response.Version);
            Assert.Equal("Hello, World!", await response.Content.ReadAsStringAsync());
        }));
        Assert.Equal(100_000, (await http.GetByteArrayAsync(Of("/file.txt"))).Length);
    }

    [Fact]
    public async Task What_is_not_there_is_not_found()
    {
        using HttpClient http = (await apps.OverAsync("poller")).NewHttpClient();
        using HttpResponseMessage response = await http.GetAsync(Of("/nothing"));
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [GeneratedRegex("""(?:src|<link[^>]* href)="([^"]*)""")]
    private static partial Regex Resource();

    private static Uri Of(string path) => new(path, UriKind.Relative);

    private static async Task<byte[]> ReceiveAsync(ClientWebSocket socket, WebSocketMessageType type)
    {
        using MemoryStream message = new();
        byte[] buffer = new byte[4096];
        while (true)
        {
            ValueWebSocketReceiveResult received = await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None).Within();
            Assert.Equal(type, received.MessageType);
            message.Write(buffer, 0, received.Count);
            if (received.EndOfMessage) return message.ToArray();
        }
    }
}
