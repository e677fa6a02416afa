using Microsoft.Extensions.Logging;

namespace Poller.Net;

// Where a poller reports what reaches no caller. A report must do no harm: reporting never waits, never throws, and needs neither memory
// nor a descriptor. So a report only goes into a queue of fixed size. A separate thread, which starts with the loops, passes it to the
// logger, which may block or throw. Or it writes it to the standard error stream, which may be full, closed, or a pipe that nobody reads.
// Reports that find the queue full, or cannot be written, are counted; the next report that is written says how many.

/// <summary>The reports of one poller. Safe from any thread.</summary>
internal sealed partial class Reports
{
    // Arbitrary within a wide range. Reports beyond it, while the logger takes none, are counted and not written. An exception with its
    // stack trace takes about 1 KB, so a logger that hangs keeps 256 KB alive: 128 KB with half the value, 512 KB with double.
    private const int Capacity = 256;

    // A full queue was written to the standard error stream in 0.2 s, on two cores with a load of 25. With half the value, a logger that
    // takes 2 ms for each report loses some of them at the end. With double the value, a logger that hangs holds up the end for 2 s.

    /// <summary>How long the end of the process, or of the poller, waits for reports that are not written yet.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    // Text is the operation that failed. Without an exception it is a warning. A stall has no text.
    private readonly record struct Entry(string Text, Exception? Exception, StalledHandler? Stall = null);

    // Constant.
    private readonly ILogger? _logger;
    private readonly bool _hasStandardError = HasStandardError();

    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly object _lock = new();

    // Guarded by the lock.
    private readonly Entry[] _ring = new Entry[Capacity];
    private int _first;
    private int _count;
    private bool _isWriting;
    private bool _stopped;
    private long _dropped;

    // Touched only by whoever starts the thread.
    private bool _started;

    // Touched only by the thread: how many dropped reports it has reported.
    private long _droppedReported;

    public Reports(ILogger? logger) => _logger = logger;

    /// <summary>The number of lost reports: the queue was full, or they could not be written.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Completes after <see cref="Stop"/>, when all reports are written.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Starts the thread, once. Earlier reports wait for it. Not for two threads at a time.</summary>
    public void Start()
    {
        if (_started) return;
        new Thread(Serve) { IsBackground = true, Name = "poller reports" }.UnsafeStart();
        _started = true;
        AppDomain.CurrentDomain.ProcessExit += OnProcessExit;
    }

    /// <summary>Reports an error that reaches no caller.</summary>
    public void Error(string operation, Exception exception) => Add(new Entry(operation, exception));

    /// <summary>Reports something that the operator should know.</summary>
    public void Warn(string text) => Add(new Entry(text, null));

    /// <summary>Reports a handler that holds its thread for long, or did so. Without a logger, only one that has not come back.</summary>
    public void Stalled(StalledHandler stall)
    {
        if (_logger is not null || !stall.IsOver) Add(new Entry("", null, stall));
    }

    /// <summary>Ends the thread once all earlier reports are written.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _stopped = true;
            Monitor.PulseAll(_lock);
        }
    }

    private void Add(Entry entry)
    {
        Uninterrupted.Enter(_lock);
        if (_count == Capacity) _dropped++;
        else
        {
            _ring[(_first + _count++) % Capacity] = entry;
            Monitor.PulseAll(_lock);
        }
        Monitor.Exit(_lock);
    }

    private void Serve()
    {
        while (TryTake(out Entry entry)) Write(entry);
        AppDomain.CurrentDomain.ProcessExit -= OnProcessExit;
        _ended.SetResult();
    }

    private bool TryTake(out Entry entry)
    {
        lock (_lock)
        {
            _isWriting = false;
            Monitor.PulseAll(_lock);
            while (_count == 0 && !_stopped)
            {
                try
                {
                    Monitor.Wait(_lock);
                }
                catch (ThreadInterruptedException)
                {
                    // The interrupt was meant for a logger that ran on this thread, and came too late.
                }
            }
            entry = default;
            if (_count == 0) return false;
            entry = _ring[_first];
            _ring[_first] = default;
            _first = (_first + 1) % Capacity;
            _count--;
            _isWriting = true;
            return true;
        }
    }

    private void Write(Entry entry)
    {
        long dropped = Dropped;
        long more = dropped - _droppedReported;
        string? lost = more == 0
            ? null
            : $"{more} reports were dropped before this one: the logger or the standard error stream did not take them.";
        if (TryLog(lost, entry, out string? failure) || TryPrint(failure, lost, entry)) _droppedReported = dropped;
        else
        {
            lock (_lock) _dropped++;
        }
    }

