using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;

namespace Poller.Tests.Shared;

// Backends that are right but for one thing, to see the kit fail. Each stands between the kit and a backend that is right in all.

/// <summary>Makes one kind of faulty poller over another factory's.</summary>
internal sealed class FaultyFactory(INetpollFactory inner, Func<INetpoll, FaultyFactory, FaultyPoller> make) : INetpollFactory
{
    private long _events;

    public string Name => inner.Name;

    public bool IsSupported([NotNullWhen(false)] out string? reason) => inner.IsSupported(out reason);

    public INetpoll Create() => make(inner.Create(), this);

    /// <summary>The number of the next event of all the factory's pollers.</summary>
    public long NextEvent() => Interlocked.Increment(ref _events);
}

/// <summary>No fault yet.</summary>
internal abstract class FaultyPoller(INetpoll inner) : INetpoll
{
    private readonly ConcurrentDictionary<nint, PollToken> _tokens = new();

    protected INetpoll Inner => inner;
    public string Name => inner.Name;
    public PollTrigger Trigger => inner.Trigger;
    public void Init() => inner.Init();

    public virtual Errno Open(nint fd, PollToken token)
    {
        Errno error = inner.Open(fd, token);
        if (error == Errno.None) _tokens[fd] = token;
        return error;
    }

    public virtual Errno Close(nint fd) => inner.Close(fd);
    public virtual Errno Arm(nint fd, PollMode mode) => inner.Arm(fd, mode);
    public virtual int Poll(Span<PollEvent> events, long delay) => inner.Poll(events, delay);
    public virtual void Break() => inner.Break();
    public void Dispose() => inner.Dispose();

    /// <summary>What the descriptor was opened under last.</summary>
    protected PollToken TokenOf(nint fd) => _tokens[fd];
}

/// <summary>Takes one event in a thousand for itself.</summary>
internal sealed class DropsOneInAThousand(INetpoll inner, FaultyFactory factory) : FaultyPoller(inner)
{
    public override int Poll(Span<PollEvent> events, long delay)
    {
        int count = Inner.Poll(events, delay), kept = 0;
        for (int i = 0; i < count; i++)
        {
            if (factory.NextEvent() % 1000 != 0) events[kept++] = events[i];
        }
        return kept;
    }
}

/// <summary>Forgets what a poll has no room for.</summary>
internal sealed class DropsWhatFindsNoRoom(INetpoll inner) : FaultyPoller(inner)
{
    public override int Poll(Span<PollEvent> events, long delay)
    {
        PollEvent[] all = new PollEvent[64];
        int count = Math.Min(Inner.Poll(all, delay), events.Length);
        all.AsSpan(0, count).CopyTo(events);
        return count;
    }
}

/// <summary>Reports the latest token once more after it was closed.</summary>
internal sealed class DeliversAStaleToken(INetpoll inner) : FaultyPoller(inner)
{
    private PollToken? _stale;

    public override Errno Close(nint fd)
    {
        Errno error = base.Close(fd);
        if (error == Errno.None) _stale = TokenOf(fd);
        return error;
    }

    public override int Poll(Span<PollEvent> events, long delay)
    {
        if (_stale is not { } stale) return Inner.Poll(events, delay);
        _stale = null;
        events[0] = new PollEvent(stale, PollReadiness.Readable);
        return 1;
    }
}

/// <summary>Breaks nothing.</summary>
internal sealed class IgnoresBreak(INetpoll inner) : FaultyPoller(inner)
{
    public override void Break() { }
}

/// <summary>Lets a poll that does not block answer a Break.</summary>
internal sealed class WastesABreak(INetpoll inner) : FaultyPoller(inner)
{
    public override int Poll(Span<PollEvent> events, long delay)
    {
        if (delay != 0) return Inner.Poll(events, delay);
        int count = Inner.Poll(events, 1);
        return count > 0 ? count : Inner.Poll(events, 0);
    }
}

/// <summary>Breaks twice for each Break.</summary>
internal sealed class BreaksTwice(INetpoll inner) : FaultyPoller(inner)
{
    private bool _again;

    public override int Poll(Span<PollEvent> events, long delay)
    {
        int count = Inner.Poll(events, delay);
        if (delay != 0 && count == 0 && _again)
        {
            _again = false;
            Inner.Break();
        }
        return count;
    }

    public override void Break()
    {
        _again = true;
        Inner.Break();
    }
}

