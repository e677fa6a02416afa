using System.Buffers.Binary;

namespace Poller.Torture;

// Each byte of a stream depends on the stream's seed and on its position, so a byte that is lost, doubled or moved shows.
//
// A write which ends by a deadline or a cancellation may have sent a part, and does not tell how much. The sender then sends a mark: the
// byte Escape, which the pattern does not have, where that write began, and its length. The reader must be within that write when it meets
// the mark. It goes back to the write's begin, and the sender sends it again. So all bytes are checked here too.

/// <summary>The bytes of a stream.</summary>
internal readonly struct Pattern(int seed)
{
    /// <summary>The byte that only a mark begins with.</summary>
    public const byte Escape = 0xFF;

    /// <summary>The length of a mark.</summary>
    public const int MarkLength = 1 + sizeof(long) + sizeof(int);

    /// <summary>The bytes from a position on.</summary>
    public void Fill(long position, Span<byte> bytes)
    {
        Span<byte> word = stackalloc byte[sizeof(ulong)];
        for (int i = 0; i < bytes.Length;)
        {
            long at = position + i;
            BinaryPrimitives.WriteUInt64LittleEndian(word, Mix((ulong)(at >> 3)));
            ReadOnlySpan<byte> from = word[(int)(at & 7)..];
            int count = Math.Min(from.Length, bytes.Length - i);
            from[..count].CopyTo(bytes[i..]);
            i += count;
        }
        bytes.Replace(Escape, (byte)0);
    }

    /// <summary>A mark after a write of <paramref name="count"/> bytes at <paramref name="position"/> that was interrupted.</summary>
    public static byte[] Mark(long position, int count)
    {
        byte[] mark = new byte[MarkLength];
        mark[0] = Escape;
        BinaryPrimitives.WriteInt64LittleEndian(mark.AsSpan(1), position);
        BinaryPrimitives.WriteInt32LittleEndian(mark.AsSpan(1 + sizeof(long)), count);
        return mark;
    }

    // The last steps of MurmurHash3: neighbours differ in half of their bits.
    private ulong Mix(ulong at)
    {
        ulong h = at * 0x9E3779B97F4A7C15 + (ulong)(uint)seed;
        h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCD;
        h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53;
        return h ^ (h >> 33);
    }
}

/// <summary>Checks what arrives of a stream.</summary>
internal sealed class PatternReader(int seed)
{
    private readonly Pattern _pattern = new(seed);
    private readonly byte[] _mark = new byte[Pattern.MarkLength];
    private byte[] _expected = [];
    private int _markLength;

    /// <summary>How many bytes of the stream have arrived.</summary>
    public long Position { get; private set; }

    /// <summary>Null, or what is wrong with the next bytes.</summary>
    public string? Check(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_markLength > 0)
            {
                int count = Math.Min(bytes.Length, _mark.Length - _markLength);
                bytes[..count].CopyTo(_mark.AsSpan(_markLength));
                _markLength += count;
                bytes = bytes[count..];
                if (_markLength == _mark.Length && TakeMark() is { } wrong) return wrong;
                continue;
            }
            int plain = bytes.IndexOf(Pattern.Escape);
            if (plain < 0) plain = bytes.Length;
            if (plain > _expected.Length) _expected = new byte[plain];
            Span<byte> expected = _expected.AsSpan(0, plain);
            _pattern.Fill(Position, expected);
            if (!bytes[..plain].SequenceEqual(expected))
            {
                int at = bytes.CommonPrefixLength(expected);
                return $"the byte at {Position + at} is {bytes[at]}; {expected[at]} was expected";
            }
            Position += plain;
            bytes = bytes[plain..];
            if (bytes.IsEmpty) return null;
            _mark[0] = bytes[0];
            _markLength = 1;
            bytes = bytes[1..];
        }
        return null;
    }

    /// <summary>Null, or what is wrong with an end here.</summary>
    public string? CheckEnd(long total) =>
        _markLength > 0 ? $"the stream ended within a mark at {Position}"
        : Position != total ? $"the stream ended at {Position} of {total}"
        : null;

    private string? TakeMark()
    {
        long begin = BinaryPrimitives.ReadInt64LittleEndian(_mark.AsSpan(1));
        int count = BinaryPrimitives.ReadInt32LittleEndian(_mark.AsSpan(1 + sizeof(long)));
        if (Position < begin || Position > begin + count)
        {
            return $"a write of {count} bytes at {begin} was interrupted, and the reader is at {Position}";
        }
        Position = begin;
        _markLength = 0;
        return null;
    }
}
