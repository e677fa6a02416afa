using System.Buffers;
using System.Security.Cryptography;

namespace Poller.Net.Tests;

/// <summary>The pieces of gathered writes and scattered reads.</summary>
internal static class Gathered
{
    /// <summary>Random bytes in pieces of these lengths, and all of them in one.</summary>
    public static (ReadOnlyMemory<byte>[] Pieces, byte[] Whole) Of(params IEnumerable<int> lengths)
    {
        int[] all = [.. lengths];
        byte[] whole = RandomNumberGenerator.GetBytes(all.Sum());
        ReadOnlyMemory<byte>[] pieces = new ReadOnlyMemory<byte>[all.Length];
        int start = 0;
        for (int i = 0; i < all.Length; i++)
        {
            pieces[i] = whole.AsSpan(start, all[i]).ToArray(); // Each has memory of its own.
            start += all[i];
        }
        return (pieces, whole);
    }

    public static ReadOnlySequence<byte> ToSequence(this IEnumerable<ReadOnlyMemory<byte>> pieces)
    {
        Segment? first = null, last = null;
        foreach (ReadOnlyMemory<byte> piece in pieces)
        {
            last = new Segment(piece, last);
            first ??= last;
        }
        return first is null ? default : new ReadOnlySequence<byte>(first, 0, last!, last!.Memory.Length);
    }

    /// <summary>A gathered write in one of its forms, of the list or of a sequence.</summary>
    public static Operation<int> StartWrite(
        this Conn conn, bool blocking, bool sequence, IReadOnlyList<ReadOnlyMemory<byte>> pieces, CancellationToken token = default)
    {
        return (blocking, sequence) switch
        {
            (true, true) => new(() => Blocking(() => conn.Write(pieces.ToSequence()))),
            (true, false) => new(() => Blocking(() => conn.Write(pieces))),
            (false, true) => new(Async(conn.WriteAsync(pieces.ToSequence(), token))),
            _ => new(Async(conn.WriteAsync(pieces, token))),
        };

        static int Blocking(Action write)
        {
            write();
            return 0;
        }

        static async Task<int> Async(ValueTask write)
        {
            await write.ConfigureAwait(false);
            return 0;
        }
    }

    public static Operation<int> StartRead(this Conn conn, bool blocking, IReadOnlyList<Memory<byte>> pieces) =>
        blocking ? new(() => conn.Read(pieces)) : new(conn.ReadAsync(pieces).AsTask());

    /// <summary>Reads to the end.</summary>
    public static Task<byte[]> ReadAllAsync(this Conn conn) => Task.Run(async () =>
    {
        using MemoryStream all = new();
        byte[] buffer = new byte[1 << 16];
        for (int n; (n = await conn.ReadAsync(buffer).ConfigureAwait(false)) > 0;) all.Write(buffer, 0, n);
        return all.ToArray();
    });

    /// <summary>As Assert.Equal, which takes long for megabytes.</summary>
    public static void AssertSame(byte[] expected, byte[] actual, string what) =>
        Assert.True(expected.AsSpan().SequenceEqual(actual), $"{what}: {actual.Length} bytes of {expected.Length} came, or other ones.");

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, Segment? last)
        {
            Memory = memory;
            if (last is null) return;
            RunningIndex = last.RunningIndex + last.Memory.Length;
            last.Next = this;
        }
    }
}
