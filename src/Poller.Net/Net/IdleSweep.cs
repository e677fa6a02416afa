using System.Collections.Concurrent;

namespace Poller.Net;

// One timer serves all connections of a listener. Each read or write compares one byte, and marks its connection as active at most once
// between two looks. IdleState has the table.
//
// Accepts add, and closes remove, on a loop's thread; neither waits for a look, which may have to pass through very many connections.

/// <summary>Ends those connections of a listener on which nothing has happened for a time. Safe from any thread.</summary>
internal sealed class IdleSweep
{
    // A connection ends when it was quiet at this many looks in a row after the one that found it active. So it ends after the time-out,
    // and at most an eighth of it later. With 4 looks it ends up to a quarter late; with 16 we look twice as often.
    private const int Looks = 8;

    private static readonly TimeSpan Never = System.Threading.Timeout.InfiniteTimeSpan;

    private readonly TimeSpan _period;
    private readonly ITimer _timer;

    // The open connections, and the look that last found each active.
    private readonly ConcurrentDictionary<NetFd, long> _activeAt = new();

    // Written by a look. One runs at a time.
    private readonly Lock _looking = new();
    private long _look;

    // Guarded by the lock. The timer runs while there are connections.
    private readonly Lock _starting = new();
    private bool _runs;

    public IdleSweep(TimeSpan timeout, TimeProvider clock)
    {
        Timeout = timeout;
        _period = TimeSpan.FromTicks(Math.Max((timeout.Ticks - 1) / Looks + 1, TimeSpan.TicksPerMillisecond));
        using AsyncFlowControl? flow = ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();
        _timer = clock.CreateTimer(static sweep => ((IdleSweep)sweep!).Look(), this, Never, Never);
    }

    public TimeSpan Timeout { get; }

    /// <summary>Adds a connection, which counts as active now.</summary>
    public void Add(NetFd fd)
    {
        fd.TrackIdle();
        _activeAt[fd] = Volatile.Read(ref _look);
        lock (_starting)
        {
            if (_runs) return;
            _runs = true;
            _timer.Change(_period, _period);
        }
    }

    /// <summary>Removes a connection that nobody uses any more, if it was added.</summary>
    public void Remove(NetFd fd) => _activeAt.TryRemove(fd, out _);

    private void Look()
    {
        if (!_looking.TryEnter()) return; // The look before this one takes longer than a period.
        try
        {
            Volatile.Write(ref _look, _look + 1);
            foreach ((NetFd fd, long activeAt) in _activeAt)
            {
                if (fd.TakeActivity()) _activeAt.TryUpdate(fd, _look, activeAt);
                else if (_look - activeAt >= Looks && fd.TryEndIdle()) Remove(fd);
            }
        }
        finally
        {
            _looking.Exit();
        }

        // Add adds before it looks whether the timer runs. So it starts the timer, or we see what it has added.
        lock (_starting)
        {
            if (!_activeAt.IsEmpty) return;
            _runs = false;
            _timer.Change(Never, Never);
        }
    }
}
