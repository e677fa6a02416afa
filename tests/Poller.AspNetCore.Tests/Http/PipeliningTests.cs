using System.Text;

namespace Poller.AspNetCore.Tests;

/// <summary>Requests that are sent before the earlier ones are answered.</summary>
public abstract class PipeliningTests<TTransport>(SharedServer<TTransport> shared) : IClassFixture<SharedServer<TTransport>>
    where TTransport : ITestTransport
{
    private readonly Server _server = shared.Server;

    [Fact]
    public async Task Requests_in_one_packet_are_answered_in_order()
    {
        string path = _server.Map(static context => context.Response.WriteAsync(context.Request.Query["n"].ToString()));
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync(string.Concat(Enumerable.Range(0, 16).Select(n => $"GET {path}?n={n} HTTP/1.1\r\nHost: x\r\n\r\n")));
        for (int n = 0; n < 16; n++) Assert.Equal($"{n}", (await client.ReadResponseAsync()).Body);
    }

    [Fact]
    public async Task Requests_that_end_in_the_middle_of_a_packet_are_answered_in_order()
    {
        string path = _server.Map(static context => context.Response.WriteAsync(context.Request.Query["n"].ToString()));
        byte[] requests = Encoding.ASCII.GetBytes(
            string.Concat(Enumerable.Range(0, 100).Select(n => $"GET {path}?n={n} HTTP/1.1\r\nHost: x\r\n\r\n")));
        using RawClient client = await _server.ConnectAsync();
        for (int sent = 0; sent < requests.Length; sent += 61) // A prime, so that it cuts anywhere.
        {
            await client.SendAsync(requests.AsMemory(sent, Math.Min(61, requests.Length - sent)));
        }
        for (int n = 0; n < 100; n++) Assert.Equal($"{n}", (await client.ReadResponseAsync()).Body);
    }

    [Fact]
    public async Task Ten_thousand_pipelined_requests_are_all_answered()
    {
        string path = _server.Map(static context => context.Response.WriteAsync("it is here"));
        using RawClient client = await _server.ConnectAsync();
        byte[] requests = Encoding.ASCII.GetBytes(
            string.Concat(Enumerable.Repeat($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n", 9_999))
            + $"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        Task sending = client.SendAsync(requests);
        StringBuilder responses = new();
        byte[] buffer = new byte[64 * 1024];
        while (await client.ReadAsync(buffer) is > 0 and int count) responses.Append(Encoding.ASCII.GetString(buffer, 0, count));
        await sending;
        string all = responses.ToString();
        Assert.Equal(10_000, Count(all, "HTTP/1.1 200 OK"));
        Assert.Equal(10_000, Count(all, "it is here"));
    }

    private static int Count(string text, string part) => text.Split(part).Length - 1;
}
