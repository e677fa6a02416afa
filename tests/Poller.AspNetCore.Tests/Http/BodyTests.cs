using System.Text;

namespace Poller.AspNetCore.Tests;

/// <summary>Bodies of requests and responses.</summary>
public abstract class BodyTests<TTransport>(SharedServer<TTransport> shared) : IClassFixture<SharedServer<TTransport>>
    where TTransport : ITestTransport
{
    private readonly Server _server = shared.Server;

    // A hundred mebibytes take a third of a second over each transport, so all but one do it in the long run only.
    private static readonly long Large = (TestLength.IsLong || typeof(TTransport) == typeof(SocketsTransport) ? 100 : 10) * 1024 * 1024;

    [Theory]
    [InlineData(0, false), InlineData(0, true), InlineData(1, false), InlineData(1, true), InlineData(4096, false), InlineData(4097, true)]
    [InlineData(65_536, false), InlineData(65_537, true), InlineData(1_048_577, false), InlineData(1_048_577, true)]
    public async Task A_body_comes_back_as_it_was_sent(int length, bool chunked)
    {
        string path = _server.Map(async context =>
        {
            using MemoryStream body = new();
            await context.Request.Body.CopyToAsync(body);
            if (!chunked) context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body.GetBuffer().AsMemory(0, (int)body.Length));
        });
        using HttpRequestMessage request = new(HttpMethod.Post, path) { Content = new PatternContent(length, chunked) };
        using HttpResponseMessage response = await shared.Http.SendAsync(request).Within();
        Assert.Equal(length, await Pattern.CheckAsync(await response.Content.ReadAsStreamAsync()).Within());
    }

    [Fact, Trait("Tests", "long")]
    public async Task A_large_upload_arrives_as_it_was_sent()
    {
        string path = _server.Map(async context =>
        {
            long received = await Pattern.CheckAsync(context.Request.Body);
            await context.Response.WriteAsync($"{received}");
        });
        using HttpResponseMessage response = await shared.Http.PostAsync(new Uri(path, UriKind.Relative), new PatternContent(Large)).Within();
        Assert.Equal($"{Large}", await response.Content.ReadAsStringAsync());
    }

    [Fact, Trait("Tests", "long")]
    public async Task A_large_download_arrives_as_it_was_sent()
    {
        string path = _server.Map(context => Pattern.WriteAsync(context.Response.Body, Large));
        using Stream body = await shared.Http.GetStreamAsync(new Uri(path, UriKind.Relative)).Within();
        Assert.Equal(Large, await Pattern.CheckAsync(body).Within());
    }

    [Fact]
    public async Task A_response_of_many_writes_without_a_flush_arrives_whole()
    {
        string path = _server.Map(async context =>
        {
            for (int i = 0; i < 1000; i++)
            {
                Pattern.From(i * 100, 100).Span.CopyTo(context.Response.BodyWriter.GetSpan(100));
                context.Response.BodyWriter.Advance(100);
            }
            await context.Response.BodyWriter.FlushAsync();
        });
        using Stream body = await shared.Http.GetStreamAsync(new Uri(path, UriKind.Relative)).Within();
        Assert.Equal(100_000, await Pattern.CheckAsync(body).Within());
    }

    [Fact]
    public async Task Chunks_with_an_extension_and_a_trailer_are_read()
    {
        string path = _server.Map(async context =>
        {
            using StreamReader reader = new(context.Request.Body);
            string body = await reader.ReadToEndAsync();
            await context.Response.WriteAsync($"{body} {context.Request.GetTrailer("Sum")}");
        });
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        await client.SendAsync("5;part=1\r\nhello\r\n");
        await client.SendAsync("0\r\nSum: 5\r\n\r\n");
        RawResponse response = await client.ReadResponseAsync();
        Assert.Equal((200, "hello 5"), (response.Status, response.Body));
    }

    [Fact]
    public async Task A_request_that_comes_byte_by_byte_is_served()
    {
        string path = _server.Map(static async context =>
        {
            using StreamReader reader = new(context.Request.Body);
            await context.Response.WriteAsync(await reader.ReadToEndAsync());
        });
        using RawClient client = await _server.ConnectAsync();
        byte[] request = Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        for (int i = 0; i < request.Length; i++) await client.SendAsync(request.AsMemory(i, 1));
        Assert.Equal("hello", (await client.ReadResponseAsync()).Body);
    }

    [Fact]
    public async Task A_client_that_expects_it_is_told_to_continue_when_the_body_is_read()
    {
        string path = _server.Map(static async context =>
        {
            using StreamReader reader = new(context.Request.Body);
            await context.Response.WriteAsync(await reader.ReadToEndAsync());
        });
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal("HTTP/1.1 100 Continue\r\n", await client.ReadHeadAsync());
        await client.SendAsync("hello");
        Assert.Equal("hello", (await client.ReadResponseAsync()).Body);
    }

    [Fact]
    public async Task A_client_that_expects_it_is_not_told_to_continue_when_nobody_reads_the_body()
    {
        string path = _server.Map(static context =>
        {
            context.Response.StatusCode = StatusCodes.Status413PayloadTooLarge;
            return Task.CompletedTask;
        });
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal(413, (await client.ReadResponseAsync()).Status);
    }
}
