namespace Poller.Net;

// One timer serves all connections of a listener. On its way a read or a write meets one compare of a byte, and marks its connection as
// active at most once between two looks. IdleState has the table.

/// <summary>Ends those connections of a listener on which nothing has happened for a time. Safe from any thread.</summary>
internal sealed class IdleSweep
{
    // A connection ends when it was quiet at this many looks in a row after the one that found it active. So it ends after the time-out,
    // and at most an eighth of it later. Half the number is twice as late; double looks twice as often at every connection.
    private const int Looks = 8;

    private static readonly TimeSpan Never = System.Threading.Timeout.InfiniteTimeSpan;

    private struct Entry
    {
        public NetFd Fd;
        public int Quiet;
    }

    private readonly Lock _lock = new();
    private readonly TimeSpan _period;
    private readonly ITimer _timer;

    // Guarded by the lock. The timer runs while there are entries. A closed connection stays until the next look.
    private readonly List<Entry> _entries = [];

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
        lock (_lock)
        {
            _entries.Add(new Entry { Fd = fd });
            if (_entries.Count == 1) _timer.Change(_period, _period);
        }
    }

    private void Look()
    {
        lock (_lock)
        {
            int kept = 0;
            for (int i = 0; i < _entries.Count; i++)
            {
                Entry entry = _entries[i];
                entry.Quiet = entry.Fd.TakeActivity() ? 0 : entry.Quiet + 1;
                if (entry.Fd.IsClosed || (entry.Quiet >= Looks && entry.Fd.TryEndIdle())) continue;
                _entries[kept++] = entry;
            }
            _entries.RemoveRange(kept, _entries.Count - kept);
            if (kept == 0) _timer.Change(Never, Never);
        }
    }
}
