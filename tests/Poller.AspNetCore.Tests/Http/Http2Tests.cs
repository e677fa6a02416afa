using System.Net;

namespace Poller.AspNetCore.Tests;

/// <summary>HTTP/2 without TLS, over one connection.</summary>
public abstract class Http2Tests<TTransport>(Http2Tests<TTransport>.Http2Server shared) : IClassFixture<Http2Tests<TTransport>.Http2Server>
    where TTransport : ITestTransport
{
    private readonly Server _server = shared.Server;

    [Fact]
    public async Task A_hundred_streams_share_a_connection()
    {
        ServerConnection[] before = [.. _server.Connections];
        int arrived = 0;
        TaskCompletionSource all = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(async context =>
        {
            if (Interlocked.Increment(ref arrived) == 100) all.SetResult();
            await all.Task; // So they are open at the same time.
            await context.Request.Body.CopyToAsync(context.Response.Body);
        });
        using HttpClient http = NewClient();
        long[] lengths = await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
        {
            using HttpRequestMessage request = Post(path, new PatternContent(1000 + i));
            using HttpResponseMessage response = await http.SendAsync(request);
            return await Pattern.CheckAsync(await response.Content.ReadAsStreamAsync());
        })).Within();
        Assert.Equal(Enumerable.Range(0, 100).Select(static i => 1000L + i), lengths);
        Assert.Single(_server.Connections.Except(before));
    }

    [Fact]
    public async Task A_body_larger_than_the_window_comes_back()
    {
        const int Length = 4 * 1024 * 1024;
        string path = _server.Map(static context => context.Request.Body.CopyToAsync(context.Response.Body));
        using HttpClient http = NewClient();
        using HttpRequestMessage request = Post(path, new PatternContent(Length));
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).Within();
        Assert.Equal(Length, await Pattern.CheckAsync(await response.Content.ReadAsStreamAsync()).Within());
    }

    [Fact]
    public async Task A_stream_that_the_client_cancels_ends_alone()
    {
        ServerConnection[] before = [.. _server.Connections];
        TaskCompletionSource<CancellationToken> started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string stuck = _server.Map(async context =>
        {
            started.SetResult(context.RequestAborted);
            await context.RequestAborted.Fired();
        });
        string quick = _server.Map(static context => context.Response.WriteAsync("here"));
        using HttpClient http = NewClient();
        using CancellationTokenSource cancellation = new();
        using HttpRequestMessage request = Post(stuck, new PatternContent(10));
        Task<HttpResponseMessage> sending = http.SendAsync(request, cancellation.Token);
        CancellationToken aborted = await started.Task.Within();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        await aborted.Fired().Within();
        Assert.Equal("here", await http.GetStringAsync(_server.Uri(quick)).Within());
        Assert.Single(_server.Connections.Except(before));
    }

    [Fact]
    public async Task Every_stream_of_a_client_that_is_gone_is_aborted()
    {
        int fired = 0;
        TaskCompletionSource all = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using SemaphoreSlim started = new(0);
        string path = _server.Map(async context =>
        {
            Task aborted = context.RequestAborted.Fired();
            started.Release();
            await aborted;
            if (Interlocked.Increment(ref fired) == 10) all.SetResult();
        });
        HttpClient http = NewClient();
        Task<HttpResponseMessage>[] sending = [.. Enumerable.Range(0, 10).Select(_ => http.GetAsync(_server.Uri(path)))];
        for (int i = 0; i < 10; i++) await started.WaitAsync().Within();
        http.Dispose();
        await all.Task.Within();
        foreach (Task<HttpResponseMessage> one in sending) await Assert.ThrowsAnyAsync<Exception>(() => one.Within());
    }

    [Fact]
    public async Task A_client_that_speaks_no_http2_is_answered_and_ended()
    {
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        (End end, long count) = await client.ReadToEndAsync();
        Assert.Equal(End.Graceful, end);
        Assert.True(count > 0, "the server said nothing before it ended the connection.");
    }

    private static HttpRequestMessage Post(string path, HttpContent content) => new(HttpMethod.Post, path)
    {
        Content = content,
        Version = HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    private HttpClient NewClient()
    {
        HttpClient http = _server.NewHttpClient(static handler => handler.EnableMultipleHttp2Connections = false);
        http.DefaultRequestVersion = HttpVersion.Version20;
        http.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        return http;
    }

    /// <summary>A server that speaks HTTP/2 alone.</summary>
    public sealed class Http2Server : IAsyncLifetime
    {
        internal Server Server { get; private set; } = null!;

        /// <inheritdoc/>
        public async Task InitializeAsync() =>
            Server = await Server.StartAsync<TTransport>(listen: static endpoint => endpoint.Protocols = HttpProtocols.Http2);

        /// <inheritdoc/>
        public Task DisposeAsync() => Server.DisposeAsync().AsTask();
    }
}
