namespace Poller.AspNetCore.Tests;

/// <summary>Bytes of which each has its place, so that a lost, doubled or misplaced part is seen.</summary>
internal static class Pattern
{
    private const int Period = 65_521; // A prime: no buffer's size divides it.

    private static readonly byte[] Bytes = Make();

    /// <summary>The bytes from an offset on, at most a period's.</summary>
    public static ReadOnlyMemory<byte> From(long offset, long count = Period) =>
        Bytes.AsMemory((int)(offset % Period), (int)Math.Min(count, Period));

    public static byte[] Of(int length)
    {
        byte[] bytes = new byte[length];
        for (int done = 0; done < length;)
        {
            ReadOnlyMemory<byte> part = From(done, length - done);
            part.CopyTo(bytes.AsMemory(done));
            done += part.Length;
        }
        return bytes;
    }

    /// <summary>Reads to the end, and fails at the first byte that is not the pattern's. Returns how many they were.</summary>
    public static async Task<long> CheckAsync(Stream stream)
    {
        byte[] buffer = new byte[Period];
        long total = 0;
        while (await stream.ReadAsync(buffer) is > 0 and int count)
        {
            Assert.True(From(total, count).Span.SequenceEqual(buffer.AsSpan(0, count)), $"a byte after {total} is not the one that was sent.");
            total += count;
        }
        return total;
    }

    public static async Task WriteAsync(Stream stream, long length)
    {
        for (long done = 0; done < length;)
        {
            ReadOnlyMemory<byte> part = From(done, length - done);
            await stream.WriteAsync(part);
            done += part.Length;
        }
    }

    private static byte[] Make()
    {
        byte[] bytes = new byte[2 * Period];
        new Random(1).NextBytes(bytes.AsSpan(0, Period));
        bytes.AsSpan(0, Period).CopyTo(bytes.AsSpan(Period));
        return bytes;
    }
}

/// <summary>A request body of so many bytes of the pattern.</summary>
internal sealed class PatternContent(long length, bool chunked = false) : HttpContent
{
    protected override Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context) =>
        Pattern.WriteAsync(stream, length);

    protected override bool TryComputeLength(out long computed)
    {
        computed = length;
        return !chunked;
    }
}
