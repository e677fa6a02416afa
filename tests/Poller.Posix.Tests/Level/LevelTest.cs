using System.Diagnostics;
using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Level.Tests;

/// <summary>One initialised level-triggered poller for each test, and the descriptors the test opens.</summary>
public abstract unsafe partial class LevelTest : IDisposable
{
    protected const long Blocking = -1;
    protected const long Millisecond = 1_000_000;
    protected const long Second = 1000 * Millisecond;

    private readonly List<IDisposable> _owned = [];

    private protected LevelTest() => Poller.Init();

    private protected INetpoll Poller { get; } = LevelBackend.Factory.Create();

    private protected T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    private protected (Fd, Fd) Own((Fd, Fd) pair) => (Own(pair.Item1), Own(pair.Item2));

    /// <summary>A pair of Unix sockets, the first of which is in the poller under a token.</summary>
    private protected (Fd Near, Fd Far) OpenPair(ulong token)
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        Open(near, token);
        return (near, far);
    }

    private protected void Open(nint fd, ulong token) => Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(token)));

    private protected void Arm(nint fd, PollMode mode) => Assert.Equal(Errno.None, Poller.Arm(fd, mode));

    private protected void Close(nint fd) => Assert.Equal(Errno.None, Poller.Close(fd));

    private protected PollEvent[] Poll(long delay = 0, int room = 16)
    {
        PollEvent[] events = new PollEvent[room];
        return events[..Poller.Poll(events, delay)];
    }

    /// <summary>Polls without blocking until there is nothing more.</summary>
    private protected List<PollEvent> PollAll(int room = 16)
    {
        List<PollEvent> all = [];
        while (Poll(0, room) is { Length: > 0 } some)
        {
            all.AddRange(some);
            Assert.True(all.Count < 100_000, $"polls that do not block go on reporting: {string.Join(" ", some)}");
        }
        return all;
    }

    /// <summary>What is reported of one token right now, where nothing else is.</summary>
    private protected PollReadiness ReadinessOf(ulong token)
    {
        PollEvent found = Assert.Single(PollAll());
        Assert.Equal(new PollToken(token), found.Token);
        return found.Readiness;
    }

    /// <summary>Polls on another thread; the result is there after Join.</summary>
    private protected (Worker Thread, List<PollEvent> Events) StartPoll(long delay, int room = 16)
    {
        List<PollEvent> events = [];
        Worker thread = Worker.Start(() => events.AddRange(Poll(delay, room)));
        thread.AwaitSleep();
        return (thread, events);
    }

    /// <summary>Holds that a poll finds nothing and sleeps its time out: neither an event nor a return before it is due.</summary>
    private protected void AssertQuiet()
    {
        const long Delay = 20 * Millisecond;
        Worker.RunUninterrupted(() => Assert.InRange(Time(() => Assert.Empty(Poll(Delay))).TotalNanoseconds, Delay, double.MaxValue));
    }

    private protected static TimeSpan Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start);
    }

    /// <summary>Which directions the system itself calls ready: what the poller is held to.</summary>
    private protected static PollMode Ready(int fd)
    {
        const short In = 1, Out = 4, Both = 8 | 16;
        Pollfd one = new() { Fd = fd, Events = In | Out };
        int result;
        do result = poll(&one, 1, 0);
        while (result < 0 && Marshal.GetLastPInvokeError() == Errno.EINTR.Number);
        Assert.True(result >= 0, $"poll: {Marshal.GetLastPInvokeErrorMessage()}");
        return ((one.Revents & (In | Both)) != 0 ? PollMode.Read : 0) | ((one.Revents & (Out | Both)) != 0 ? PollMode.Write : 0);
    }

    private protected static PollMode ModeOf(PollReadiness readiness) =>
        (readiness.HasFlag(PollReadiness.Readable) ? PollMode.Read : 0) | (readiness.HasFlag(PollReadiness.Writable) ? PollMode.Write : 0);

    public void Dispose()
    {
        Poller.Dispose();
        foreach (IDisposable resource in _owned) resource.Dispose();
        GC.SuppressFinalize(this);
    }

    private struct Pollfd
    {
        public int Fd;
        public short Events;
        public short Revents;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(Pollfd* fds, nuint count, int timeout);
}
