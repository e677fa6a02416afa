using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Poller.Net.Tests;

/// <summary>Handlers that several tests use.</summary>
internal static class Handlers
{
    public static readonly byte[] One = [1];

    /// <summary>A raw continuation, on the thread that completes the read.</summary>
    public static void Then(ValueTask<int> read, Action continuation) =>
        read.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(continuation);

    /// <summary>Blocks the thread of the handler that calls it, so long that the monitor counts it as stalled.</summary>
    public static void Stall()
    {
        AwaitLook(LoopThread.Current!);
        Thread.Sleep(40); // Of which the monitor needs 10.
    }

    /// <summary>Comes back once the monitor knows that a thread is in its handler. A stall counts from then on.</summary>
    public static void AwaitLook(LoopThread thread)
    {
        long start = Stopwatch.GetTimestamp();
        while (Volatile.Read(ref SeenOf(ref WatchOf(thread))) != WatchOf(thread).Runs)
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < Fixture.Patience, "the monitor never looked.");
            Thread.Sleep(1);
        }
    }

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

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_watch")]
    private static extern ref RunWatch WatchOf(LoopThread thread);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_seen")]
    private static extern ref uint SeenOf(ref RunWatch watch);
}
