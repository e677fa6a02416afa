using System.Diagnostics.CodeAnalysis;

namespace Poller.Net;

// The twin of a P's run queue in Go's runtime/proc.go, from which others steal: the waiters that one poll made runnable. The leader fills
// the batch. The leader, its helpers and its successor claim waiters from it, one by one.
//
// One word holds the number of the batch, how many waiters are claimed and how many there are: epoch:24 head:20 count:20.
//
//   epoch, head, count -> epoch + 1, 0, new count   by the leader (Publish), when the batch is claimed to the end
//   epoch, head, count -> epoch, head + 1, count    by any thread (TryClaim)
//
// A claimer reads the word, then the item, and then moves the head by compare-and-swap. If that succeeds, the batch was not refilled in
// between, so the item that it read is the item that it claimed. The leader refills only a batch that is claimed to the end, so no waiter
// is lost.

/// <summary>A batch of runnable waiters. Any number of threads claim from it; one thread at a time fills it.</summary>
internal sealed class ReadyBatch
{
    private const int Bits = 20;
    private const ulong Mask = (1UL << Bits) - 1;

    /// <summary>The most a batch holds.</summary>
    public const int MaxCount = (int)Mask;

    // Atomic.
    private ulong _word;

    // 1 KiB; the array doubles when more are ready at once, and keeps that size. The value is arbitrary: with 64, 128 and 256, it took the
    // same time to fill and claim batches of 10 to 100,000.
    private const int InitialItems = 128;

    // Written by the thread that fills the batch, before it publishes the word.
    private PollWaiter?[] _items = new PollWaiter?[InitialItems];
    private int _filled;

    /// <summary>Changes with each batch. The monitor uses it to see how long a batch takes.</summary>
    public uint Epoch => (uint)(Volatile.Read(ref _word) >> (2 * Bits));

    /// <summary>The number of waiters that nobody has claimed yet.</summary>
    public int Remaining
    {
        get
        {
            ulong word = Volatile.Read(ref _word);
            return (int)((word & Mask) - ((word >> Bits) & Mask));
        }
    }

    /// <summary>Puts a waiter into the batch that <see cref="Publish"/> will open. False if the batch is full.</summary>
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

    /// <summary>Opens the batch to the claimers. Returns the number of its waiters.</summary>
    public int Publish()
    {
        int count = _filled;
        if (count > 0) Volatile.Write(ref _word, (((_word >> (2 * Bits)) + 1) << (2 * Bits)) | (uint)count);
        return count;
    }

    /// <summary>
    /// Clears a batch that is claimed to the end, before the next is filled, so that it keeps no waiter alive.
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

            // The item may belong to another batch, or be cleared. Then the word has changed, and the exchange fails.
            waiter = Volatile.Read(ref Volatile.Read(ref _items)[head]);
            if (Interlocked.CompareExchange(ref _word, word + (1UL << Bits), word) == word)
            {
                return waiter is not null ? true : throw new InvalidOperationException("a claimed place of the batch is empty.");
            }
        }
    }
}
