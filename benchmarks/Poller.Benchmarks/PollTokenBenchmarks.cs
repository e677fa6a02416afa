using BenchmarkDotNet.Attributes;
using Poller.Abstractions;

namespace Poller.Benchmarks;

/// <summary>Packs a slot and its sequence number into a token, and unpacks them.</summary>
/// <remarks>
/// It runs over an array, because one token alone takes less than a clock tick. The result is the time of one token, with its load or
/// store.
/// </remarks>
public class PollTokenBenchmarks
{
    private const int Count = 1024;

    private readonly PollToken[] _tokens = new PollToken[Count];
    private uint _sequence;

    [GlobalSetup]
    public void Setup() => Pack();

    [Benchmark(OperationsPerInvoke = Count)]
    public PollToken[] Pack()
    {
        uint sequence = ++_sequence;
        for (int i = 0; i < _tokens.Length; i++) _tokens[i] = new PollToken((uint)i, sequence);
        return _tokens;
    }

    [Benchmark(OperationsPerInvoke = Count)]
    public uint Unpack()
    {
        uint sum = 0;
        foreach (PollToken token in _tokens) sum += token.Slot ^ token.Sequence;
        return sum;
    }
}
