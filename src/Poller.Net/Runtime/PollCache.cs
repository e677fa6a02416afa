using Poller.Abstractions;

namespace Poller.Net;

// The twin of pollCache in Go's runtime/netpoll.go. A desc that was made is kept for good: an event may name its slot long after its
// descriptor is closed.

/// <summary>The PollDescs of one loop. Safe from any thread.</summary>
internal sealed class PollCache
{
    private const int InitialSlots = 64;

    private readonly Lock _lock = new();

    // Guarded by the lock. The array is replaced when it grows and never shrinks, so that Find may read it without.
    private PollDesc?[] _slots = new PollDesc?[InitialSlots];
    private uint _used;
    private readonly Stack<PollDesc> _free = new();

    /// <summary>A desc for <paramref name="fd"/>, recycled where there is one.</summary>
    public PollDesc Alloc(nint fd)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out PollDesc? desc))
            {
                if (_used == _slots.Length)
                {
                    PollDesc?[] larger = new PollDesc?[_slots.Length * 2];
                    Array.Copy(_slots, larger, _slots.Length);
                    Volatile.Write(ref _slots, larger);
                }
                desc = new PollDesc(_used);
                Volatile.Write(ref _slots[_used++], desc);
            }
            desc.Open(fd);
            return desc;
        }
    }

    /// <summary>Takes a desc back whose descriptor is out of the poller.</summary>
    public void Free(PollDesc desc)
    {
        lock (_lock)
        {
            desc.Free();
            _free.Push(desc);
        }
    }

    /// <summary>The desc an event names. The event may be of an earlier life of it; null for a token this cache never gave out.</summary>
    public PollDesc? Find(PollToken token)
    {
        // Pairs with the writes in Alloc: the kernel hands out a token after Open, and Open comes after Alloc.
        PollDesc?[] slots = Volatile.Read(ref _slots);
        return token.Slot < (uint)slots.Length ? Volatile.Read(ref slots[token.Slot]) : null;
    }

    /// <summary>Every desc there is, open or free.</summary>
    public PollDesc[] Snapshot()
    {
        lock (_lock) return _slots.AsSpan(0, (int)_used).ToArray()!;
    }
}
