using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net.Sockets;
using System.Text.Json;

namespace Poller.Net;

// What a poller measures: docs/operating.md lists the instruments. While nobody listens, measuring costs nothing: most instruments observe
// counters that the loops keep anyway. Bytes, errors and delays are counted only while someone listens.

/// <summary>The instruments of one poller, from its first use to its end. Safe from any thread.</summary>
internal sealed class PollerMetrics : IDisposable
{
    public const string MeterName = "Poller.Net";

    // 10 µs to 10 s, in s. A hand-over takes some ms.
    private static readonly double[] Buckets = [0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 10];

    // A SocketError as OpenTelemetry's error.type, such as connection_reset.
    private static readonly ConcurrentDictionary<SocketError, string> ErrorTypes = new();

    // Constant.
    private readonly Meter _meter;
    private readonly bool _ownsMeter;
    private readonly Action<string, Exception> _report;
    private readonly KeyValuePair<string, object?> _name;
    private readonly Instrument _io;
    private readonly Counter<long> _errors;
    private readonly Histogram<double> _dispatchDelay;
    private readonly Histogram<double> _stall;

    // Atomic. Empty before the loops run, and after the end: the meter of a factory outlives the poller.
    private PollLoop[] _loops = [];

    /// <param name="name">The poller's name.</param>
    /// <param name="factory">Creates the meter; null for one of its own.</param>
    /// <param name="report">Takes what a listener throws.</param>
    public PollerMetrics(string name, IMeterFactory? factory, Action<string, Exception> report)
    {
        _report = report;
        _name = new("poller.name", name);
        _ownsMeter = factory is null;
        _meter = factory?.Create(MeterName) ?? new Meter(MeterName);

        Now("poller.descriptors", "{descriptor}", "Open descriptors.", static loop => loop.Cache.OpenCount);
        Now("poller.connections", "{connection}", "Open connections, also those that are being dialed.", static loop => loop.Connections);
        Sum("poller.accepts", "{connection}", "Connections that listeners accepted.", static loop => loop.Accepts);
        Sum("poller.polls", "{poll}", "Calls of the backend's Poll.", static loop => loop.Statistics.Polls);
        Sum("poller.events", "{event}", "Events that the polls found.", static loop => loop.Statistics.Events);
        Sum("poller.breaks", "{break}", "How often a sleeping poll was asked to return.", static loop => loop.Statistics.Breaks);
        Sum("poller.promotions", "{promotion}", "Hand-overs of the lead while a handler ran.", static loop => loop.Statistics.Promotions);
        Now("poller.handlers.blocked", "{handler}", "Threads in a handler beside the leader.", static loop => loop.Threads.Blocked);
        Sum("poller.overflows", "{handler}", "Handlers that came at MaxBlockedHandlers.", static loop => loop.Overflow.Count);
        Sum("poller.deadlines.expired", "{wait}", "Waits that a deadline or time-out ended.", static loop => loop.Timers.Expired);
        _io = _meter.CreateObservableCounter("poller.network.io", ObserveBytes, "By", "Bytes that sockets received and sent.");
        _meter.CreateObservableGauge("poller.loop.stall", ObserveStalls, "s", "How long a loop has stood still in one handler.");
        _errors = _meter.CreateCounter<long>("poller.errors", "{error}", "Operations and dials that failed.");
        InstrumentAdvice<double> advice = new() { HistogramBucketBoundaries = Buckets };
        _dispatchDelay = _meter.CreateHistogram(
            "poller.dispatch.delay", "s", "From the poll that found a handler ready to its run.", advice: advice);
        _stall = _meter.CreateHistogram(
            "poller.handler.stall", "s", "How long handlers held their threads that did so for 10 ms or more.", advice: advice);
    }

    /// <summary>Whether the loops must count bytes.</summary>
    public bool CountsBytes => _io.Enabled;

    /// <summary>Whether the loops must note when they find handlers ready.</summary>
    public bool MeasuresDelay => _dispatchDelay.Enabled;

    /// <summary>Observes the loops from now on.</summary>
    public void Observe(PollLoop[] loops) => Volatile.Write(ref _loops, loops);

#pragma warning disable CA1031 // A MeterListener runs on this thread, and .NET does not catch what it throws. No operation may fail by it.
    /// <summary>Records that a handler runs now which was ready at <paramref name="readyAt"/>, a time of Stopwatch.</summary>
    public void RecordDelay(PollLoop loop, long readyAt)
    {
        try
        {
            _dispatchDelay.Record(Stopwatch.GetElapsedTime(readyAt).TotalSeconds, _name, TagOf(loop));
        }
        catch (Exception e)
        {
            ReportListener(_dispatchDelay, e);
        }
    }

    /// <summary>Records that a handler held its thread for long.</summary>
    public void RecordStall(PollLoop loop, string handler, TimeSpan stall)
    {
        try
        {
            _stall.Record(stall.TotalSeconds, _name, TagOf(loop), new("code.function.name", handler));
        }
        catch (Exception e)
        {
            ReportListener(_stall, e);
        }
    }

    /// <summary>Counts an operation that failed on a descriptor of a loop, or a dial, which has no loop.</summary>
    public void CountError(PollLoop? loop, NetOpException error)
    {
        if (!_errors.Enabled) return;
        TagList tags = [_name, new("poller.operation", error.Operation), new("error.type", TypeOf(error))];
        if (loop is not null) tags.Add(TagOf(loop));
        try
        {
            _errors.Add(1, tags);
        }
        catch (Exception e)
        {
            ReportListener(_errors, e);
        }
    }
#pragma warning restore CA1031

    /// <summary>What OpenTelemetry calls error.type.</summary>
    public static string TypeOf(Exception error) => error is NetOpException { SocketErrorCode: var code }
        ? ErrorTypes.GetOrAdd(code, static code => JsonNamingPolicy.SnakeCaseLower.ConvertName($"{code}"))
        : error.GetType().FullName!;

    public void Dispose()
    {
        Observe([]);
        if (_ownsMeter) _meter.Dispose();
    }

    private void ReportListener(Instrument instrument, Exception exception) =>
        _report($"a listener of the instrument {instrument.Name}", exception);

    private static KeyValuePair<string, object?> TagOf(PollLoop loop) => new("poller.loop", loop.BoxedIndex);

    private void Sum(string name, string unit, string description, Func<PollLoop, long> value) =>
        _meter.CreateObservableCounter(name, () => Observe(value), unit, description);

    private void Now(string name, string unit, string description, Func<PollLoop, long> value) =>
        _meter.CreateObservableUpDownCounter(name, () => Observe(value), unit, description);

    private IEnumerable<Measurement<long>> Observe(Func<PollLoop, long> value) =>
        Volatile.Read(ref _loops).Select(loop => new Measurement<long>(value(loop), _name, TagOf(loop)));

    private IEnumerable<Measurement<double>> ObserveStalls() =>
        Volatile.Read(ref _loops).Select(loop => new Measurement<double>(loop.Terms.StandStill.TotalSeconds, _name, TagOf(loop)));

    private IEnumerable<Measurement<long>> ObserveBytes() => Volatile.Read(ref _loops).SelectMany(loop => new[]
    {
        new Measurement<long>(loop.BytesReceived, _name, TagOf(loop), new("network.io.direction", "receive")),
        new Measurement<long>(loop.BytesSent, _name, TagOf(loop), new("network.io.direction", "transmit")),
    });
}
