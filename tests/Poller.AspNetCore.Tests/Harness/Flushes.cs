using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;

namespace Poller.AspNetCore.Tests;

/// <summary>Flushes of a peer that does not read.</summary>
internal static class Flushes
{
    /// <summary>
    /// Whether a flush waits for room at the peer, which does not read; false once it has ended. A flush that a busy machine has not come
    /// to yet does neither.
    /// </summary>
    public static async Task<bool> WaitsForRoomAsync(this Task<FlushResult> flush, ConnectionContext connection)
    {
        Socket socket = connection.Features.Get<IConnectionSocketFeature>()!.Socket;
        using CancellationTokenSource patience = new(Waiting.Patience);
        while (await Task.WhenAny(flush, Task.Delay(100, patience.Token)) != flush)
        {
            if (!socket.Poll(0, SelectMode.SelectWrite)) return true;
            patience.Token.ThrowIfCancellationRequested();
        }
        return false;
    }
}
