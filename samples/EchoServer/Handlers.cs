using Poller.DependencyInjection;
using Poller.Net;

namespace EchoServer;

/// <summary>Sends back what a connection sends, until it ends.</summary>
internal sealed class AsyncHandler(Counters? counters = null) : IConnHandler
{
    internal const int BufferSize = 16 * 1024;

    public async Task HandleAsync(Conn conn, CancellationToken stopping)
    {
        counters?.Opened();
        try
        {
            byte[] buffer = new byte[BufferSize];
            while (await conn.ReadAsync(buffer, CancellationToken.None) is var n and > 0)
            {
                await conn.WriteAsync(buffer.AsMemory(0, n), CancellationToken.None);
                counters?.Echoed(n);
            }
        }
        finally
        {
            counters?.Closed();
        }
    }
}

/// <summary>The same in blocking style, with a thread for each connection.</summary>
internal sealed class BlockingHandler(Counters? counters = null) : IConnHandler
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    public async Task HandleAsync(Conn conn, CancellationToken stopping)
    {
        counters?.Opened();
        try
        {
            TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
            while (!TryStart(conn, done)) await Task.Delay(Pause, stopping);
            await done.Task;
        }
        finally
        {
            counters?.Closed();
        }
    }

    // A thread needs free descriptors to start. While there are none, the connection waits.
    private bool TryStart(Conn conn, TaskCompletionSource done)
    {
        Thread thread = new(() =>
        {
            try
            {
                Serve(conn);
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        try
        {
            thread.Start();
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }

    private void Serve(Conn conn)
    {
        byte[] buffer = new byte[AsyncHandler.BufferSize];
        while (conn.Read(buffer) is var n and > 0)
        {
            conn.Write(buffer.AsSpan(0, n));
            counters?.Echoed(n);
        }
    }
}
