using BenchmarkDotNet.Attributes;
using Poller.Abstractions;
using Poller.Net;

namespace Poller.Benchmarks;

/// <summary>Takes a recycled PollDesc and gives it back; and finds the PollDesc that an event names.</summary>
public class PollCacheBenchmarks
{
    private const int Count = 1024;

    private readonly PollCache _cache = new();
    private PollToken[] _tokens = [];

    [GlobalSetup]
    public void Setup() => _tokens = [.. Enumerable.Range(0, Count).Select(fd => _cache.Alloc(fd).Token)];

    [Benchmark]
    public uint AllocAndFree()
    {
        PollDesc desc = _cache.Alloc(fd: Count);
        uint slot = desc.Slot;
        _cache.Free(desc);
        return slot;
    }

    /// <summary>It runs over many, because one alone takes less time than can be measured. The result is the time of one.</summary>
    [Benchmark(OperationsPerInvoke = Count)]
    public uint Find()
    {
        uint sum = 0;
        foreach (PollToken token in _tokens) sum += _cache.Find(token)!.Slot;
        return sum;
    }
}
