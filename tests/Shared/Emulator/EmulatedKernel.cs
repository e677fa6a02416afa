using System.Buffers;
using System.Collections.Concurrent;
using Poller.Abstractions;
using Poller.Kqueue;

namespace Poller.Tests.Shared;

/// <summary>
/// A BSD kernel for a poller on Linux: kqueues over real descriptors. It speaks in the layout and the numbers of one platform,
/// and in the errors of the system that it runs on, as a kernel does.
/// </summary>
/// <remarks>
/// What it cannot do: tell a socket's error without taking it from the socket, as the BSDs do in fflags; so it says
/// <see cref="SomeError"/>. The data of an event is left at 0, which nobody reads.
/// </remarks>
internal sealed class EmulatedKernel(KqueuePlatform platform) : IKqueueApi
{
    /// <summary>The fflags of a socket that has an error: EIO.</summary>
    public const uint SomeError = 5;

    private readonly KqueueApi _linux = new(KqueuePlatform.Linux, 0, 0, 0);
    private readonly ConcurrentDictionary<int, EmulatedKqueue> _kqueues = new();
    private int _signals;
    private int _changeSignals;
    private int _triggers;

    public KqueuePlatform Platform => platform;

    /// <summary>False is a kernel from before EVFILT_USER.</summary>
    public bool HasUserFilter { get; init; } = true;

    /// <summary>Refuses a change with an errno, where it gives one.</summary>
    public Func<KEvent, Errno>? Refuse { get; set; }

    /// <summary>Has a change made and an errno answered all the same, where it gives one.</summary>
    public Func<KEvent, Errno>? Misreport { get; set; }

    /// <summary>What kqueue is refused with, unless none.</summary>
    public Errno KqueueError { get; set; }

    /// <summary>What pipe is refused with, unless none.</summary>
    public Errno PipeError { get; set; }

    /// <summary>What a wait is refused with, unless none.</summary>
    public Errno WaitError { get; set; }

    /// <summary>False is a kernel that does not know EV_RECEIPT.</summary>
    public bool HasReceipts { get; set; } = true;

    /// <summary>Makes an event that is about to be delivered another.</summary>
    public Func<KEvent, KEvent>? Alter { get; set; }

    /// <summary>Told of every call: its changes, and how many events there is room for.</summary>
    public Action<KEvent[], int>? Trace { get; set; }

    /// <summary>How often an EVFILT_USER was triggered or a pipe written.</summary>
    public int Triggers => Volatile.Read(ref _triggers);

    /// <summary>The next <paramref name="count"/> waits are interrupted by a signal.</summary>
    public void InterruptWaits(int count) => Volatile.Write(ref _signals, count);

    /// <summary>The next <paramref name="count"/> calls with changes are interrupted when these are made.</summary>
    public void InterruptChanges(int count) => Volatile.Write(ref _changeSignals, count);

    public int Kqueue()
    {
        if (KqueueError != Errno.None) return -KqueueError.Number;
        EmulatedKqueue kqueue = new(this);
        if (kqueue.Error != 0) return -kqueue.Error;
        _kqueues[kqueue.Number] = kqueue;
        return kqueue.Number;
    }

    public int Kevent(int kq, ReadOnlySpan<byte> changes, Span<byte> events, long timeout)
    {
        int size = platform.EventSize, count = changes.Length / size, room = events.Length / size;
        if (Trace is not null)
        {
            KEvent[] wanted = new KEvent[count];
            for (int i = 0; i < count; i++) wanted[i] = KEvents.Read(changes, i, platform.Layout);
            Trace(wanted, room);
        }
        if (!_kqueues.TryGetValue(kq, out EmulatedKqueue? kqueue)) return -Errno.EBADF.Number;

        int answered = 0;
        for (int i = 0; i < count; i++)
        {
            KEvent change = KEvents.Read(changes, i, platform.Layout);
            if ((change.Fflags & KqueuePlatform.NOTE_TRIGGER) != 0) Interlocked.Increment(ref _triggers);
            Errno errno = Refuse?.Invoke(change) ?? Errno.None;
            if (errno == Errno.None)
            {
                errno = kqueue.Apply(change);
                if (Misreport?.Invoke(change) is { } other && other != Errno.None) errno = other;
            }
            bool receipt = HasReceipts && (change.Flags & KqueuePlatform.EV_RECEIPT) != 0;
            if (errno == Errno.None && !receipt) continue;
            KEvent answer = change with { Flags = change.Flags | KqueuePlatform.EV_ERROR, Data = errno.Number };
            if (answered < room) KEvents.Write(events, answered++, platform.Layout, answer);
            else if (errno != Errno.None) return -errno.Number;
        }
        if (count > 0 && TakeSignal(ref _changeSignals)) return -Errno.EINTR.Number;
        if (answered > 0 || room == 0) return answered;

        if (WaitError != Errno.None) return -WaitError.Number;
        KEvent[] found = ArrayPool<KEvent>.Shared.Rent(room);
        int result = kqueue.Wait(found.AsSpan(0, room), timeout);
        for (int i = 0; i < result; i++) KEvents.Write(events, i, platform.Layout, Alter?.Invoke(found[i]) ?? found[i]);
        ArrayPool<KEvent>.Shared.Return(found);
        return result;
    }

    /// <summary>Whether a wait is to end with EINTR now.</summary>
    public bool TakeSignal() => TakeSignal(ref _signals);

    public int Mode(int fd, out uint mode) => _linux.Mode(fd, out mode);

    public int Pipe(out int read, out int write)
    {
        if (PipeError == Errno.None) return LinuxKernel.Pipe(out read, out write);
        read = write = -1;
        return -PipeError.Number;
    }

    public int Read(int fd, Span<byte> buffer) => LinuxKernel.Read(fd, buffer);

    public int Write(int fd, ReadOnlySpan<byte> buffer)
    {
        Interlocked.Increment(ref _triggers);
        return LinuxKernel.Write(fd, buffer);
    }

    public int Close(int fd) => _kqueues.TryRemove(fd, out EmulatedKqueue? kqueue) ? kqueue.Close() : LinuxKernel.Close(fd);

    private static bool TakeSignal(ref int signals)
    {
        while (true)
        {
            int count = Volatile.Read(ref signals);
            if (count == 0) return false;
            if (Interlocked.CompareExchange(ref signals, count - 1, count) == count) return true;
        }
    }
}
