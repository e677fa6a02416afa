using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>A backend that keeps the contract of INetpoll, and checks that the loop keeps its part.</summary>
internal sealed class FakeNetpoll : INetpoll
{
    private readonly Queue<PollEvent> _events = [];
    private bool _broken;
    private bool _polling;
    private bool _disposed;

    public string Name => "fake";

    public PollTrigger Trigger => PollTrigger.Edge;

    public bool IsPolling => _polling;

    public bool IsDisposed => _disposed;

    public void Init() { }

    public Errno Open(nint fd, PollToken token) => Errno.None;

    public Errno Close(nint fd) => Errno.None;

    public Errno Arm(nint fd, PollMode mode) => throw new InvariantException("Arm was called on an edge-triggered backend.");

    /// <summary>Adds readiness, which the next poll finds.</summary>
    public void Deliver(PollEvent found)
    {
        ControlledThread? self = ControlledThread.Step(new Site("Deliver", $"{found}", "", 0));
        _events.Enqueue(found);
        self?.Fence();
    }

    public int Poll(Span<PollEvent> events, long delay)
    {
        Invariant.Holds(!_polling, "two threads poll at once.");
        Invariant.Holds(!_disposed, "a poll came after Dispose.");
        _polling = true;
        long until = delay < 0 ? long.MaxValue : TimeProvider.System.Peek() + delay;
        ControlledThread.WaitUntil(
            () => _events.Count > 0 || _broken || TimeProvider.System.Peek() >= until, new Site("Poll", $"for {delay} ns", "", 0));
        if (delay != 0) _broken = false;
        int count = 0;
        while (count < events.Length && _events.TryDequeue(out PollEvent found)) events[count++] = found;
        _polling = false;
        return count;
    }

    public void Break()
    {
        ControlledThread? self = ControlledThread.Step(new Site("Break", "", "", 0));
        ObjectDisposedException.ThrowIf(_disposed, this);
        _broken = true;
        self?.Fence();
    }

    public void Dispose()
    {
        Invariant.Holds(!_polling, "Dispose came while a thread polls.");
        Invariant.Holds(!_disposed, "Dispose came twice.");
        _disposed = true;
    }
}
