using System.Globalization;

namespace Poller.Conformance;

// The model's view of the bytes of one direction: what each write has put in, and how far the reader has come.
//
// A write that failed (by a deadline, a token or a close) may have sent a part, and nobody knows how much. So a write's bytes are certain
// or possible, and only the bytes show where the reader goes over to the next write. That is why the writes take turns with eight
// alphabets: a byte shows to which of the next writes it belongs, and the table shows its place there.

/// <summary>The bytes that one write has put, or may have put, into a direction.</summary>
internal sealed class ConnSegment(int id, int count)
{
    public int Id => id;

    /// <summary>The number of bytes in the write.</summary>
    public int Count => count;

    /// <summary>How many of them were sent at least.</summary>
    public int Certain { get; set; }

    /// <summary>How many of them were sent at most.</summary>
    public int Possible { get; set; }
}

/// <summary>One direction of a connection.</summary>
internal sealed class ConnStream
{
    /// <summary>A value that no byte of a stream has. A buffer that is filled with it shows which bytes were written.</summary>
    public const byte Nothing = 0xff;

    private const int Alphabets = 8, Letters = 31;

    // A prime, so that bytes which are one usual buffer size apart differ.
    private const int Period = 65_521;

    // Each is twice the period long, so a run is in one piece wherever it begins.
    private static readonly byte[][] Tables = MakeTables();

    // The writes from the reader's current one on.
    private readonly List<ConnSegment> _segments = [];
    private int _nextId;
    private int _offset;

    /// <summary>The least number of bytes to read.</summary>
    public long CertainBytes => _segments.Sum(segment => (long)segment.Certain) - _offset;

    /// <summary>The greatest number of bytes to read.</summary>
    public long PossibleBytes => _segments.Sum(segment => (long)segment.Possible) - _offset;

    /// <summary>The number of bytes that have been read.</summary>
    public long Delivered { get; private set; }

    /// <summary>
    /// Whether the reader could tell the next write from the writes before it: none of those whose bytes may come just before its own has
    /// the same alphabet.
    /// </summary>
    public bool CanAppend
    {
        get
        {
            for (int i = _segments.Count - 1; i >= 0; i--)
            {
                ConnSegment segment = _segments[i];
                if (segment.Id % Alphabets == _nextId % Alphabets && segment.Certain < segment.Count) return false;
                if (segment.Certain > 0) return true;
            }
            return true;
        }
    }

    /// <summary>Adds a write of <paramref name="count"/> bytes, none of which was sent yet.</summary>
    public ConnSegment Append(int count)
    {
        ConnSegment segment = new(_nextId++, count);
        _segments.Add(segment);
        return segment;
    }

    /// <summary>Notes that a write is over and has sent nothing.</summary>
    public void Drop(ConnSegment segment) => _segments.Remove(segment);

    /// <summary>The bytes of a write.</summary>
    public static byte[] BytesOf(ConnSegment segment)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(segment.Count);
        for (int i = 0; i < bytes.Length; i += Period) Expected(segment, i, Math.Min(Period, bytes.Length - i)).CopyTo(bytes.AsSpan(i));
        return bytes;
    }

    /// <summary>Notes that the reader got these bytes. Returns what is wrong with them, or null.</summary>
    public string? Deliver(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            // Skip what was not sent, if the byte shows that.
            int next = 0, offset = _offset;
            while (next < _segments.Count && !(_segments[next].Id % Alphabets == bytes[0] / Letters && offset < _segments[next].Possible))
            {
                if (offset < _segments[next].Certain) return Wrong(_segments[next], offset, bytes);
                (next, offset) = (next + 1, 0);
            }
            if (next == _segments.Count)
            {
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"byte {Delivered} of the stream is {bytes[0]}, and nothing more was sent ({Around(bytes)})");
            }
            _segments.RemoveRange(0, next);
            ConnSegment segment = _segments[0];
            int run = Math.Min(Math.Min(bytes.Length, segment.Possible - offset), Period);
            int same = bytes[..run].CommonPrefixLength(Expected(segment, offset, run));
            if (same == 0) return Wrong(segment, offset, bytes);
            _offset = offset + same;
            Delivered += same;
            segment.Certain = Math.Max(segment.Certain, _offset);
            if (_offset == segment.Count)
            {
                _segments.RemoveAt(0);
                _offset = 0;
            }
            bytes = bytes[same..];
        }
        return null;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Delivered} bytes read, {CertainBytes} to come")
        + (PossibleBytes > CertainBytes ? string.Create(CultureInfo.InvariantCulture, $", and perhaps up to {PossibleBytes}") : "");

    private static ReadOnlySpan<byte> Expected(ConnSegment segment, int offset, int count) =>
        Tables[segment.Id % Alphabets].AsSpan((int)(((segment.Id * 7919L) + offset) % Period), count);

    // Tells a loss, a repetition and disorder apart, if enough bytes came.
    private string Wrong(ConnSegment segment, int offset, ReadOnlySpan<byte> bytes)
    {
        const int Enough = 12, Near = 5000;
        int count = Math.Min(Enough, bytes.Length);
        int first = Math.Max(0, offset - Near), last = Math.Min(segment.Count, offset + Near);
        string verdict = "";
        if (count == Enough && last - first >= count)
        {
            int at = Expected(segment, first, last - first).IndexOf(bytes[..count]);
            verdict = at < 0 ? ": changed or out of order"
                : first + at > offset ? $": {first + at - offset} were lost"
                : $": {offset - first - at} came again";
        }
        byte expected = Expected(segment, offset, 1)[0];
        return string.Create(
            CultureInfo.InvariantCulture,
            $"byte {Delivered} of the stream is {bytes[0]}; {expected} was expected, ")
            + string.Create(CultureInfo.InvariantCulture, $"byte {offset} of a write of {segment.Count}{verdict} ({Around(bytes)})");
    }

    private static string Around(ReadOnlySpan<byte> bytes) =>
        "came: " + string.Join(' ', bytes[..Math.Min(16, bytes.Length)].ToArray()) + (bytes.Length > 16 ? " …" : "");

    private static byte[][] MakeTables()
    {
        byte[][] tables = [.. Enumerable.Range(0, Alphabets).Select(_ => new byte[2 * Period])];
        Random random = new(1);
        for (int i = 0; i < Period; i++)
        {
            int letter = random.Next(Letters);
            for (int alphabet = 0; alphabet < Alphabets; alphabet++)
            {
                tables[alphabet][i] = tables[alphabet][i + Period] = (byte)((alphabet * Letters) + letter);
            }
        }
        return tables;
    }
}
