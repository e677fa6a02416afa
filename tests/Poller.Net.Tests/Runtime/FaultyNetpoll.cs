using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Poller.Abstractions;

namespace Poller.Net.Tests;

/// <summary>A backend over epoll whose verbs throw when a test says so.</summary>
internal sealed class FaultyNetpollFactory : INetpollFactory
{
    public string Name => EpollBackend.Factory.Name;

    /// <summary>In the order of the loops.</summary>
    public ConcurrentQueue<FaultyNetpoll> Made { get; } = new();

    /// <summary>What the backends throw.</summary>
    public Exception Fault { get; } = new InvalidDataException("a fault of the backend");

    /// <summary>What their Init throws; null for nothing.</summary>
    public NetpollException? InitFault { get; set; }

    public bool IsSupported([NotNullWhen(false)] out string? reason) => EpollBackend.Factory.IsSupported(out reason);

    public INetpoll Create()
    {
        FaultyNetpoll made = new(EpollBackend.Factory.Create(), this);
        Made.Enqueue(made);
        return made;
    }
}

/// <summary>See <see cref="FaultyNetpollFactory"/>.</summary>
internal sealed class FaultyNetpoll(INetpoll inner, FaultyNetpollFactory factory) : INetpoll
{
    private const PollReadiness ErrorAlone =
        PollReadiness.Readable | PollReadiness.Writable | PollReadiness.ReadHangup | PollReadiness.Error;

    private volatile bool _disposed;

    public volatile bool FailsPoll;
    public volatile bool FailsOpen;
    public volatile bool FailsClose;
    public volatile bool FailsArm;
    public volatile bool FailsBreak;

    /// <summary>Whether an event of a hang-up says that the descriptor has an error and nothing else.</summary>
    public volatile bool HidesHangups;

    /// <summary>Runs in an open, before the descriptor is registered.</summary>
    public volatile Action? Opening;

    public bool IsDisposed => _disposed;

    public INetpoll Inner => inner;

    public string Name => inner.Name;

    // An edge-triggered backend is never armed.
    public PollTrigger Trigger => FailsArm ? PollTrigger.Level : inner.Trigger;

    public void Init()
    {
        if (factory.InitFault is { } fault) throw fault;
        inner.Init();
    }

    public Errno Open(nint fd, PollToken token)
    {
        Opening?.Invoke();
        return FailsOpen ? throw factory.Fault : inner.Open(fd, token);
    }

    public Errno Close(nint fd) => FailsClose ? throw factory.Fault : inner.Close(fd);

    public Errno Arm(nint fd, PollMode mode) => FailsArm ? throw factory.Fault : inner.Arm(fd, mode);

    public int Poll(Span<PollEvent> events, long delay)
    {
        int count = inner.Poll(events, delay);
        if (HidesHangups)
        {
            foreach (ref PollEvent found in events[..count])
            {
                if ((found.Readiness & PollReadiness.ReadHangup) != 0) found = found with { Readiness = ErrorAlone };
            }
        }
        return FailsPoll ? throw factory.Fault : count;
    }

    public void Break()
    {
        if (FailsBreak) throw factory.Fault;
        inner.Break();
    }

    public void Dispose()
    {
        inner.Dispose();
        _disposed = true;
    }
}
