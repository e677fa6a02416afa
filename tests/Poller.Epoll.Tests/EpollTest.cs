using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Epoll.Tests;

/// <summary>One initialised poller for each test, and the descriptors the test opens.</summary>
public abstract class EpollTest : IDisposable
{
    protected const long Blocking = -1;
    protected const long Millisecond = 1_000_000;
    protected const long Second = 1000 * Millisecond;

    private readonly List<IDisposable> _owned = [];

    private protected EpollTest() => Poller.Init();

    private protected EpollNetpoll Poller { get; } = new();

    private protected T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    private protected (Fd, Fd) Own((Fd, Fd) pair) => (Own(pair.Item1), Own(pair.Item2));

    private protected Fd OwnEventFd() => Own(Fd.EventFd());

    /// <summary>Registers a descriptor and polls the readiness it starts with away.</summary>
    private protected void OpenQuietly(nint fd, ulong token)
    {
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(token)));
        PollAll();
    }

    private protected PollEvent[] Poll(long delay = 0, int room = 16)
    {
        PollEvent[] events = new PollEvent[room];
        return events[..Poller.Poll(events, delay)];
    }

    /// <summary>Polls without blocking until there is nothing more.</summary>
    private protected List<PollEvent> PollAll(int room = 16)
    {
        List<PollEvent> all = [];
        while (Poll(0, room) is { Length: > 0 } some) all.AddRange(some);
        return all;
    }

    /// <summary>What is ready of one token right now, where nothing else is.</summary>
    private protected PollReadiness ReadinessOf(ulong token)
    {
        PollEvent found = Assert.Single(PollAll());
        Assert.Equal(new PollToken(token), found.Token);
        return found.Readiness;
    }

    /// <summary>Blocks on another thread; the result is there after Join.</summary>
    private protected (Worker Thread, List<PollEvent> Events) StartPoll(long delay, int room = 16)
    {
        List<PollEvent> events = [];
        Worker thread = Worker.Start(() => events.AddRange(Poll(delay, room)));
        thread.AwaitSleep();
        return (thread, events);
    }

    private protected static TimeSpan Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start);
    }

    public void Dispose()
    {
        Poller.Dispose();
        foreach (IDisposable resource in _owned) resource.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>
/// For tests that count the process's descriptors, want nearly all of them or certain numbers: nothing else runs meanwhile.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class ProcessWide
{
    public const string Name = "process-wide";
}
