using System.Buffers;
using System.Diagnostics;
using Poller.Abstractions;
using Poller.Kqueue;
using static Poller.Kqueue.KqueuePlatform;

namespace Poller.Tests.Shared;

/// <summary>
/// One kqueue. A knote of a descriptor is a registration in one of three epolls, one a filter, so that each filter has its own edges. With
/// EV_CLEAR that is EPOLLET, which has the same meaning: reported once, and again with the next change; what finds no room stays queued.
/// </summary>
internal sealed class EmulatedKqueue
{
    private const int Sources = 4;

    private readonly EmulatedKernel _kernel;
    private readonly KqueuePlatform _platform;
    private readonly int _read;
    private readonly int _write;
    private readonly int _except;
    private readonly int _wakeup;
    private readonly Lock _lock = new();

    // Guarded by the lock. Active are the knotes that no epoll reports: triggered EVFILT_USERs, and files. The wake-up is readable while
    // there are any.
    private readonly Dictionary<(nuint Ident, int Filter), Knote> _knotes = [];
    private readonly Dictionary<ulong, Knote> _byId = [];
    private readonly Queue<Knote> _active = [];
    private ulong _lastId;
    private int _turn;

    private sealed class Knote(ulong id, nuint ident, int filter, uint flags)
    {
        public ulong Id => id;
        public nuint Ident => ident;
        public int Filter => filter;
        public uint Flags => flags;
        public ulong Udata { get; set; }
        public bool IsSocket { get; init; }
        public bool IsActive { get; set; }
        public bool IsDeleted { get; set; }
    }

    public EmulatedKqueue(EmulatedKernel kernel)
    {
        (_kernel, _platform) = (kernel, kernel.Platform);
        (_read, _write, _except, _wakeup) = (LinuxKernel.Epoll(), LinuxKernel.Epoll(), LinuxKernel.Epoll(), LinuxKernel.Eventfd());
        Error = -new[] { 0, _read, _write, _except, _wakeup }.Min();
        if (Error != 0) Close();
    }

    /// <summary>Why there is none, or 0.</summary>
    public int Error { get; }

    public int Number => _read;

    public int Close()
    {
        foreach (int fd in (int[])[_write, _except, _wakeup, _read])
        {
            if (fd >= 0) LinuxKernel.Close(fd);
        }
        return 0;
    }

    /// <summary>Makes one change.</summary>
    public Errno Apply(in KEvent change)
    {
        lock (_lock)
        {
            if (change.Filter == _platform.EVFILT_USER && _kernel.HasUserFilter) return ApplyToUser(change);
            if (EpollOf(change.Filter) is null) return Errno.EINVAL;
            return change.Ident > int.MaxValue ? Errno.EBADF : ApplyToDescriptor(change);
        }
    }

    /// <summary>Waits for events. Their number, or the errno below zero.</summary>
    public int Wait(Span<KEvent> events, long timeout)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            if (_kernel.TakeSignal()) return -Errno.EINTR.Number;
            int count = Collect(events);
            if (count > 0 || timeout == 0) return count;

