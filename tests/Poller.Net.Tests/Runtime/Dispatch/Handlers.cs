namespace Poller.Net.Tests;

/// <summary>Handlers that several tests use.</summary>
internal static class Handlers
{
    public static readonly byte[] One = [1];

    /// <summary>A raw continuation, on the thread that completes the read.</summary>
    public static void Then(ValueTask<int> read, Action continuation) =>
        read.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(continuation);

    /// <summary>Answers what comes, until the end.</summary>
    public static async Task EchoAsync(TcpConn conn)
    {
        byte[] buffer = new byte[16];
        while (true)
        {
            int n = await conn.ReadAsync(buffer).ConfigureAwait(false);
            if (n == 0) return;
            await conn.WriteAsync(buffer.AsMemory(0, n)).ConfigureAwait(false);
        }
    }
}
