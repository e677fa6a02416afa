using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>A backend that keeps the contract of INetpoll until a scenario has it fail. It checks that the loop keeps its part.</summary>
internal sealed class FakeNetpoll : INetpoll
{
    private readonly Dictionary<nint, PollToken> _registered = [];
    private readonly Queue<PollEvent> _events = [];
    private Exception? _failure;
    private bool _broken;
    private bool _polling;
    private long _until;
    private bool _disposed;

    public string Name => "fake";

    public PollTrigger Trigger => PollTrigger.Edge;

    public bool IsPolling => _polling;

    /// <summary>Whether a poll waits for a time that has not come, and for nothing that has.</summary>
    public bool WaitsForTime => _polling && _until != long.MaxValue && !Finds;

    public bool IsDisposed => _disposed;

    /// <summary>What Break throws; null while it works.</summary>
    public Exception? BreakFailure { get; set; }

    private bool Finds => _events.Count > 0 || _broken || _failure is not null || TimeProvider.System.Peek() >= _until;

    public void Init() { }

    public Errno Open(nint fd, PollToken token)
    {
        Enter("Open", fd);
        Invariant.Holds(_registered.TryAdd(fd, token), $"fd {fd} was opened twice.");
        return Errno.None;
    }

    public Errno Close(nint fd)
    {
        Enter("Close", fd);
        Invariant.Holds(_registered.Remove(fd), $"fd {fd} was closed, and is not open.");
        return Errno.None;
    }

    public Errno Arm(nint fd, PollMode mode) => throw new InvariantException("Arm was called on an edge-triggered backend.");

    /// <summary>Whether close(2) of the descriptor would come too early.</summary>
    public bool IsRegistered(nint fd) => !_disposed && _registered.ContainsKey(fd);

    /// <summary>Adds readiness, which the next poll finds.</summary>
    public void Deliver(PollEvent found)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Deliver", $"{found}", "", 0));
        _events.Enqueue(found);
        self?.Fence();
    }

    /// <summary>Adds readiness of a descriptor, if it is registered.</summary>
    public void Deliver(nint fd, PollReadiness readiness)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Deliver", $"{readiness} of fd {fd}", "", 0));
        if (_registered.TryGetValue(fd, out PollToken token)) _events.Enqueue(new PollEvent(token, readiness));
        self?.Fence();
    }

    /// <summary>From now on each poll throws, also one that is under way.</summary>
    public void Fail(Exception failure)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Fail", "the backend", "", 0));
        _failure = failure;
        self?.Fence();
    }

    public int Poll(Span<PollEvent> events, long delay)
    {
        Invariant.Holds(!_polling, "two threads poll at once.");
        Invariant.Holds(!_disposed, "a poll came after Dispose.");
        _polling = true;
        _until = delay < 0 ? long.MaxValue : TimeProvider.System.Peek() + delay;
        ControlledThread.WaitUntil(() => Finds, new Site("Poll", $"for {delay} ns", "", 0));
        _polling = false;
        if (_failure is not null) throw _failure;
        if (delay != 0) _broken = false;
        int count = 0;
        while (count < events.Length && _events.TryDequeue(out PollEvent found)) events[count++] = found;
        return count;
    }

    public void Break()
    {
        ControlledThread? self = ControlledThread.Step(new Site("Break", "", "", 0));
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (BreakFailure is not null) throw BreakFailure;
        _broken = true;
        self?.Fence();
    }

    public void Dispose()
    {
        Invariant.Holds(!_polling, "Dispose came while a thread polls.");
        Invariant.Holds(!_disposed, "Dispose came twice.");
        _disposed = true;
    }

    private void Enter(string operation, nint fd)
    {
        ControlledThread.Step(new Site(operation, $"fd {fd}", "", 0))?.Fence();
        ObjectDisposedException.ThrowIf(_disposed, this);
    }
}