            long left = timeout < 0 ? -1 : Math.Max(0, timeout - (long)Stopwatch.GetElapsedTime(start).TotalNanoseconds);
            int ready = LinuxKernel.Await([_read, _write, _except, _wakeup], left);
            if (ready <= 0) return ready;
        }
    }

    private Errno ApplyToUser(in KEvent change)
    {
        (nuint, int) key = (change.Ident, change.Filter);
        if (!_knotes.TryGetValue(key, out Knote? knote))
        {
            if ((change.Flags & EV_ADD) == 0) return Errno.ENOENT;
            _knotes[key] = knote = new Knote(++_lastId, change.Ident, change.Filter, change.Flags);
        }
        if ((change.Flags & EV_DELETE) != 0)
        {
            Remove(knote);
            return Errno.None;
        }
        knote.Udata = change.Udata;
        if ((change.Fflags & NOTE_TRIGGER) != 0) Activate(knote);
        return Errno.None;
    }

    private Errno ApplyToDescriptor(in KEvent change)
    {
        int fd = (int)change.Ident, result;
        (nuint, int) key = (change.Ident, change.Filter);
        _knotes.TryGetValue(key, out Knote? knote);
        if ((change.Flags & EV_ADD) != 0)
        {
            ulong id = ++_lastId;
            result = _kernel.Mode(fd, out uint mode);
            if (result < 0) return new Errno(-result);
            bool isSocket = (mode & S_IFMT) == 0xc000;
            if (change.Filter == _platform.EVFILT_EXCEPT && (!isSocket || change.Fflags != _platform.NOTE_OOB)) return Errno.EINVAL;
            Knote added = new(id, change.Ident, change.Filter, change.Flags) { Udata = change.Udata, IsSocket = isSocket };
            result = LinuxKernel.Control(EpollOf(added), LinuxKernel.Add, fd, MaskOf(added), id);
            if (result == -Errno.EEXIST.Number)
            {
                if (knote is not null) return Modify(knote, change.Udata);

                // It was closed, and came back under its number.
                result = LinuxKernel.Control(EpollOf(added), LinuxKernel.Modify, fd, MaskOf(added), id);
            }
            if (result < 0 && result != -Errno.EPERM.Number) return new Errno(-result);

            // Where there was one, its descriptor has been closed since. A file (EPERM) is always ready.
            if (knote is not null) Remove(knote);
            _knotes[key] = _byId[id] = added;
            if (result == -Errno.EPERM.Number) Activate(added);
            return Errno.None;
        }

        if (knote is null) return _kernel.Mode(fd, out _) < 0 ? Errno.EBADF : Errno.ENOENT;
        if ((change.Flags & EV_DELETE) != 0)
        {
            Remove(knote);
            result = LinuxKernel.Control(EpollOf(knote), LinuxKernel.Delete, fd, 0, 0);
            return result == -Errno.EPERM.Number ? Errno.None : new Errno(-result);
        }
        if (IsAlive(knote)) return Modify(knote, change.Udata);
        Remove(knote);
        return _kernel.Mode(fd, out _) < 0 ? Errno.EBADF : Errno.ENOENT;
    }

    // FreeBSD takes the udata of every change, and looks anew whether the filter is ready.
    private Errno Modify(Knote knote, ulong udata)
    {
        knote.Udata = udata;
        return new Errno(-LinuxKernel.Control(EpollOf(knote), LinuxKernel.Modify, (int)knote.Ident, MaskOf(knote), knote.Id));
    }

    private void Activate(Knote knote)
    {
        if (knote.IsActive) return;
        knote.IsActive = true;
        _active.Enqueue(knote);
        LinuxKernel.Write(_wakeup, BitConverter.GetBytes(1UL));
    }

    private void Remove(Knote knote)
    {
        knote.IsDeleted = true;
        _byId.Remove(knote.Id);
        _knotes.Remove((knote.Ident, knote.Filter));
    }

    // The sources take turns, as a kernel's one queue would have them.
    private int Collect(Span<KEvent> events)
    {
        lock (_lock)
        {
            int count = 0;
            int first = _turn = (_turn + 1) % Sources;
            for (int i = 0; i < Sources && count < events.Length; i++)
            {
                Span<KEvent> room = events[count..];
                count += ((first + i) % Sources) switch
                {
                    0 => CollectActive(room),
                    1 => CollectFrom(_read, room),
                    2 => CollectFrom(_write, room),
                    _ => CollectFrom(_except, room),
                };
            }
            return count;
        }
    }

    private int CollectActive(Span<KEvent> events)
    {
        int count = 0;
        while (count < events.Length && _active.TryDequeue(out Knote? knote))
        {
            knote.IsActive = false;
            if (!knote.IsDeleted) events[count++] = new KEvent(knote.Ident, knote.Filter, EV_CLEAR, 0, 0, knote.Udata);
        }
        if (_active.Count == 0) LinuxKernel.Read(_wakeup, stackalloc byte[sizeof(ulong)]);
        return count;
    }

    private int CollectFrom(int epoll, Span<KEvent> events)
    {
        (uint Mask, ulong Id)[] found = ArrayPool<(uint, ulong)>.Shared.Rent(events.Length);
        int ready = LinuxKernel.Take(epoll, found.AsSpan(0, events.Length)), count = 0;
        for (int i = 0; i < ready; i++)
        {
            // A descriptor that was closed while a duplicate lives haunts an epoll; a kqueue has forgotten it.
            if (!_byId.TryGetValue(found[i].Id, out Knote? knote)) continue;
            if (!IsAlive(knote)) Remove(knote);
            else if (epoll != _except || (found[i].Mask & LinuxKernel.Urgent) != 0) events[count++] = Describe(knote, found[i].Mask);
        }
        ArrayPool<(uint, ulong)>.Shared.Return(found);
        return count;
    }

    private static KEvent Describe(Knote knote, uint mask)
    {
        bool end = (mask & (LinuxKernel.HangUp | LinuxKernel.ReadHangUp)) != 0 || !knote.IsSocket && (mask & LinuxKernel.Error) != 0;
        uint error = knote.IsSocket && end && (mask & LinuxKernel.Error) != 0 ? EmulatedKernel.SomeError : 0;
        return new KEvent(knote.Ident, knote.Filter, knote.Flags & EV_CLEAR | (end ? EV_EOF : 0), error, 0, knote.Udata);
    }

    // Whether the number still means the file it was added for: then the epoll has the pair of both. Adding it asks, and changes nothing.
    private bool IsAlive(Knote knote)
    {
        int epoll = EpollOf(knote), fd = (int)knote.Ident;
        int result = LinuxKernel.Control(epoll, LinuxKernel.Add, fd, 0, 0);
        if (result == 0) LinuxKernel.Control(epoll, LinuxKernel.Delete, fd, 0, 0);
        return result == -Errno.EEXIST.Number;
    }

    private int? EpollOf(int filter) =>
        filter == _platform.EVFILT_READ ? _read
        : filter == _platform.EVFILT_WRITE ? _write
        : filter == _platform.EVFILT_EXCEPT ? _except
        : null;

    private int EpollOf(Knote knote) => EpollOf(knote.Filter)!.Value;

    private uint MaskOf(Knote knote) =>
        (knote.Filter == _platform.EVFILT_READ ? LinuxKernel.In | LinuxKernel.ReadHangUp
            : knote.Filter == _platform.EVFILT_WRITE ? LinuxKernel.Out
            : LinuxKernel.Urgent)
        | ((knote.Flags & EV_CLEAR) != 0 ? LinuxKernel.EdgeTriggered : 0);
}
