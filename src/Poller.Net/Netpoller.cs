using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// The runtime between a backend and the connections. It polls, keeps the deadlines and runs the operations that are ready. It is the twin
/// of the network poller in Go's runtime. A program creates one and passes it to <see cref="NetStack"/>.
/// </summary>
/// <remarks>
/// <para>
/// Safe from any thread. It creates its kernel objects and threads on first use. Its threads are background threads, so they do not keep a
/// process alive unless a handler makes one a foreground thread.
/// </para>
/// <para>
/// You own the listeners and connections; <see cref="Dispose"/> only ends their waits. Dispose the poller when you no longer need it: its
/// threads keep it alive, so a poller that you drop keeps its threads and descriptors until the process ends.
/// </para>
/// </remarks>
public sealed class Netpoller : IDisposable, IAsyncDisposable
{
    private const int MaxLoops = 1024;
    private const int MaxMaxBlockedHandlers = 32_767; // About as many threads as Linux allows a process.

    // Constant.
    private readonly INetpollFactory _factory;
    private readonly Reports _reports;
    private readonly StalledHandlers _stalled = new();
    private readonly IMeterFactory? _meterFactory;
    private readonly TimeSpan _disposeTimeout;

    private readonly Lock _lock = new();

    // Guarded by the lock. Once the loops exist, they are read without it.
    private PollLoop[]? _loops;
    private bool _disposed;
    private PollerMetrics? _metrics;

    // Atomic.
    private uint _turn;

