using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.DependencyInjection;

// _running counts what must end before the service has ended: the service itself, until its token's callbacks have run; each accept loop;
// and each handler.
//
//   StoppingAsync      the listeners are closed, and the handlers' token is cancelled, before the host stops any of its services
//   StopAsync          waits for what runs; when the host's time is over, it closes the connections that are left
//   DisposeAsync       the same without a wait for the handlers to end by themselves: the host was not stopped, or did not start
//
// A connection that is accepted while CloseConnections runs: the accept loop adds it to _open and then reads _closesAll. CloseConnections
// writes _closesAll and then reads _open. So one of the two closes it.

/// <summary>
/// A listener that runs in a host, and hands each connection to a handler. <c>AddNetListener</c> adds it. The services hold one for each
/// call, in the order of the calls. Safe from any thread.
/// </summary>
/// <remarks>
/// It listens when the host has started it, and an error of the bind keeps the host from starting. If accepts fail later, it stops the
/// host, and the host's stop throws the error.
/// </remarks>
public sealed class NetListenerService : IHostedLifecycleService, IAsyncDisposable, IDisposable
{
    // How long an accept may take to notice the stop, and how long a handler may take to notice that its connection was closed.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    // Atomic: the newest connection's number. All listeners of the process share the count, so that a number names one connection.
    private static long _lastId;

    // Constant.
    private readonly IServiceProvider _services;
    private readonly string _optionsName;
    private readonly Func<IServiceProvider, Conn, CancellationToken, Task> _handle;
    private readonly ILogger _logger;
    private readonly NetStack _net;
    private readonly CancellationTokenSource _stopping = new(); // It has no timer, so it needs no dispose.
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Constant once it is not null.
    private NetListenerOptions? _options;

    // Constant after StartAsync.
    private List<ConnListener> _listeners = [];
    private EndPoint[] _localEndPoints = [];

    // Atomic. _open holds the connections whose handlers have not ended, and their numbers. _failure is why the accepts ended.
    private readonly ConcurrentDictionary<Conn, long> _open = new();
    private int _running = 1;
    private bool _isStopping;
    private bool _closesAll;
    private Exception? _failure;

    // Guarded by a lock on _open: the wait that all stops and disposes share.
    private Task? _lastWait;

    internal NetListenerService(
        IServiceProvider services, string optionsName, Func<IServiceProvider, Conn, CancellationToken, Task> handle)
    {
        _services = services;
        _optionsName = optionsName;
        _handle = handle;
        _logger = (services.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance).CreateLogger<NetListenerService>();

        // The container disposes in the reverse order of creation, so that the poller, whose dispose waits for handlers, comes after this.
        _net = Options.PollerKey is { } key ? services.GetRequiredKeyedService<NetStack>(key) : services.GetRequiredService<NetStack>();
    }

    /// <summary>Its name in the log: <see cref="NetListenerOptions.Name"/>.</summary>
    /// <exception cref="OptionsValidationException">An option is invalid.</exception>
    public string Name => Options.Name;

    /// <summary>
    /// The addresses that it listens on, with the ports that the system chose. There is one, unless a service manager has handed over
    /// several sockets of its name. Empty before the host has started it.
    /// </summary>
    public IReadOnlyList<EndPoint> LocalEndPoints => Volatile.Read(ref _localEndPoints);

    /// <summary>How many connections are open: those whose handlers have not ended.</summary>
    public int OpenConnections => _open.Count;

    private NetListenerOptions Options =>
        _options ??= _services.GetRequiredService<IOptionsMonitor<NetListenerOptions>>().Get(_optionsName);

