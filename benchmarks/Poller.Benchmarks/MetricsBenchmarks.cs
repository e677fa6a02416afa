using System.Diagnostics.Metrics;
using BenchmarkDotNet.Attributes;

namespace Poller.Benchmarks;

/// <summary>
/// What the metrics cost an echo: a byte goes to a connection and back, while nobody listens to its poller's meter, and while someone does.
/// </summary>
/// <remarks>
/// The thread of the loop runs both ends, so the result includes no switch between threads: two sends, two receives and a poll.
/// </remarks>
public class MetricsBenchmarks
{
    private const int Rounds = 256;

    private readonly byte[] _byte = new byte[1];
    private readonly byte[] _peerByte = new byte[1];
    private DialedConn? _dialed;
    private MeterListener? _listener;

    [GlobalSetup(Target = nameof(NobodyListens))]
    public void Setup() => _dialed = new DialedConn();

    [GlobalSetup(Target = nameof(SomeoneListens))]
    public void SetupListener()
    {
        _listener = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == "Poller.Net") listener.EnableMeasurementEvents(instrument);
            },
        };
        _listener.SetMeasurementEventCallback<long>(static (_, _, _, _) => { });
        _listener.SetMeasurementEventCallback<double>(static (_, _, _, _) => { });
        _listener.Start();
        Setup();
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Rounds)]
    public Task NobodyListens() => Echo();

    [Benchmark(OperationsPerInvoke = Rounds)]
    public Task SomeoneListens() => Echo();

    [GlobalCleanup]
    public void Cleanup()
    {
        _listener?.Dispose();
        _dialed!.Dispose();
    }

    private Task Echo()
    {
        Task rounds = RoundsAsync();
        _dialed!.Peer.Send(_peerByte);
        return rounds;
    }

    private async Task RoundsAsync()
    {
        ValueTask<int> read = _dialed!.Conn.ReadAsync(_byte);
        for (int round = 1; ; round++)
        {
            int count = await read.ConfigureAwait(false);
            if (count != 1) throw new InvalidOperationException($"a read returned {count} bytes; 1 was expected.");
            await _dialed.Conn.WriteAsync(_byte).ConfigureAwait(false);
            _dialed.Peer.Receive(_peerByte);
            if (round == Rounds) return;
            read = _dialed.Conn.ReadAsync(_byte); // It waits, so that the byte comes by an event.
            _dialed.Peer.Send(_peerByte);
        }
    }
}
