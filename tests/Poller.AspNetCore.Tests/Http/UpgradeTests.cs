using System.Net.WebSockets;
using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace Poller.AspNetCore.Tests;

/// <summary>Connections that leave HTTP.</summary>
public abstract class UpgradeTests<TTransport>(SharedServer<TTransport> shared) : IClassFixture<SharedServer<TTransport>>
    where TTransport : ITestTransport
{
    private readonly Server _server = shared.Server;

    [Fact]
    public async Task An_upgraded_connection_is_a_stream_both_ways()
    {
        string path = _server.Map(static async context =>
        {
            using Stream stream = await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
            byte[] line = new byte[6];
            do
            {
                await stream.ReadExactlyAsync(line);
                await stream.WriteAsync(line);
            }
            while (line[^1] != '9');
        });
        using RawClient client = await _server.ConnectAsync();
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 101 ", await client.ReadHeadAsync(), StringComparison.Ordinal);
        for (int i = 0; i < 10; i++)
        {
            await client.SendAsync($"line {i}");
            Assert.Equal($"line {i}", await client.ReadTextAsync(6));
        }
        Assert.Equal((End.Graceful, 0), await client.ReadToEndAsync());
    }

    [Theory, InlineData(0), InlineData(5), InlineData(125), InlineData(126), InlineData(65_536), InlineData(1_000_000)]
    public async Task A_web_socket_echoes(int length)
    {
        string path = MapWebSocketEcho();
        using ClientWebSocket client = new();
        await client.ConnectAsync(new UriBuilder(_server.Uri(path)) { Scheme = "ws" }.Uri, CancellationToken.None).Within();
        byte[] message = Pattern.Of(length);
        for (int i = 0; i < 3; i++)
        {
            Task sending = client.SendAsync(message, WebSocketMessageType.Binary, true, CancellationToken.None);
            Assert.Equal(message, await ReceiveAsync(client));
            await sending.Within();
        }
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "enough", CancellationToken.None).Within();
        Assert.Equal((WebSocketCloseStatus.NormalClosure, "enough"), (client.CloseStatus, client.CloseStatusDescription));
    }

    [Fact]
    public async Task A_web_socket_of_a_client_that_is_gone_fails_to_read()
    {
        TaskCompletionSource<Exception> failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        string path = _server.Map(async context =>
        {
            using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
            Task receiving = socket.ReceiveAsync(new byte[1], CancellationToken.None);
            failed.SetResult(await Assert.ThrowsAnyAsync<Exception>(() => receiving));
        });
        using RawClient client = await _server.ConnectAsync();
        string key = Convert.ToBase64String(Encoding.ASCII.GetBytes("sixteen bytes it"));
        await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n");
        await client.ReadHeadAsync();
        client.Reset();
        WebSocketException error = Assert.IsType<WebSocketException>(await failed.Task.Within());
        Assert.Equal(WebSocketError.ConnectionClosedPrematurely, error.WebSocketErrorCode);
    }

    private string MapWebSocketEcho() => _server.Map(static async context =>
    {
        using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
        byte[] buffer = new byte[16 * 1024];
        while (true)
        {
            WebSocketReceiveResult got = await socket.ReceiveAsync(buffer, context.RequestAborted);
            if (got.MessageType == WebSocketMessageType.Close) break;
            await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, got.EndOfMessage, context.RequestAborted);
        }
        await socket.CloseAsync(socket.CloseStatus!.Value, socket.CloseStatusDescription, context.RequestAborted);
    });

    private static async Task<byte[]> ReceiveAsync(ClientWebSocket client)
    {
        using MemoryStream message = new();
        byte[] buffer = new byte[16 * 1024];
        WebSocketReceiveResult got;
        do
        {
            got = await client.ReceiveAsync(buffer, CancellationToken.None).Within();
            message.Write(buffer, 0, got.Count);
        }
        while (!got.EndOfMessage);
        return message.ToArray();
    }
}
