using BenchmarkDotNet.Attributes;

namespace Poller.Benchmarks;

/// <summary>Many Breaks at once: what coalescing saves, compared with threads that each write to a raw eventfd.</summary>
/// <remarks>
/// Another thread polls all the time, and polls again as soon as it has woken. The result is the time of one Break: the time in which all
/// threads make their Breaks, divided by the number of Breaks.
/// </remarks>
public class BreakStormBenchmarks
{
    private const int Breaks = 1 << 16;

    private Bell? _bell;
    private Barrier? _barrier;
    private Thread[] _threads = [];
    private volatile bool _stopping;

    [Params(1, 8)]
    public int Threads { get; set; }

    [GlobalSetup(Target = nameof(Eventfd))]
    public void SetupEventfd() => Start(new EventfdBell());

    [GlobalSetup(Target = nameof(Epoll))]
    public void SetupEpoll() => Start(new NetpollBell(Backends.Epoll));

    [GlobalSetup(Target = nameof(Posix))]
    public void SetupPosix() => Start(new NetpollBell(Backends.Posix));

    [Benchmark(Baseline = true, OperationsPerInvoke = Breaks)]
    public void Eventfd() => Storm();

    [Benchmark(OperationsPerInvoke = Breaks)]
    public void Epoll() => Storm();

    [Benchmark(OperationsPerInvoke = Breaks)]
    public void Posix() => Storm();

    [GlobalCleanup]
    public void Cleanup()
    {
        _stopping = true;
        _barrier!.SignalAndWait();
        _bell!.Ring();
        foreach (Thread thread in _threads) thread.Join();
        _barrier.Dispose();
        _bell.Dispose();
    }

    // All threads pass the barrier together to begin, and pass it together again when all are done.
    private void Storm()
    {
        _barrier!.SignalAndWait();
        _barrier.SignalAndWait();
    }

    private void Start(Bell bell)
    {
        _bell = bell;
        _barrier = new Barrier(Threads + 1);
        _threads =
        [
            new Thread(Poll) { IsBackground = true, Name = "poller" },
            .. Enumerable.Range(0, Threads).Select(_ => new Thread(BreakInTurn) { IsBackground = true, Name = "breaker" }),
        ];
        foreach (Thread thread in _threads) thread.Start();
    }

    private void Poll()
    {
        while (!_stopping) _bell!.Wait();
    }

    private void BreakInTurn()
    {
        int breaks = Breaks / Threads;
        while (true)
        {
            _barrier!.SignalAndWait();
            if (_stopping) return;
            for (int i = 0; i < breaks; i++) _bell!.Ring();
            _barrier.SignalAndWait();
        }
    }
}