    /// <summary>Creates a poller over a backend.</summary>
    /// <param name="factory">Creates one <see cref="INetpoll"/> for each loop.</param>
    /// <param name="options">The options; null means the defaults.</param>
    /// <exception cref="PlatformNotSupportedException">The backend does not work on this machine; the message says why.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range.</exception>
    /// <exception cref="ArgumentException"><see cref="NetpollerOptions.TimeProvider"/> is null.</exception>
    public Netpoller(INetpollFactory factory, NetpollerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(factory);
        options ??= new NetpollerOptions();
        if (options.Loops is < 1 or > MaxLoops)
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.Loops, $"Loops: 1 to {MaxLoops} was expected.");
        }
        if (options.MaxBlockedHandlers is < 1 or > MaxMaxBlockedHandlers)
        {
            string expected = $"MaxBlockedHandlers: 1 to {MaxMaxBlockedHandlers} was expected.";
            throw new ArgumentOutOfRangeException(nameof(options), options.MaxBlockedHandlers, expected);
        }
        if (options.TimeProvider is null)
        {
            throw new ArgumentException("TimeProvider: a clock such as TimeProvider.System was expected; it was null.", nameof(options));
        }
        if (!Enum.IsDefined(options.Dispatch))
        {
            const string Expected = "Dispatch: Adaptive, Inline or ThreadPool was expected.";
            throw new ArgumentOutOfRangeException(nameof(options), options.Dispatch, Expected);
        }
        if (!factory.IsSupported(out string? reason)) throw new PlatformNotSupportedException($"{factory.Name}: {reason}");

        _factory = factory;
        Dispatch = options.Dispatch;
        LoopCount = options.Loops;
        MaxBlockedHandlers = options.MaxBlockedHandlers;
        TimeProvider = options.TimeProvider;
        Name = options.Name ?? factory.Name;
        _meterFactory = options.MeterFactory;
        _disposeTimeout = options.DisposeTimeout;
        _reports = new Reports(options.LoggerFactory?.CreateLogger<Netpoller>());
    }

    /// <summary>The poller's name in its metrics: <see cref="NetpollerOptions.Name"/>, or the backend's name.</summary>
    public string Name { get; }

    /// <summary>The backend's name, such as <c>epoll</c>.</summary>
    public string Backend => _factory.Name;

    /// <summary>Where continuations run.</summary>
    public NetpollDispatch Dispatch { get; }

    /// <summary>The number of loops.</summary>
    public int LoopCount { get; }

    /// <summary>How many handlers of a loop may block or compute at once: <see cref="NetpollerOptions.MaxBlockedHandlers"/>.</summary>
    public int MaxBlockedHandlers { get; }

    /// <summary>The clock of the deadlines.</summary>
    public TimeProvider TimeProvider { get; }

    /// <summary>What the poller has done so far.</summary>
    public NetpollerStatistics Statistics
    {
        get
        {
            NetpollerStatistics sum = default;
            foreach (PollLoop loop in Volatile.Read(ref _loops) ?? [])
            {
                sum = NetpollerStatistics.Sum(sum, loop.Statistics);
            }
            return sum with { DroppedReports = _reports.Dropped };
        }
    }

    /// <summary>
    /// Sends a probe through each loop and waits for it, for at most <paramref name="timeout"/>. A loop that sleeps wakes for it. With
    /// thread-pool dispatch the probe also waits for a thread of the pool. Safe from any thread; a handler must await it, and not block.
    /// </summary>
    /// <param name="timeout">
    /// How long to wait, by the system's clock: up to 24 days, or <see cref="Timeout.InfiniteTimeSpan"/> for as long as it takes.
    /// </param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What it found about each loop. A poller that was not used yet has none.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The time is below zero and not infinite, or is too long.</exception>
    /// <exception cref="ObjectDisposedException">The poller is disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<IReadOnlyList<LoopProbe>> ProbeAsync(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        if (timeout != Timeout.InfiniteTimeSpan && (timeout < TimeSpan.Zero || timeout > DialMode.MaxWait))
        {
            const string Expected = "a time from zero up to 24 days, or an infinite one, was expected.";
            throw new ArgumentOutOfRangeException(nameof(timeout), timeout, Expected);
        }
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        PollLoop[] loops = Volatile.Read(ref _loops) ?? [];
        ProbeWaiter?[] probes = [.. loops.Select(static loop => loop.Failure is null ? loop.Probe() : null)];
        Task all = Task.WhenAll(probes.OfType<ProbeWaiter>().Select(static probe => probe.Ran));
        try
        {
            await all.WaitAsync(timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The results say which loops have not responded.
        }
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        return [.. loops.Select((loop, i) => new LoopProbe
        {
            Loop = i,
            Failure = loop.Failure,
            Responded = loop.Failure is null && probes[i]!.Ran.IsCompleted,
            Elapsed = probes[i]?.Elapsed ?? TimeSpan.Zero,
        })];
    }

    internal PollLoop[] Loops => Volatile.Read(ref _loops) ?? Init();

    /// <summary>What the poller measures. It exists before the loops do.</summary>
    internal PollerMetrics Metrics =>
        _metrics ?? throw new InvalidOperationException("the poller has no loops yet, so it measures nothing.");

    internal bool IsDisposed => Volatile.Read(ref _disposed);

    /// <summary>The monitor; null until first use, and with thread-pool dispatch.</summary>
    internal Sysmon? Sysmon { get; private set; }

    /// <summary>
    /// Stops polling, and frees the kernel objects as soon as the loops no longer use them. Waiting operations end as if their connections
    /// were closed. It does not wait for running handlers, and a handler may call it. A second call does nothing.
    /// </summary>
    public void Dispose()
    {
        Stop();
        _reports.Stop();
    }

    /// <summary>
    /// Calls <see cref="Dispose"/> and waits. When it completes, the poller's threads have ended and its kernel objects are freed. A
    /// handler that runs in place holds its thread, so this waits until such handlers return or await something.
    /// </summary>
    /// <remarks>
    /// A handler may await it, because the await gives up the handler's thread. A handler that blocks on it (<c>.AsTask().Wait()</c>) waits
    /// for itself, for ever. It does not wait for handlers that run on the .NET thread pool, or for a loop whose backend failed. If a
    /// logger or the standard error stream does not take the last reports, it waits for that at most a second.
    /// </remarks>
    public async ValueTask DisposeAsync()
    {
        Stop();
        if (_loops is null)
        {
            _reports.Stop();
            return;
        }
        Task ended = ThreadsEndedAsync();
        await ended.WaitAsync(_disposeTimeout).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (ended.IsCompleted) await ended.ConfigureAwait(false);
        else
        {
            Warn($"The poller {Name} is disposed, and after {_disposeTimeout.TotalSeconds:0.###} s handlers still block its threads. "
                + "It does not wait for them. They keep their threads, and may keep descriptors, until they return.");
        }
        _reports.Stop();
        await Task.WhenAny(_reports.Ended, Task.Delay(Reports.Patience)).ConfigureAwait(false);
    }

    /// <summary>The loop for the next descriptor. It takes the loops in turn and skips those that have failed.</summary>
    /// <exception cref="IOException">Every loop's backend has failed. The inner exception is one that a backend threw.</exception>
    internal PollLoop NextLoop()
    {
        PollLoop[] loops = Loops;
        Exception? failure = null;
        for (int tries = 0; tries < loops.Length; tries++)
        {
            PollLoop loop = loops.Length == 1 ? loops[0] : loops[(Interlocked.Increment(ref _turn) - 1) % (uint)loops.Length];
            failure = loop.Failure;
            if (failure is null) return loop;
        }
        throw PollLoop.FailureOf($"every loop of the poller ({Backend})", failure!);
    }

    /// <summary>Counts a dial that failed. Before first use there are no metrics.</summary>
    internal void CountError(NetOpException error) => _metrics?.CountError(null, error);

    /// <summary>Reports an error that reaches no caller. Never throws, and never waits.</summary>
    internal void Report(string operation, Exception exception) => _reports.Error(operation, exception);

    /// <summary>Reports something that the operator should know. Never throws, and never waits.</summary>
    internal void Warn(string message) => _reports.Warn(message);

    /// <summary>Counts a handler that held its thread for long, and reports some of those. Never throws, and never waits.</summary>
    internal void NoteStall(PollLoop loop, in HandlerTrace trace, TimeSpan stall, bool isOver)
    {
        string handler = HandlerNames.Of(trace);
        if (isOver) Metrics.RecordStall(loop, handler, stall);
        string connection = trace.Fd?.Description ?? loop.Name;
        if (_stalled.Note(handler, connection, stall, isOver, Environment.TickCount64) is { } shown) _reports.Stalled(shown);
    }

    private void Stop()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
        }
        foreach (PollLoop loop in _loops ?? []) loop.Stop();
        Sysmon?.Stop();
        _metrics?.Dispose();
    }

    private async Task ThreadsEndedAsync()
    {
        foreach (PollLoop loop in _loops!)
        {
            if (loop.Failure is null) await loop.Threads.Ended.ConfigureAwait(false);
        }
        if (Sysmon is { } monitor) await monitor.Ended.ConfigureAwait(false);
    }

    private PollLoop[] Init()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_loops is not null) return _loops;

            List<PollLoop> loops = [];
            try
            {
                _reports.Start();
                _metrics ??= new PollerMetrics(Name, _meterFactory, Report);
                for (int i = 0; i < LoopCount; i++) loops.Add(StartLoop(i));
                if (Dispatch != NetpollDispatch.ThreadPool)
                {
                    Sysmon = new Sysmon([.. loops]);
                    Sysmon.Start();
                }
            }
            catch (Exception e)
            {
                loops.ForEach(static loop => loop.Stop());
                if (e is not (OutOfMemoryException or ThreadStartException)) throw;
                const string Hint = "a thread, and the free descriptors it takes to start one, were expected";
                throw new NetpollException("start a loop's thread", Errno.EAGAIN, Hint);
            }
            Volatile.Write(ref _loops, [.. loops]);
            _metrics.Observe(_loops);
            return _loops;
        }
    }

    private PollLoop StartLoop(int index)
    {
        INetpoll poll = _factory.Create();
        try
        {
            poll.Init();
            PollLoop loop = new(this, poll, index);
            loop.Start();
            return loop;
        }
        catch
        {
            poll.Dispose();
            throw;
        }
    }
}
