using Poller.Abstractions;

namespace Poller.Net;

// The twin of pollCache in Go's runtime/netpoll.go. The cache keeps every desc for ever, because an event may name a desc's slot long after
// its descriptor was closed.
//
// Somebody may watch a descriptor for its hang-up. Few programs do, so the watches stand here and cost a desc nothing:
//
//   none -> watch   WatchHangup, if it finds no flag of a hang-up or a close; else the watch runs at once
//   watch -> none   TakeHangupWatch: by the poll, after it has set the flag of the hang-up; by the stop of the loop, after it has set the
//                   flag of the close. Whoever takes the watch has the pool run it, so it runs once.
//   watch -> none   Free; nobody runs it
//
// The flags are set before the lock is taken, and looked for under it. So whichever of the two comes second sees the other.

/// <summary>The PollDescs of one loop. Safe from any thread.</summary>
internal sealed class PollCache
{
    // 512 B; the array doubles when it is full. The value is arbitrary within a wide range: with 32, 64 and 128, a loop of 10 descriptors
    // took 112, 137 and 188 B for each, and a loop of 100 took 91, 89 and 83 B. From 1,000 descriptors on there was no difference.
    private const int InitialSlots = 64;

    private readonly Lock _lock = new();

    // Guarded by the lock. When the array is full, a larger one replaces it; it never shrinks. So Find may read it without the lock.
    private PollDesc?[] _slots = new PollDesc?[InitialSlots];
    private uint _used;
    private readonly Stack<PollDesc> _free = new();

    // Guarded by the lock: by slot, what watches for a hang-up. Made with the first watch.
    private IThreadPoolWorkItem?[]? _watches;

    /// <summary>The number of open descs.</summary>
    public long OpenCount
    {
        get
        {
            using (_lock.Hold()) return _used - _free.Count;
        }
    }

    /// <summary>A desc for <paramref name="fd"/>: a recycled one if there is one, else a new one.</summary>
    public PollDesc Alloc(nint fd)
    {
        using (_lock.Hold())
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

    /// <summary>Takes a desc back, once its descriptor is out of the poller.</summary>
    public void Free(PollDesc desc)
    {
        using (_lock.Hold())
        {
            desc.Free();
            if (_watches is { } watches && desc.Slot < (uint)watches.Length) watches[desc.Slot] = null;
            _free.Push(desc);
        }
    }

    /// <summary>
    /// Does something with a desc, unless another open desc has its descriptor's number; then it returns false. Meanwhile the cache gives
    /// out no desc.
    /// </summary>
    public bool IfNumberIsUnique(PollDesc desc, Func<PollDesc, bool> action)
    {
        using (_lock.Hold())
        {
            for (uint slot = 0; slot < _used; slot++)
            {
                if (slot != desc.Slot && _slots[slot]!.Fd == desc.Fd) return false;
            }
            return action(desc);
        }
    }

    /// <summary>
    /// Has something run on the pool, once, when the first hang-up of a desc is reported or the loop stops. Returns it if that was so
    /// before: then the caller has the pool run it. A late event of an earlier life may have it run too early, so it must look at
    /// <see cref="PollDesc.HangupSeen"/>. The caller holds a reference to the descriptor.
    /// </summary>
    public IThreadPoolWorkItem? WatchHangup(PollDesc desc, IThreadPoolWorkItem watch)
    {
        using (_lock.Hold())
        {
            if (desc.HangupSeen || desc.IsClosing) return watch;
            if (_watches is null || _watches.Length < _slots.Length) Array.Resize(ref _watches, _slots.Length);
            _watches[desc.Slot] = watch;
            return null;
        }
    }

    /// <summary>Takes out what watches for the hang-up of a desc; null if nothing does.</summary>
    public IThreadPoolWorkItem? TakeHangupWatch(PollDesc desc)
    {
        using (_lock.Hold())
        {
            if (_watches is not { } watches || desc.Slot >= (uint)watches.Length) return null;
            IThreadPoolWorkItem? watch = watches[desc.Slot];
            watches[desc.Slot] = null;
            return watch;
        }
    }

    /// <summary>
    /// The desc that an event names; null if this cache never gave out that token. The event may belong to an earlier life of the desc.
    /// </summary>
    public PollDesc? Find(PollToken token)
    {
        // The reads pair with the writes in Alloc: the kernel reports a token only after Open, and Open comes after Alloc.
        PollDesc?[] slots = Volatile.Read(ref _slots);
        return token.Slot < (uint)slots.Length ? Volatile.Read(ref slots[token.Slot]) : null;
    }

    /// <summary>Every desc of the cache, open or free.</summary>
    public PollDesc[] Snapshot()
    {
        using (_lock.Hold()) return _slots.AsSpan(0, (int)_used).ToArray()!;
    }
}
