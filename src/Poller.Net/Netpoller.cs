using Microsoft.Extensions.Logging;
using Poller.Abstractions;

namespace Poller.Net;

/// <summary>
/// The runtime between a backend and the connections: polls, keeps the deadlines and runs what is ready. The twin of the network
/// poller in Go's runtime; a program makes one and hands it to <see cref="NetStack"/>.
/// </summary>
/// <remarks>
/// Safe from any thread. Kernel objects and threads are made on first use, and its threads do not keep a process alive, unless a handler
/// makes one a foreground thread. What it serves must be closed by its owners; <see cref="Dispose"/> only ends the waits. Dispose it: its
/// threads keep it alive, so one that is dropped keeps them and its descriptors for as long as the process lives.
/// </remarks>
public sealed class Netpoller : IDisposable, IAsyncDisposable
{
    private const int MaxLoops = 1024;
    private const int MaxMaxBlockedHandlers = 32_767; // Linux lets a process have about as many threads.

    // Constant.
    private readonly INetpollFactory _factory;
    private readonly Reports _reports;

    private readonly Lock _lock = new();

    // Guarded by the lock; the loops are read without, once they are there.
    private PollLoop[]? _loops;
    private bool _disposed;

    // Atomic.
    private uint _turn;

    /// <summary>Makes a poller over a backend.</summary>
    /// <param name="factory">Makes one <see cref="INetpoll"/> for each loop.</param>
    /// <param name="options">How it works; null is the defaults.</param>
    /// <exception cref="PlatformNotSupportedException">The backend does not work on this machine; the message says why.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
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
        _reports = new Reports(options.LoggerFactory?.CreateLogger<Netpoller>());
    }

    /// <summary>The backend's name, as <c>epoll</c>.</summary>
    public string Backend => _factory.Name;

    /// <summary>Where continuations run.</summary>
    public NetpollDispatch Dispatch { get; }

    /// <summary>How many loops there are.</summary>
    public int LoopCount { get; }

    /// <summary>How many handlers of a loop may block or compute at once; <see cref="NetpollerOptions.MaxBlockedHandlers"/>.</summary>
    public int MaxBlockedHandlers { get; }

    /// <summary>The clock that deadlines count by.</summary>
    public TimeProvider TimeProvider { get; }

    /// <summary>What it has done so far.</summary>
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

    internal PollLoop[] Loops => Volatile.Read(ref _loops) ?? Init();

    /// <summary>The monitor of a poller that runs handlers in place.</summary>
    internal Sysmon? Sysmon { get; private set; }

    /// <summary>
    /// Stops polling and frees the kernel objects. Operations that wait end as if their connections were closed. Does not wait for handlers
    /// that run, and may be called from one.
    /// </summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
        }
        foreach (PollLoop loop in _loops ?? []) loop.Stop();
        Sysmon?.Stop();
        _reports.Stop();
    }

    /// <summary>
    /// <see cref="Dispose"/>, and waits: when it completes, the threads of the poller are gone and its kernel objects freed. Handlers that
    /// run in place keep their thread, so it waits for them to return, or to await something else than this poller.
    /// </summary>
    /// <remarks>
    /// A handler may await it, as the handler gives up its thread there. A handler that blocks on it (<c>.AsTask().Wait()</c>) waits for
    /// itself, for ever. It does not wait for handlers that the .NET thread pool runs, for a loop whose backend failed, nor longer than a
    /// second for a logger or a standard error stream that takes no report.
    /// </remarks>
    public async ValueTask DisposeAsync()
    {
        Dispose();
        if (_loops is not { } loops) return;
        foreach (PollLoop loop in loops)
        {
            if (loop.Failure is null) await loop.Threads.Ended.ConfigureAwait(false);
        }
        if (Sysmon is { } monitor) await monitor.Ended.ConfigureAwait(false);
        await Task.WhenAny(_reports.Ended, Task.Delay(Reports.Patience)).ConfigureAwait(false);
    }

    /// <summary>The loop for the next descriptor: the next in turn that has not failed.</summary>
    /// <exception cref="IOException">Every loop's backend has failed; the inner exception is what the last one threw.</exception>
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

    /// <summary>Takes an error that no caller can be told. Never throws, and never waits.</summary>
    internal void Report(string operation, Exception exception) => _reports.Error(operation, exception);

    /// <summary>Tells what somebody should know. Never throws, and never waits.</summary>
    internal void Warn(string message) => _reports.Warn(message);

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