/// <summary>Returns after nine tenths of the time.</summary>
internal sealed class ReturnsEarly(INetpoll inner) : FaultyPoller(inner)
{
    public override int Poll(Span<PollEvent> events, long delay) => Inner.Poll(events, delay > 1000 ? delay / 10 * 9 : delay);
}

/// <summary>Takes every time-out for none.</summary>
internal sealed class NeverReturns(INetpoll inner) : FaultyPoller(inner)
{
    public override int Poll(Span<PollEvent> events, long delay) => Inner.Poll(events, delay == 0 ? 0 : -1);
}

/// <summary>Keeps the peer's end to itself, and says that there is something to read.</summary>
internal sealed class HidesTheHangup(INetpoll inner) : FaultyPoller(inner)
{
    public override int Poll(Span<PollEvent> events, long delay)
    {
        int count = Inner.Poll(events, delay);
        foreach (ref PollEvent e in events[..count]) e = e with { Readiness = e.Readiness & ~PollReadiness.ReadHangup };
        return count;
    }
}

/// <summary>Reports by level what it should report on edges: the latest event again and again.</summary>
internal sealed class RepeatsItself(INetpoll inner) : FaultyPoller(inner)
{
    private PollEvent? _latest;

    public override Errno Close(nint fd)
    {
        if (_latest is { } latest && latest.Token == TokenOf(fd)) _latest = null;
        return base.Close(fd);
    }

    public override int Poll(Span<PollEvent> events, long delay)
    {
        int count = Inner.Poll(events, delay);
        if (count > 0) _latest = events[0];
        else if (delay == 0 && _latest is { } latest) events[count++] = latest;
        return count;
    }
}

/// <summary>Answers Open of a registered descriptor with success, and takes its new token.</summary>
internal sealed class OpensTwice(INetpoll inner) : FaultyPoller(inner)
{
    public override Errno Open(nint fd, PollToken token)
    {
        Errno error = Inner.Open(fd, token);
        return error == Errno.EEXIST ? Errno.None : error;
    }
}

/// <summary>Arms both directions where one is asked for.</summary>
internal sealed class ArmsBoth(INetpoll inner) : FaultyPoller(inner)
{
    public override Errno Arm(nint fd, PollMode mode) => Inner.Arm(fd, PollMode.ReadWrite);
}

/// <summary>Reports what was armed as if it were ready.</summary>
internal sealed class ReportsWhatIsNotReady(INetpoll inner) : FaultyPoller(inner)
{
    private PollEvent? _armed;

    public override Errno Close(nint fd)
    {
        if (_armed is { } armed && armed.Token == TokenOf(fd)) _armed = null;
        return base.Close(fd);
    }

    public override Errno Arm(nint fd, PollMode mode)
    {
        Errno error = Inner.Arm(fd, mode);
        if (error == Errno.None) _armed = new PollEvent(TokenOf(fd), (PollReadiness)(int)mode);
        return error;
    }

    public override int Poll(Span<PollEvent> events, long delay)
    {
        int count = Inner.Poll(events, delay);
        foreach (PollEvent e in events[..count])
        {
            if (e.Token == _armed?.Token) _armed = null;
        }
        if (count > 0 || delay != 0 || _armed is not { } armed) return count;
        events[0] = armed;
        return 1;
    }
}

/// <summary>Throws from a poll that finds more than one event.</summary>
internal sealed class Throws(INetpoll inner) : FaultyPoller(inner)
{
    public override int Poll(Span<PollEvent> events, long delay)
    {
        int count = Inner.Poll(events, delay);
        return count < 2 ? count : throw new NetpollException("poll", Errno.ENOMEM);
    }
}

/// <summary>Counts one event too many.</summary>
internal sealed class CountsWrong(INetpoll inner) : FaultyPoller(inner)
{
    public override int Poll(Span<PollEvent> events, long delay)
    {
        int count = Inner.Poll(events, delay);
        return count == events.Length ? count + 1 : count;
    }
}

/// <summary>Reports of each token once that it is writable, and no more.</summary>
internal sealed class ReportsRoomOnce(INetpoll inner) : FaultyPoller(inner)
{
    private readonly HashSet<PollToken> _reported = [];

    public override int Poll(Span<PollEvent> events, long delay)
    {
        int count = Inner.Poll(events, delay), kept = 0;
        foreach (PollEvent e in events[..count])
        {
            bool isNews = (e.Readiness & PollReadiness.Writable) != 0 && _reported.Add(e.Token);
            PollReadiness left = isNews ? e.Readiness : e.Readiness & ~PollReadiness.Writable;
            if (left != PollReadiness.None) events[kept++] = e with { Readiness = left };
        }
        return kept;
    }
}