    /// <summary>Binds and listens. The host calls it.</summary>
    /// <exception cref="OptionsValidationException">An option is invalid. The message names it and its value.</exception>
    /// <exception cref="NetOpException">The system refused, for example because another program has the port.</exception>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            _listeners = Listen();
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
            throw new OptionsValidationException(_optionsName, typeof(NetListenerOptions), [Messages.Listener(Name, e.Message)]);
        }
        Volatile.Write(ref _localEndPoints, [.. _listeners.Select(static listener => listener.LocalEndPoint).Distinct()]);
        foreach (EndPoint local in _localEndPoints) NetListenerLog.Listening(_logger, Name, local);

        // Without the flow of the context, the connections do not belong to the activity in which the host starts.
        using AsyncFlowControl flow = ExecutionContext.SuppressFlow();
        foreach (ConnListener listener in _listeners)
        {
            Interlocked.Increment(ref _running);
            _ = Task.Run(() => AcceptAsync(listener), CancellationToken.None);
        }
        return Task.CompletedTask;
    }

    /// <summary>Stops listening, and cancels the handlers' token. The host calls it before it stops its services.</summary>
    public Task StoppingAsync(CancellationToken cancellationToken) => BeginStopAsync(cancellationToken);

    /// <summary>
    /// Waits for the handlers to end. When the host's time for its shutdown is over, closes the connections that are left. The host calls
    /// it.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        try
        {
            await BeginStopAsync(cancellationToken).ConfigureAwait(false);
            await _ended.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            if (_open.Count is var left and > 0) NetListenerLog.TimeOver(_logger, Name, left);
            await CloseConnectionsAsync().ConfigureAwait(false);
        }
        if (Volatile.Read(ref _failure) is { } failure) throw new IOException($"listener \"{Name}\": {failure.Message}", failure);
    }

    Task IHostedLifecycleService.StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    Task IHostedLifecycleService.StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    Task IHostedLifecycleService.StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Stops listening, and closes the connections that are open. Does not wait for their handlers.</summary>
    public void Dispose()
    {
        _ = BeginStopAsync(CancellationToken.None);
        CloseConnections();
    }

    /// <summary>
    /// Stops listening, closes the connections that are open, and waits until their handlers have ended. It waits at most a second for the
    /// listener, and then at most a second for the handlers.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        using CancellationTokenSource late = new(Grace);
        await BeginStopAsync(late.Token).ConfigureAwait(false);
        await CloseConnectionsAsync().ConfigureAwait(false);
    }

    private List<ConnListener> Listen()
    {
        NetListenerOptions options = Options;
        if (options.HasName)
        {
            ActivatedSockets activated = _services.GetRequiredService<ActivatedSockets>();
            if (activated.Take(options.Name) is { Count: > 0 } handles) return Adopt(_net, handles, options.Listen);
            if (activated.Names is { Length: > 0 } names)
            {
                NetListenerLog.NotActivated(_logger, Name, options.Network, options.Address, names);
            }
        }
        return options.Listen.ReusePort && !options.Network.StartsWith("unix", StringComparison.Ordinal)
            ? [.. _net.ListenPerLoop(options.Network, options.Address, options.Listen)]
            : [_net.Listen(options.Network, options.Address, options.Listen)];
    }

    private static List<ConnListener> Adopt(NetStack net, List<SafeHandle> handles, ListenOptions options)
    {
        List<ConnListener> listeners = [];
        try
        {
            foreach (SafeHandle handle in handles) listeners.Add(net.AdoptListener(handle, options));
            return listeners;
        }
        catch
        {
            listeners.ForEach(static listener => listener.Dispose());
            throw;
        }
        finally
        {
            handles.ForEach(static handle => handle.Dispose());
        }
    }

    private async Task AcceptAsync(ConnListener listener)
    {
        try
        {
            await foreach (Conn conn in listener.AcceptAllAsync().ConfigureAwait(false)) Serve(conn);
            if (!Volatile.Read(ref _isStopping)) throw new ObjectDisposedException(nameof(Netpoller), "Its poller was disposed.");
        }
#pragma warning disable CA1031 // Whatever ended the accepts, the host must not go on without its listener.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Volatile.Write(ref _failure, e);
            NetListenerLog.AcceptFailed(_logger, Name, e);
            IHostApplicationLifetime lifetime = _services.GetRequiredService<IHostApplicationLifetime>();

            // The app's callbacks run there, and not on the loop's thread, on which their own I/O may depend.
            ThreadPool.UnsafeQueueUserWorkItem(static lifetime => lifetime.StopApplication(), lifetime, preferLocal: false);
        }
        finally
        {
            await listener.DisposeAsync().ConfigureAwait(false);
            Leave();
        }
    }

    // The handler begins on the thread pool. On the loop's thread, one that blocks before its first await would keep this loop from
    // accepting.
    private void Serve(Conn conn)
    {
        long id = Interlocked.Increment(ref _lastId);
        Interlocked.Increment(ref _running);
        _open[conn] = id;
        if (Volatile.Read(ref _closesAll)) conn.Dispose();
        ThreadPool.UnsafeQueueUserWorkItem(
            static connection => _ = connection.Service.ServeAsync(connection.Conn, connection.Id),
            (Service: this, Conn: conn, Id: id),
            preferLocal: false);
    }

    private async Task ServeAsync(Conn conn, long id)
    {
        try
        {
            using IDisposable? scope = NetListenerLog.ConnectionScope(_logger, Name, id);
            await HandleAsync(conn, id).ConfigureAwait(false);
        }
        finally
        {
            await conn.DisposeAsync().ConfigureAwait(false);
            _open.TryRemove(conn, out _);
            Leave();
        }
    }

    private async Task HandleAsync(Conn conn, long id)
    {
        EndPoint? remote = RemoteOf(conn);
        try
        {
            NetListenerLog.Accepted(_logger, Name, id, remote);
            await _handle(_services, conn, _stopping.Token).ConfigureAwait(false);
            NetListenerLog.Ended(_logger, Name, id);
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            NetListenerLog.Ended(_logger, Name, id);
        }
        catch (Exception e) when (IsEndOfConnection(e, remote) || Volatile.Read(ref _closesAll))
        {
            NetListenerLog.Broken(_logger, Name, id, e.Message);
        }
#pragma warning disable CA1031 // It is logged, and ends this connection alone.
        catch (Exception e)
#pragma warning restore CA1031
        {
            NetListenerLog.Failed(_logger, Name, id, e);
        }
    }

    // Whether the peer, the network, an idle time-out or a close has ended the connection with this peer: what happens to servers every
    // day. It may be an inner error, as under an SslStream. The end of another connection, such as one that the handler dialed, is its
    // failure.
    private static bool IsEndOfConnection(Exception error, EndPoint? remote)
    {
        for (Exception? e = error; e is not null; e = e.InnerException)
        {
            if (e is NetOpException { Operation: not "dial" } net
                && (net.RemoteEndPoint is null || remote is null || net.RemoteEndPoint.Equals(remote))
                && (net.IsTimeout || net.IsClosed || IsEnd(net.SocketErrorCode)))
            {
                return true;
            }
        }
        return false;
    }

    // TimedOut is the end of a peer that no longer answers, by keep-alive or unacknowledged data (tcp(7)).
    private static bool IsEnd(SocketError error) => error
        is SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown or SocketError.TimedOut
        or SocketError.HostUnreachable or SocketError.HostDown or SocketError.NetworkUnreachable or SocketError.NetworkReset;

    private static EndPoint? RemoteOf(Conn conn)
    {
        try
        {
            return conn.RemoteEndPoint;
        }
        catch (Exception e) when (e is NetOpException or ObjectDisposedException)
        {
            return null; // The connection is over already, and the system has forgotten its peer.
        }
    }

    // The addresses are free before a handler learns of the stop, if that takes no second. In inline dispatch a handler that blocks its
    // loop until it learns of the stop keeps an accept from ending.
    private async Task BeginStopAsync(CancellationToken late)
    {
        if (Interlocked.Exchange(ref _isStopping, true)) return;
        Task closed = Task.WhenAll(_listeners.Select(static listener => listener.DisposeAsync().AsTask()));
        await closed.WaitAsync(Grace, late).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _ = CancelAsync();
    }

    private async Task CancelAsync()
    {
        try
        {
            await _stopping.CancelAsync().ConfigureAwait(false); // The handlers' callbacks run on the pool.
        }
        catch (AggregateException e)
        {
            NetListenerLog.CallbackFailed(_logger, Name, e);
        }
        finally
        {
            Leave();
        }
    }

    private void CloseConnections()
    {
        Interlocked.Exchange(ref _closesAll, true);
        foreach (Conn conn in _open.Keys) conn.Dispose();
    }

    // The container disposes a service once for each of its registrations. All of these, and the stop, share one wait and one line of the
    // log.
    private Task CloseConnectionsAsync()
    {
        CloseConnections();
        lock (_open) return _lastWait ??= WaitForHandlersAsync();
    }

    private async Task WaitForHandlersAsync()
    {
        try
        {
            await _ended.Task.WaitAsync(Grace).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            NetListenerLog.StillRunning(_logger, Name, _open.Count);
        }
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _running) == 0) _ended.TrySetResult();
    }
}
