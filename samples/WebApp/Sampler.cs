using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;

namespace WebApp;

/// <summary>
/// Listens to the meters while a page is open, and takes a sample of them four times a second. Each page has a sampler of its own. Without
/// one, the page costs the app nothing.
/// </summary>
internal sealed class Sampler : IDisposable
{
    private const string PollerMeter = "Poller.Net", RequestMeter = "Microsoft.AspNetCore.Hosting";
    private const string RequestDuration = "http.server.request.duration";

    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);

    // Constant.
    private readonly MeterListener _listener = new();
    private readonly ServerInfo _server;
    private readonly Loop[] _loops;

    // Safe from any thread.
    private readonly ConcurrentQueue<Stall> _stalls = new();

    // Atomic.
    private long _requests;

    // The taker's alone.
    private long _lastTime = Stopwatch.GetTimestamp();

    private Sampler(ServerInfo server)
    {
        _server = server;
        _loops = [.. Enumerable.Range(0, server.Loops).Select(static _ => new Loop())];
        _listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == PollerMeter || (instrument.Meter.Name == RequestMeter && instrument.Name == RequestDuration))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>(OnCount);
        _listener.SetMeasurementEventCallback<double>(OnTime);
        _listener.Start();
        Take(); // What was before is no rate.
    }

    /// <summary>Samples until one of the tokens fires: then the stream ends, without an error.</summary>
    public static async IAsyncEnumerable<Sample> SampleAsync(
        ServerInfo server, CancellationToken stopping, [EnumeratorCancellation] CancellationToken aborted = default)
    {
        using CancellationTokenSource ends = CancellationTokenSource.CreateLinkedTokenSource(stopping, aborted);
        using Sampler sampler = new(server);
        using PeriodicTimer timer = new(Every);
        using CancellationTokenRegistration end = ends.Token.Register(timer.Dispose); // Its wait then returns false.
        while (await timer.WaitForNextTickAsync(CancellationToken.None)) yield return sampler.Take();
    }

    public void Dispose() => _listener.Dispose();

    private Sample Take()
    {
        _listener.RecordObservableInstruments(); // Calls OnCount for each, here.
        long now = Stopwatch.GetTimestamp();
        double seconds = Stopwatch.GetElapsedTime(_lastTime, now).TotalSeconds;
        _lastTime = now;
        List<Stall> stalls = [];
        while (_stalls.TryDequeue(out Stall? stall)) stalls.Add(stall);
        return new Sample(
            _server,
            Interlocked.Exchange(ref _requests, 0) / seconds,
            [.. _loops.Select(loop => loop.Take(seconds))],
            [.. stalls]);
    }

    private void OnCount(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        if (LoopOf(tags) is not { } index) return;
        Loop loop = _loops[index];
        switch (instrument.Name)
        {
            case "poller.connections":
                loop.Connections = value;
                break;
            case "poller.polls":
                loop.Polls = value;
                break;
            case "poller.events":
                loop.Events = value;
                break;
            case "poller.promotions":
                loop.HandOvers = value;
                break;
            case "poller.handlers.blocked":
                loop.Blocked = value;
                break;
        }
    }

    private void OnTime(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        if (instrument.Name == RequestDuration) Interlocked.Increment(ref _requests);
        else if (LoopOf(tags) is { } index)
        {
            if (instrument.Name == "poller.dispatch.delay") _loops[index].Delayed(value);
            else if (instrument.Name == "poller.handler.stall")
            {
                _stalls.Enqueue(new Stall(index, (string)Find(tags, "code.function.name")!, value));
            }
        }
    }

    private static int? LoopOf(ReadOnlySpan<KeyValuePair<string, object?>> tags) => (int?)Find(tags, "poller.loop");

    private static object? Find(ReadOnlySpan<KeyValuePair<string, object?>> tags, string name)
    {
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            if (tag.Key == name) return tag.Value;
        }
        return null;
    }

    private sealed class Loop
    {
        private readonly Lock _lock = new();

        // The taker's alone.
        private long _lastPolls;
        private long _lastEvents;

        // Guarded by the lock: the delays since the last sample, in s.
        private long _delays;
        private double _sum;
        private double _longest;

        // The taker's alone: what the instruments said last.
        public long Connections { get; set; }

        public long Polls { get; set; }

        public long Events { get; set; }

        public long HandOvers { get; set; }

        public long Blocked { get; set; }

        /// <summary>Safe from any thread.</summary>
        public void Delayed(double seconds)
        {
            lock (_lock)
            {
                _delays++;
                _sum += seconds;
                _longest = Math.Max(_longest, seconds);
            }
        }

        public LoopSample Take(double seconds)
        {
            long polls = Polls - _lastPolls, events = Events - _lastEvents;
            (_lastPolls, _lastEvents) = (Polls, Events);
            double mean, longest;
            lock (_lock)
            {
                (mean, longest) = (_delays == 0 ? 0 : _sum / _delays, _longest);
                (_delays, _sum, _longest) = (0, 0, 0);
            }
            double each = polls == 0 ? 0 : (double)events / polls;
            return new LoopSample(Connections, polls / seconds, each, HandOvers, Blocked, mean * 1000, longest * 1000);
        }
    }
}
