using System.Diagnostics.Metrics;

namespace Poller.Net.Tests;

/// <summary>Listens to the meters of one test, and is the factory that creates them. It keeps the last value or the sum of each series.</summary>
internal sealed class Gauges : IMeterFactory
{
    private readonly Lock _lock = new();
    private readonly List<Meter> _meters = [];
    private readonly MeterListener _listener = new();

    /// <summary>What the listener does for each measurement that is recorded, on the thread that records it.</summary>
    public Action<Instrument>? Recording { get; set; }

    // Guarded by the lock.
    private readonly Dictionary<string, double> _values = [];
    private readonly Dictionary<string, Instrument> _instruments = [];

    /// <param name="instruments">The names of the instruments to listen to; none means all.</param>
    public Gauges(params string[] instruments)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (!_meters.Contains(instrument.Meter)) return;
            lock (_lock) _instruments[instrument.Name] = instrument;
            if (instruments.Length == 0 || instruments.Contains(instrument.Name)) listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>The instruments, in the order of their names.</summary>
    public IReadOnlyList<Instrument> Instruments
    {
        get
        {
            lock (_lock) return [.. _instruments.Values.OrderBy(static instrument => instrument.Name, StringComparer.Ordinal)];
        }
    }

    public Meter Create(MeterOptions options)
    {
        Meter meter = new(options);
        _meters.Add(meter);
        return meter;
    }

    /// <summary>
    /// The value of a series, such as <c>poller.accepts poller.loop=0</c>, or the sum of all that have these tags. Of a counter or a
    /// histogram it is the sum of what was added. Null if there is none.
    /// </summary>
    public double? this[string series]
    {
        get
        {
            string[] wanted = series.Split(' ');
            lock (_lock)
            {
                foreach (string key in _values.Keys.Where(key => _instruments[key.Split(' ')[0]].IsObservable).ToArray()) _values.Remove(key);
            }
            _listener.RecordObservableInstruments();
            lock (_lock)
            {
                double[] found = [.. _values.Where(value => wanted.All(value.Key.Split(' ').Contains)).Select(static value => value.Value)];
                return found.Length == 0 ? null : found.Sum();
            }
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        _meters.ForEach(static meter => meter.Dispose());
    }

    private void Record(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string series = string.Join(' ', [instrument.Name, .. tags.ToArray().Select(static tag => $"{tag.Key}={tag.Value}").Order()]);
        lock (_lock) _values[series] = instrument.IsObservable ? value : _values.GetValueOrDefault(series) + value;
        Recording?.Invoke(instrument);
    }
}
