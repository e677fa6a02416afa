using System.Net.WebSockets;

namespace WebApp;

/// <summary>Sends back each message of a WebSocket, until its peer closes it or the app stops.</summary>
internal static class WebSocketEcho
{
    private const int BufferSize = 16 * 1024;

    public static async Task ServeAsync(HttpContext context)
    {
        CancellationToken stopping = context.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
        byte[] buffer = new byte[BufferSize];
        try
        {
            while (true)
            {
                ValueWebSocketReceiveResult received = await socket.ReceiveAsync(buffer.AsMemory(), stopping);
                if (received.MessageType == WebSocketMessageType.Close) break;
                await socket.SendAsync(buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, stopping);
            }
            await socket.CloseAsync(socket.CloseStatus!.Value, socket.CloseStatusDescription, stopping);
        }
        catch (Exception e) when (e is OperationCanceledException or WebSocketException)
        {
            // The app stops, or the peer is gone without a word. Either way the connection ends here.
        }
    }
}
