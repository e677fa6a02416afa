using System.Runtime.InteropServices;
using Poller.Abstractions;

namespace Poller.Benchmarks;

/// <summary>Wakes another thread. Any thread may ring; one waits. Pending rings coalesce: several end at most one wait.</summary>
internal abstract class Bell : IDisposable
{
    public abstract void Ring();

    public abstract void Wait();

    public abstract void Dispose();
}

/// <summary><see cref="INetpoll.Break"/> and a <see cref="INetpoll.Poll"/> that blocks.</summary>
internal sealed class NetpollBell : Bell
{
    private readonly INetpoll _poll;
    private readonly PollEvent[] _events = new PollEvent[8];

    public NetpollBell(INetpollFactory factory)
    {
        _poll = factory.Create();
        _poll.Init();
    }

    public override void Ring() => _poll.Break();

    public override void Wait()
    {
        int count = _poll.Poll(_events, -1);
        if (count != 0) throw new InvalidOperationException($"a poll of nothing found {count} events; a Break alone was expected.");
    }

    public override void Dispose() => _poll.Dispose();
}

/// <summary>The baseline, as in C: a write to an eventfd wakes an epoll_wait, and then the eventfd is read.</summary>
internal sealed unsafe class EventfdBell : Bell
{
    private const int EventSize = 16; // The longer of the two layouts of epoll_event.
    private const int Room = 8;

    private readonly int _epoll = LibC.Check("epoll_create1", LibC.epoll_create1(LibC.EPOLL_CLOEXEC));
    private readonly int _eventfd = LibC.Check("eventfd", LibC.eventfd(0, LibC.EFD_NONBLOCK | LibC.EFD_CLOEXEC));

    public EventfdBell()
    {
        byte* change = stackalloc byte[EventSize];
        *(uint*)change = LibC.EPOLLIN;
        LibC.Check("epoll_ctl", LibC.epoll_ctl(_epoll, LibC.EPOLL_CTL_ADD, _eventfd, change));
    }

    public override void Ring()
    {
        ulong one = 1;
        LibC.Check("write", LibC.write(_eventfd, &one, sizeof(ulong)), sizeof(ulong));
    }

    public override void Wait()
    {
        byte* events = stackalloc byte[Room * EventSize];
        int ready;
        do ready = LibC.epoll_wait(_epoll, events, Room, -1);
        while (ready < 0 && Marshal.GetLastPInvokeError() == LibC.EINTR);
        LibC.Check("epoll_wait", ready, atLeast: 1);

        ulong count;
        LibC.Check("read", LibC.read(_eventfd, &count, sizeof(ulong)), sizeof(ulong));
    }

    public override void Dispose()
    {
        LibC.Check("close", LibC.close(_eventfd));
        LibC.Check("close", LibC.close(_epoll));
    }
}