#pragma warning disable CA1031 // A logger, a stream and an exception's own text may throw anything. The report is then counted as lost.
    private bool TryLog(string? lost, Entry entry, out string? failure)
    {
        failure = null;
        if (_logger is null) return false;
        try
        {
            if (lost is not null) LogWarning(_logger, lost);
            if (entry.Stall is { } stall) Log(_logger, stall);
            else if (entry.Exception is null) LogWarning(_logger, entry.Text);
            else LogError(_logger, entry.Text, entry.Exception);
            return true;
        }
        catch (Exception e)
        {
            failure = $"the logger threw: {Describe(e)}";
            return false;
        }
    }

    private bool TryPrint(string? failure, string? lost, Entry entry)
    {
        if (!_hasStandardError) return false;
        try
        {
            if (failure is not null) Console.Error.WriteLine($"poller: {failure}");
            if (lost is not null) Console.Error.WriteLine($"poller: {lost}");
            string text = entry.Stall is { } stall ? Describe(stall)
                : entry.Exception is null ? entry.Text
                : $"{entry.Text}: {Describe(entry.Exception)}";
            Console.Error.WriteLine($"poller: {text}");
            return true;
        }
        catch (Exception)
        {
            return false;
        }
    }

    private static void Log(ILogger logger, StalledHandler stall)
    {
        if (stall.IsOver) LogStall(logger, stall.Handler, stall.Connection, stall.Milliseconds, stall.More);
        else LogLongStall(logger, stall.Handler, stall.Connection, stall.Milliseconds, stall.More);
    }

    private static string Describe(StalledHandler stall) =>
        $"handler {stall.Handler} on {stall.Connection} {(stall.IsOver ? "blocked" : "has blocked")} its thread for "
        + $"{stall.Milliseconds} ms{(stall.IsOver ? "" : " so far")}{stall.More}.";

    // The stack trace reads symbols, for which there may be no free descriptor.
    private static string Describe(Exception exception)
    {
        try
        {
            return exception.ToString();
        }
        catch (Exception)
        {
            return exception.GetType().FullName!;
        }
    }

    // The first use of Console.Error duplicates descriptor 2, so we use it now, while there are free descriptors. If 2 is closed, we never
    // use it again: the next descriptor that is opened, perhaps a connection's, may get that number.
    private static bool HasStandardError()
    {
        try
        {
            Console.Error.Write("");
            return true;
        }
        catch (Exception)
        {
            return false;
        }
    }
#pragma warning restore CA1031

    // Waits a moment at the end of the process, so that the last reports are still written.
    private void OnProcessExit(object? sender, EventArgs e)
    {
        lock (_lock)
        {
            long start = Environment.TickCount64;
            while (_count > 0 || _isWriting)
            {
                TimeSpan left = Patience - TimeSpan.FromMilliseconds(Environment.TickCount64 - start);
                if (left <= TimeSpan.Zero || !Monitor.Wait(_lock, left)) return;
            }
        }
    }

    [LoggerMessage(EventId = 1, Level = LogLevel.Error, Message = "{Operation}: an error that reaches no caller.")]
    private static partial void LogError(ILogger logger, string operation, Exception exception);

    [LoggerMessage(
        EventId = 3, Level = LogLevel.Information,
        Message = "Handler {Handler} on {Connection} blocked its thread for {Milliseconds} ms{Hidden}.")]
    private static partial void LogStall(ILogger logger, string handler, string connection, long milliseconds, string hidden);

    [LoggerMessage(
        EventId = 4, Level = LogLevel.Warning,
        Message = "Handler {Handler} on {Connection} has blocked its thread for {Milliseconds} ms so far{Hidden}.")]
    private static partial void LogLongStall(ILogger logger, string handler, string connection, long milliseconds, string hidden);

    [LoggerMessage(EventId = 2, Level = LogLevel.Warning, Message = "{Text}")]
    private static partial void LogWarning(ILogger logger, string text);
}
