using System.Diagnostics.CodeAnalysis;

namespace Poller.Net;

// The twin of a P's run queue in Go's runtime/proc.go, that others steal from: the waiters that one poll made runnable. The leader fills
// the batch; the leader, its helpers and a follower that was promoted over it claim from it one by one.
//
// One word says which batch this is, how far it is claimed and how many it holds: epoch:24 head:20 count:20. A claimer reads the word, then
// the item, and then moves the head by compare-and-swap: that it succeeds says that the batch was not refilled in between, and so
// that the item read is the item claimed. The leader refills only what is claimed to the end, so nothing is lost either.

/// <summary>A batch of runnable waiters that any number of threads claim from. One thread at a time fills it.</summary>
internal sealed class ReadyBatch
{
    private const int Bits = 20;
    private const ulong Mask = (1UL << Bits) - 1;

    /// <summary>The most a batch holds.</summary>
    public const int MaxCount = (int)Mask;

    // Atomic.
    private ulong _word;

    // Written by the thread that fills, before it publishes the word.
    private PollWaiter?[] _items = new PollWaiter?[128];
    private int _filled;

    /// <summary>Changes with each batch; for whoever watches how long one takes.</summary>
    public uint Epoch => (uint)(Volatile.Read(ref _word) >> (2 * Bits));

    /// <summary>How many nobody has claimed.</summary>
    public int Remaining
    {
        get
        {
            ulong word = Volatile.Read(ref _word);
            return (int)((word & Mask) - ((word >> Bits) & Mask));
        }
    }

    /// <summary>Puts a waiter into the batch that <see cref="Publish"/> will open. False when the batch is full.</summary>
    public bool TryAdd(PollWaiter waiter)
    {
        if (_filled == _items.Length)
        {
            if (_filled == MaxCount) return false;
            PollWaiter?[] larger = new PollWaiter?[Math.Min(_filled * 2, MaxCount)];
            Array.Copy(_items, larger, _filled);
            Volatile.Write(ref _items, larger);
        }
        _items[_filled++] = waiter;
        return true;
    }

    /// <summary>Opens the batch to the claimers. Returns how many it holds.</summary>
    public int Publish()
    {
        int count = _filled;
        if (count > 0) Volatile.Write(ref _word, (((_word >> (2 * Bits)) + 1) << (2 * Bits)) | (uint)count);
        return count;
    }

    /// <summary>
    /// Forgets the waiters of a batch that is claimed to the end, before the next is filled: they are not to be kept alive.
    /// </summary>
    public void Clear()
    {
        Array.Clear(_items, 0, _filled);
        _filled = 0;
    }

    /// <summary>Claims the next waiter.</summary>
    public bool TryClaim([NotNullWhen(true)] out PollWaiter? waiter)
    {
        while (true)
        {
            ulong word = Volatile.Read(ref _word);
            ulong head = (word >> Bits) & Mask;
            if (head == (word & Mask))
            {
                waiter = null;
                return false;
            }

            // The item may be another batch's, or cleared: then the word has moved, and the exchange fails.
            waiter = Volatile.Read(ref Volatile.Read(ref _items)[head]);
            if (Interlocked.CompareExchange(ref _word, word + (1UL << Bits), word) == word)
            {
                return waiter is not null ? true : throw new InvalidOperationException("a batch had an empty place among its waiters.");
            }
        }
    }
}
