using System.Diagnostics;
using System.Runtime.InteropServices;
using HdrHistogram;
using Poller.Abstractions;
using Poller.Epoll;

namespace SideBySide;

/// <summary>The result of one run of a load. The server is idle before and after it.</summary>
internal sealed record LoadResult(double Messages, long Bytes, TimeSpan Elapsed, LongHistogram Latencies);

/// <summary>
/// Plays the clients. It uses one thread, one edge-triggered poller and raw sockets, and copies no message, so that we measure the server.
/// No message is under way when a run begins or ends, so the difference of the server's counters is the cost of the run's messages. Every
/// byte that comes back is compared with what was sent.
/// </summary>
internal abstract class LoadGenerator : IDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    // Constant. Connections and messages start at different offsets in the pattern, which tells them apart. Every byte is below 0x80.
    private const int Offsets = 1 << 16;
    private const int LargestMessage = 64 * 1024;
    private static readonly byte[] Pattern = MakePattern();
    private readonly PollEvent[] _events = new PollEvent[512];
    private readonly EpollNetpoll _poller = new();

    // Touched only by the thread that runs the load.
    private long _lastProgress;

    protected LoadGenerator(Load load, int port)
    {
        Load = load;
        Port = port;
        _poller.Init();
    }

    protected Load Load { get; }
    protected int Port { get; }

    // The range is 1 ns to a minute, with three digits.
    protected LongHistogram Latencies { get; } = new(60_000_000_000, 3);

    public static LoadGenerator Create(Load load, int port) => load.Kind switch
    {
        LoadKind.Echo => new EchoGenerator(load, port),
        LoadKind.Stream => new StreamGenerator(load, port),
        LoadKind.Churn => new ChurnGenerator(load, port),
        LoadKind.Http => new HttpGenerator(load, port),
        _ => throw new ArgumentOutOfRangeException(nameof(load), load.Kind, "Echo, Stream, Churn or Http was expected."),
    };

    /// <summary>Makes the connections that outlive a run, and uses each once, so that the server has accepted all of them.</summary>
    public virtual void Connect(CancellationToken cancel) { }

    /// <summary>Makes the idle connections, and uses each once.</summary>
    public virtual void ConnectIdle(CancellationToken cancel) { }

    /// <summary>Starts what goes on beside the load from when it is measured.</summary>
    public virtual void Disturb() { }

    /// <summary>
    /// Sends for the time <paramref name="window"/>, then waits for the messages that are under way. Zero means one message on each
    /// connection. <paramref name="rate"/> is in messages per second, whenever the answers come; 0 means a closed loop.
    /// </summary>
    /// <exception cref="InvalidDataException">A wrong byte came back, or a connection ended.</exception>
    /// <exception cref="TimeoutException">Nothing happened for ten seconds.</exception>
    public abstract LoadResult Run(TimeSpan window, double rate, CancellationToken cancel);

    /// <summary>What playing the load has cost so far, in ns of CPU; called by the thread that runs it.</summary>
    public virtual long Cpu() => LibC.ThreadCpu();

    public virtual void Dispose()
    {
        _poller.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Monotonic time in ns, the tick of <see cref="Stopwatch"/> on Linux.</summary>
    protected static long Now() => Stopwatch.GetTimestamp();

    protected static ReadOnlySpan<byte> Message(long connection, long number, int size) =>
        Pattern.AsSpan((int)((connection * 7919 + number * 104_729) % Offsets), size);

    protected void Watch(int fd, int index)
    {
        Errno error = _poller.Open(fd, new PollToken((ulong)index));
        if (error != Errno.None) throw new NetpollException("open", error);
    }

    protected void Unwatch(int fd, int index)
    {
        Errno error = _poller.Close(fd);
        if (error != Errno.None) throw new NetpollException("close", error);
    }

    /// <summary>Starts the clock of a run, and the clock of the server's silence.</summary>
    protected long Begin()
    {
        Latencies.Reset();
        return _lastProgress = Now();
    }

    protected static TimeSpan Since(long start) => TimeSpan.FromTicks((Now() - start) / TimeSpan.NanosecondsPerTick);

    // The delay is in ns; below zero it waits only for events.
    protected ReadOnlySpan<PollEvent> Poll(long delay, CancellationToken cancel)
    {
        const long Look = 100_000_000;
        cancel.ThrowIfCancellationRequested();
        int count = _poller.Poll(_events, delay < 0 ? Look : delay);
        if (count > 0) _lastProgress = Now();
        else if (delay < 0 && Now() - _lastProgress > Silence.TotalNanoseconds)
        {
            throw new TimeoutException($"the server said nothing for {Silence.TotalSeconds} s; an answer was expected.");
        }
        return _events.AsSpan(0, count);
    }

    /// <summary>Throws unless the result is a count or EAGAIN.</summary>
    protected static int Check(int result, string operation)
    {
        if (result > 0 || result is -LibC.EAGAIN or -LibC.EINTR) return result;
        throw new InvalidDataException(result == 0
            ? $"{operation}: the server closed the connection; an answer was expected."
            : $"{operation}: {Marshal.GetPInvokeErrorMessage(-result)}");
    }

    protected static void Compare(ReadOnlySpan<byte> received, ReadOnlySpan<byte> sent)
    {
        int same = received.CommonPrefixLength(sent);
        if (same == received.Length) return;
        throw new InvalidDataException($"byte {same} of what came back is {received[same]}; {sent[same]} was sent.");
    }

    private static byte[] MakePattern()
    {
        byte[] pattern = new byte[Offsets + LargestMessage];
        new Random(20_260_101).NextBytes(pattern);
        for (int i = 0; i < pattern.Length; i++) pattern[i] &= 0x7F;
        return pattern;
    }
}
