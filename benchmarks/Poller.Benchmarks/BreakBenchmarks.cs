using BenchmarkDotNet.Attributes;
using Poller.Abstractions;

namespace Poller.Benchmarks;

/// <summary>
/// From a Break to the return of a poll that blocks in another thread, against a raw eventfd and epoll_wait called through LibraryImport.
/// </summary>
/// <remarks>
/// Two threads wake each other in turn, each through its own bell, so the measuring thread knows that the other has woken. Each only rings
/// back and waits, so a ring finds the other waiting, except in turns in which the scheduler held it up. The result is the time of one
/// wake-up, half of a turn: the Break, the switch of threads, and the return of the poll.
/// </remarks>
public class BreakBenchmarks
{
    private const int WakeupsPerTurn = 2;

    private Bell? _there;
    private Bell? _back;
    private Thread? _partner;
    private volatile bool _stopping;

    [GlobalSetup(Target = nameof(Eventfd))]
    public void SetupEventfd() => Start(new EventfdBell(), new EventfdBell());

    [GlobalSetup(Target = nameof(Epoll))]
    public void SetupEpoll() => Start(Backends.Epoll);

    [GlobalSetup(Target = nameof(Posix))]
    public void SetupPosix() => Start(Backends.Posix);

    [Benchmark(Baseline = true, OperationsPerInvoke = WakeupsPerTurn)]
    public void Eventfd() => Turn();

    [Benchmark(OperationsPerInvoke = WakeupsPerTurn)]
    public void Epoll() => Turn();

    [Benchmark(OperationsPerInvoke = WakeupsPerTurn)]
    public void Posix() => Turn();

    [GlobalCleanup]
    public void Cleanup()
    {
        _stopping = true;
        _there!.Ring();
        _partner!.Join();
        _there.Dispose();
        _back!.Dispose();
    }

    private void Turn()
    {
        _there!.Ring();
        _back!.Wait();
    }

    private void Start(INetpollFactory factory) => Start(new NetpollBell(factory), new NetpollBell(factory));

    private void Start(Bell there, Bell back)
    {
        _there = there;
        _back = back;
        _partner = new Thread(Answer) { IsBackground = true, Name = "partner" };
        _partner.Start();
    }

    private void Answer()
    {
        while (true)
        {
            _there!.Wait();
            if (_stopping) return;
            _back!.Ring();
        }
    }
}
