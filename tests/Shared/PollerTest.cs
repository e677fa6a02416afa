using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Poller.Abstractions;

namespace Poller.Tests.Shared;

/// <summary>One initialised poller for each test, and the descriptors the test opens.</summary>
public abstract class PollerTest<TPoller> : IDisposable where TPoller : INetpoll
{
    protected const long Blocking = -1;
    protected const long Millisecond = 1_000_000;
    protected const long Second = 1000 * Millisecond;

    private readonly List<IDisposable> _owned = [];

    protected PollerTest(TPoller poller)
    {
        Poller = poller;
        Poller.Init();
    }

    protected TPoller Poller { get; }

    protected T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    private protected (Fd, Fd) Own((Fd, Fd) pair) => (Own(pair.Item1), Own(pair.Item2));

    private protected Fd OwnEventFd() => Own(Fd.EventFd());

    /// <summary>The two ends of a connection over the loopback.</summary>
    protected (Socket Near, Socket Far) TcpPair()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Socket near = Own(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        near.Connect(listener.LocalEndPoint!);
        return (near, Own(listener.Accept()));
    }

    /// <summary>Registers a descriptor and polls the readiness it starts with away.</summary>
    protected void OpenQuietly(nint fd, ulong token)
    {
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(token)));
        PollAll();
    }

    protected PollEvent[] Poll(long delay = 0, int room = 16)
    {
        PollEvent[] events = new PollEvent[room];
        return events[..Poller.Poll(events, delay)];
    }

    /// <summary>Polls without blocking until there is nothing more.</summary>
    protected virtual IReadOnlyList<PollEvent> PollAll(int room = 16)
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
    protected PollReadiness ReadinessOf(ulong token)
    {
        PollEvent found = Assert.Single(PollAll());
        Assert.Equal(new PollToken(token), found.Token);
        return found.Readiness;
    }

    /// <summary>Polls on another thread, and returns once that sleeps; the result is there after Join.</summary>
    private protected (Worker Thread, List<PollEvent> Events) StartPoll(long delay, int room = 16)
    {
        List<PollEvent> events = [];
        Worker thread = Worker.Start(() => events.AddRange(Poll(delay, room)));
        thread.AwaitSleep();
        return (thread, events);
    }

    protected static TimeSpan Time(Action action)
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
