using System.Buffers;

namespace Poller.AspNetCore;

/// <summary>
/// A piece of what was read or is to be written, in a buffer of a pool. Linked segments are the body of a <see
/// cref="ReadOnlySequence{T}"/>.
/// </summary>
internal sealed class BufferSegment : ReadOnlySequenceSegment<byte>
{
    // Segments without a buffer, for the next connection that needs one on this thread. 25 of them hold a response of 100 KB.
    private const int MaxKept = 64;

    [ThreadStatic]
    private static BufferSegment? _kept;

    [ThreadStatic]
    private static int _keptCount;

    private IMemoryOwner<byte>? _owner;
    private Memory<byte> _buffer;

    private BufferSegment() { }

    /// <summary>How many bytes are in it.</summary>
    public int Length { get; private set; }

    /// <summary>The rest of the buffer.</summary>
    public Memory<byte> Free => _buffer[Length..];

    public int FreeLength => _buffer.Length - Length;

    public new BufferSegment? Next => (BufferSegment?)base.Next;

    /// <summary>A segment with an empty buffer of at least <paramref name="size"/> bytes; 0 means what the pool likes best.</summary>
    public static BufferSegment Rent(MemoryPool<byte> pool, int size)
    {
        BufferSegment segment = _kept ?? new();
        if (segment == _kept)
        {
            _kept = segment.Next;
            _keptCount--;
            segment.Unlink();
        }
        segment._owner = size <= pool.MaxBufferSize ? pool.Rent(size == 0 ? -1 : size) : MemoryPool<byte>.Shared.Rent(size);
        segment._buffer = segment._owner.Memory;
        return segment;
    }

    /// <summary>Adds so many bytes that were put into <see cref="Free"/>.</summary>
    public void Advance(int count)
    {
        Length += count;
        Memory = _buffer[..Length];
    }

    /// <summary>Puts a segment behind this one.</summary>
    public void Append(BufferSegment next)
    {
        base.Next = next;
        next.RunningIndex = RunningIndex + Length;
    }

    /// <summary>Gives the buffer back. Nobody may use the segment afterwards.</summary>
    public void Return()
    {
        _owner!.Dispose();
        _owner = null;
        _buffer = default;
        Memory = default;
        Length = 0;
        Unlink();
        if (_keptCount == MaxKept) return;
        base.Next = _kept;
        _kept = this;
        _keptCount++;
    }

    private void Unlink()
    {
        base.Next = null;
        RunningIndex = 0;
    }
}
