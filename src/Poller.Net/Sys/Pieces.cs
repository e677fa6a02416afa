using System.Buffers;

namespace Poller.Net;

/// <summary>
/// What is left of the buffers of a gathered write or a scattered read. A copy walks on by itself, so a call walks a copy and then takes
/// from the original what was done.
/// </summary>
/// <remarks>It asks the caller's list or sequence only when it moves on. Whatever that throws comes out of the method that moves.</remarks>
internal struct Pieces
{
    private readonly IReadOnlyList<ReadOnlyMemory<byte>>? _from;
    private readonly IReadOnlyList<Memory<byte>>? _into;
    private readonly ReadOnlySequence<byte> _sequence;

    // Where the piece after _rest is, in a list or in the sequence.
    private int _index;
    private SequencePosition _position;

    // What is left of the current piece.
    private ReadOnlyMemory<byte> _rest;

    public Pieces(IReadOnlyList<ReadOnlyMemory<byte>> from) => _from = from;

    public Pieces(IReadOnlyList<Memory<byte>> into) => _into = into;

    public Pieces(ReadOnlySequence<byte> sequence)
    {
        _sequence = sequence;
        _position = sequence.Start;
    }

    /// <summary>Whether anything is left. Empty pieces do not count.</summary>
    public bool TryFind()
    {
        while (_rest.IsEmpty)
        {
            if (!TryTake()) return false;
        }
        return true;
    }

    /// <summary>Takes what is left of the current piece, which is not empty. False if nothing is left.</summary>
    public bool TryNext(out ReadOnlyMemory<byte> piece)
    {
        bool found = TryFind();
        piece = _rest;
        _rest = default;
        return found;
    }

    /// <summary>Takes so many bytes, which may end in the middle of a piece.</summary>
    public void Advance(int count)
    {
        while (count > 0 && TryFind())
        {
            int part = Math.Min(count, _rest.Length);
            _rest = _rest[part..];
            count -= part;
        }
    }

    private bool TryTake()
    {
        if (_from is null && _into is null) return _sequence.TryGet(ref _position, out _rest);
        if (_index >= (_from?.Count ?? _into!.Count)) return false;
        _rest = _from is not null ? _from[_index] : _into![_index];
        _index++;
        return true;
    }
}
