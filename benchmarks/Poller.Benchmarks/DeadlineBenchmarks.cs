using BenchmarkDotNet.Attributes;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>
/// A deadline before each read, compared with what .NET offers for it: a CancellationTokenSource that is reused, or a timer.
/// </summary>
/// <remarks>
/// No deadline passes. The loop that keeps them sleeps in its poll, as in an idle server. Those that run in a handler are the exception:
/// they run on the thread of a loop that is awake, as in a busy server.
/// </remarks>
public class DeadlineBenchmarks
{
    private const int InOneHandler = 100_000;

    private static readonly byte[] Buffer = new byte[1];
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly CancellationTokenSource _source = new();
    private readonly Timer _timer = new(static _ => throw new InvalidOperationException("the timer fired; it was to be moved before."));
    private readonly SocketPair _pair = new();
    private DialedConn? _dialed;
    private DialedConn? _handled;
    private PollLoop? _loop;
    private PollDesc? _desc;
    private DateTimeOffset _deadline;
    private long _when;

    [GlobalSetup]
    public void Setup()
    {
        _dialed = new DialedConn();
        _handled = new DialedConn(NetpollDispatch.Inline); // In adaptive dispatch a handler that runs so long would lose the loop.
        _loop = _dialed.Poller.NextLoop();
        _desc = _loop.Open(_pair.A);
        _deadline = DateTimeOffset.UtcNow.AddYears(10);
        _when = _loop.Clock.After(TimeSpan.FromDays(1));
        _loop.SetTimeout(_desc, Direction.Read, _loop.Clock.After(Minute));
    }

    [Benchmark(Baseline = true)]
    public bool CancelAfterAndTryReset()
    {
        _source.CancelAfter(Minute);
        return _source.TryReset();
    }

    /// <summary>This is enough only if it does not matter that the source may be cancelled between two reads.</summary>
    [Benchmark]
    public void CancelAfter() => _source.CancelAfter(Minute);

    [Benchmark]
    public bool TimerChange() => _timer.Change(Minute, Timeout.InfiniteTimeSpan);

    /// <summary>Each deadline is later than the one before. The code runs in a handler.</summary>
    [Benchmark(OperationsPerInvoke = InOneHandler)]
    public void ExtendInAHandler() => Handle(conn => conn.SetReadDeadline(_deadline = _deadline.AddMilliseconds(1)));

    /// <summary>The same, and the caller reads the clock, as a program does before each read.</summary>
    [Benchmark(OperationsPerInvoke = InOneHandler)]
    public void ExtendFromNowInAHandler() => Handle(static conn => conn.SetReadDeadline(DateTimeOffset.UtcNow + Minute));

    /// <summary>A time from now, by the monotonic clock alone. The code runs in a handler.</summary>
    [Benchmark(OperationsPerInvoke = InOneHandler)]
    public void ExtendBySpanInAHandler() => Handle(static conn => conn.SetReadDeadline(Minute));

    /// <summary>What ReadTimeout adds to each read.</summary>
    [Benchmark]
    public bool StartTimeout() => _desc!.Deadlines!.TryProlongTimeout(Direction.Read, _loop!.Clock.After(Minute));

    /// <summary>Each deadline is later than the one before.</summary>
    [Benchmark]
    public void Extend() => _dialed!.Conn.SetReadDeadline(_deadline = _deadline.AddMilliseconds(1));

    /// <summary>The same, and the caller reads the clock, as a program does before each read.</summary>
    [Benchmark]
    public void ExtendFromNow() => _dialed!.Conn.SetReadDeadline(DateTimeOffset.UtcNow + Minute);

    /// <summary>The runtime's part: without the connection, and without converting the time to the loop's clock.</summary>
    [Benchmark]
    public void ExtendInTheRuntime() => _loop!.SetDeadline(_desc!, PollMode.Read, ++_when);

    /// <summary>
    /// Each deadline is earlier than the loop's earliest timer, so it wakes the loop to sleep for less time. The result is the caller's
    /// part.
    /// </summary>
    [Benchmark]
    public void Shorten() => _dialed!.Conn.SetReadDeadline(_deadline = _deadline.AddMilliseconds(-1));

    /// <summary>A deadline for one read alone. The result includes both calls.</summary>
    [Benchmark]
    public void SetAndClear()
    {
        _dialed!.Conn.SetReadDeadline(_deadline);
        _dialed.Conn.SetReadDeadline(null);
    }

    private void Handle(Action<TcpConn> operation)
    {
        Task handler = HandleAsync(_handled!.Conn, operation);
        _handled.Peer.Send([1]);
        handler.Wait();

        static async Task HandleAsync(TcpConn conn, Action<TcpConn> operation)
        {
            await conn.WaitToReadAsync().ConfigureAwait(false);
            _ = await conn.ReadAsync(Buffer).ConfigureAwait(false); // Inline dispatch refuses a blocking read here. This one completes at once.
            for (int i = 0; i < InOneHandler; i++) operation(conn);
        }
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _loop!.Evict(_desc!);
        _loop.Close(_desc!);
        _dialed!.Dispose();
        _handled!.Dispose();
        _pair.Dispose();
        _timer.Dispose();
        _source.Dispose();
    }
}
