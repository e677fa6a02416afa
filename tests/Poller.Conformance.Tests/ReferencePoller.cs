using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Conformance.Tests;

// The contract of INetpoll over poll(2), slow and obvious: one lock, one list made anew for each wait, a pipe for whatever has to end a
// wait. It is by level, as poll(2) is: an edge that comes and goes between two polls leaves no trace there.

internal sealed class ReferencePollerFactory : INetpollFactory
{
    public string Name => "reference";

    public bool IsSupported([NotNullWhen(false)] out string? reason)
    {
        reason = OperatingSystem.IsWindows() ? "it needs poll(2)" : null;
        return reason is null;
    }

    public INetpoll Create() => new ReferencePoller();
}

internal sealed unsafe partial class ReferencePoller : INetpoll
{
    private const short In = 1, Out = 4, Err = 8, Hup = 16, Invalid = 32;
    private const int PeerHup = 0x2000; // POLLRDHUP, Linux's own.

    private readonly Lock _lock = new();

    // Guarded by the lock.
    private readonly Dictionary<int, (PollToken Token, PollMode Armed)> _registered = [];
    private (Fd Read, Fd Write)? _wakeup;
    private bool _broken, _disposed;
    private int _inside;

    public string Name => "reference";

    public PollTrigger Trigger => PollTrigger.Level;

    public void Init()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_wakeup is not null) throw new InvalidOperationException("reference: Init was called before");
            _wakeup = Fd.Pipe();
        }
    }

    public Errno Open(nint fd, PollToken token)
    {
        if (token == PollToken.Wakeup) throw new ArgumentException($"{token} is the poller's own", nameof(token));
        lock (_lock)
        {
            CheckUsable();
            if (fd != (int)fd || fd < 0 || Ready((int)fd, In) == Invalid) return Errno.EBADF;
            if (IsRegularFile((int)fd)) return Errno.EPERM;
            return _registered.TryAdd((int)fd, (token, PollMode.None)) ? Errno.None : Errno.EEXIST;
        }
    }

    public Errno Close(nint fd)
    {
        lock (_lock)
        {
            CheckUsable();
            if (fd != (int)fd || !_registered.Remove((int)fd)) return Errno.ENOENT;
            WakeUp();
            return Errno.None;
        }
    }

    public Errno Arm(nint fd, PollMode mode)
    {
        lock (_lock)
        {
            CheckUsable();
            if (fd != (int)fd || !_registered.TryGetValue((int)fd, out (PollToken Token, PollMode Armed) entry)) return Errno.ENOENT;
            _registered[(int)fd] = entry with { Armed = entry.Armed | mode };
            WakeUp();
            return Errno.None;
        }
    }

    public void Break()
    {
        lock (_lock)
        {
            CheckUsable();
            _broken = true;
            WakeUp();
        }
    }

    public int Poll(Span<PollEvent> events, long delay)
    {
        if (events.IsEmpty) throw new ArgumentException("no room", nameof(events));
        lock (_lock)
        {
            CheckUsable();
            _inside++;
        }
        try
        {
            long start = Stopwatch.GetTimestamp();
            while (true)
            {
                double left = delay <= 0 ? delay : Math.Max(0, delay - Stopwatch.GetElapsedTime(start).TotalNanoseconds);
                PollFd[] set = Watched();
                bool interrupted = Wait(set, left < 0 ? -1 : (int)Math.Min(Math.Ceiling(left / 1_000_000), int.MaxValue)) < 0;
                lock (_lock)
                {
                    int written = Deliver(set, events);
                    if (written > 0 || delay == 0) return written;
                    if (_broken)
                    {
                        _broken = false;
                        return 0;
                    }
                }
                if (delay > 0 && (interrupted || Stopwatch.GetElapsedTime(start).TotalNanoseconds >= delay)) return 0;
            }
        }
        finally
        {
            lock (_lock)
            {
                _inside--;
                FreeWhenUnused();
            }
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            FreeWhenUnused();
        }
    }

    /// <summary>What is armed, behind the wake-up.</summary>
    private PollFd[] Watched()
    {
        lock (_lock)
        {
            // A pending Break is for a poll that blocks, and is seen without the pipe; what it says of changes is old by now.
            _wakeup!.Value.Read.Drain();
            if (_broken) WakeUp();
            return
            [
                new PollFd { Fd = _wakeup.Value.Read.Number, Events = In },
                .. _registered.Where(entry => entry.Value.Armed != PollMode.None)
                    .Select(entry => new PollFd { Fd = entry.Key, Events = Interest(entry.Value.Armed) }),
            ];
        }
    }

    private int Deliver(PollFd[] set, Span<PollEvent> events)
    {
        int written = 0;
        foreach (PollFd found in set.Skip(1))
        {
            // Another thread may have closed it meanwhile, and opened another one under its number: then this is not about that one.
            if (found.Revents == 0 || !_registered.TryGetValue(found.Fd, out (PollToken Token, PollMode Armed) entry)) continue;
            if (Ready(found.Fd, Interest(entry.Armed)) is not (> 0 and not Invalid and var revents)) continue;
            PollReadiness readiness = PollReadiness.None;
            if ((entry.Armed & PollMode.Read) != 0 && (revents & (In | Hup | Err | PeerHup)) != 0) readiness |= PollReadiness.Readable;
            if ((entry.Armed & PollMode.Write) != 0 && (revents & (Out | Hup | Err)) != 0) readiness |= PollReadiness.Writable;
            if (readiness == PollReadiness.None) continue;

            PollMode delivered = (PollMode)(int)readiness;
            if ((revents & (Hup | Err | PeerHup)) != 0) readiness |= PollReadiness.ReadHangup;
            _registered[found.Fd] = entry with { Armed = entry.Armed & ~delivered };
            events[written++] = new PollEvent(entry.Token, readiness);
            if (written == events.Length) break;
        }
        return written;
    }

    private static short Interest(PollMode mode) =>
        (short)(((mode & PollMode.Read) != 0 ? In | (OperatingSystem.IsLinux() ? PeerHup : 0) : 0)
        | ((mode & PollMode.Write) != 0 ? Out : 0));

    private static short Ready(int fd, short interest)
    {
        PollFd[] one = [new PollFd { Fd = fd, Events = interest }];
        while (Wait(one, 0) < 0) { }
        return one[0].Revents;
    }

    // Below zero where a signal came.
    private static int Wait(PollFd[] set, int milliseconds)
    {
        fixed (PollFd* first = set)
        {
            int result = poll(first, (nuint)set.Length, milliseconds);
            if (result >= 0) return result;
            Errno error = new(Marshal.GetLastPInvokeError());
            return error == Errno.EINTR ? -1 : throw new NetpollException("poll", error);
        }
    }

    // A file has a place to seek to, what can be polled has none.
    private static bool IsRegularFile(int fd) => lseek(fd, 0, 1) >= 0;

    private void WakeUp() => _wakeup!.Value.Write.Write();

    private void CheckUsable()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_wakeup is null) throw new InvalidOperationException("reference: Init was expected to be called first");
    }

    private void FreeWhenUnused()
    {
        if (!_disposed || _inside > 0 || _wakeup is not { } wakeup) return;
        wakeup.Read.Dispose();
        wakeup.Write.Dispose();
    }

    private struct PollFd
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(PollFd* set, nuint count, int milliseconds);

    [LibraryImport("libc")]
    private static partial long lseek(int fd, long offset, int whence);
}
