using BenchmarkDotNet.Attributes;
using Poller.Abstractions;

namespace Poller.Benchmarks;

/// <summary>A byte goes there and back over a socketpair. An INetpoll without a runtime waits for it at each end.</summary>
/// <remarks>
/// One thread plays both ends. The result includes two writes, polls and reads, and two Arms for a level-triggered backend.
/// </remarks>
public class RoundTripBenchmarks
{
    private static readonly PollToken TokenA = new(1);
    private static readonly PollToken TokenB = new(2);

    private readonly PollEvent[] _events = new PollEvent[8];
    private SocketPair? _pair;
    private INetpoll? _poll;

    [GlobalSetup(Target = nameof(Epoll))]
    public void SetupEpoll() => Start(Backends.Epoll);

    [GlobalSetup(Target = nameof(EpollLevel))]
    public void SetupEpollLevel() => Start(Backends.EpollLevel);

    [GlobalSetup(Target = nameof(Posix))]
    public void SetupPosix() => Start(Backends.Posix);

    [Benchmark(Baseline = true)]
    public int Epoll() => RoundTrip();

    [Benchmark]
    public int EpollLevel() => RoundTrip();

    [Benchmark]
    public int Posix() => RoundTrip();

    [GlobalCleanup]
    public void Cleanup()
    {
        Check("close", _poll!.Close(_pair!.A));
        Check("close", _poll.Close(_pair.B));
        _pair.Dispose();
        _poll.Dispose();
    }

    private void Start(INetpollFactory factory)
    {
        _pair = new SocketPair();
        _poll = factory.Create();
        _poll.Init();
        Check("open", _poll.Open(_pair.A, TokenA));
        Check("open", _poll.Open(_pair.B, TokenB));
    }

    private int RoundTrip() => Pass(_pair!.A, _pair.B, TokenB) + Pass(_pair.B, _pair.A, TokenA);

    private int Pass(int from, int to, PollToken token)
    {
        SocketPair.WriteByte(from);
        if (_poll!.Trigger == PollTrigger.Level) Check("arm", _poll.Arm(to, PollMode.Read));
        while (!IsReadable(token, _poll.Poll(_events, -1)))
        {
            // This is an edge of the other direction, which has room to write.
        }
        return SocketPair.ReadByte(to);
    }

    private bool IsReadable(PollToken token, int count)
    {
        foreach (ref readonly PollEvent found in _events.AsSpan(0, count))
        {
            if (found.Token == token && (found.Readiness & PollReadiness.Readable) != 0) return true;
        }
        return false;
    }

    private static void Check(string operation, Errno error)
    {
        if (error != Errno.None) throw new NetpollException(operation, error);
    }
}
