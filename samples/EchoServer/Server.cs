using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;
using Poller.DependencyInjection;
using Poller.Net;

namespace EchoServer;

/// <summary>The echo server: listens, accepts, and hands each connection to a handler.</summary>
internal sealed class Server(ServerOptions options, Counters? counters) : IDisposable
{
    private const int BufferSize = 16 * 1024;
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<Conn, Task> _running = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _hurry = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Set before _stop is cancelled, and read afterwards.
    private bool _outputFailed;

    /// <summary>
    /// Serves until SIGINT or SIGTERM, or until its output cannot be written. Returns the exit code: 0 after a signal, 1 if the system
    /// refused something, 2 if the options are invalid.
    /// </summary>
    public static async Task<int> RunAsync(ServerOptions options)
    {
        await using ServiceProvider services = Services(options);
        try
        {
            Netpoller poller = services.GetRequiredService<Netpoller>();
            using ConnListener listener = services.GetRequiredService<NetStack>().Listen(options.Listen.Network, options.Listen.Address);
            Counters? counters = options.StatsEvery is null ? null : new Counters();
            using Server server = new(options, counters);
            await server.ServeAsync(poller, listener);
            return server._outputFailed ? 1 : 0;
        }
        catch (OptionsValidationException e)
        {
            foreach (string failure in e.Failures) Terminal.Complain(failure);
            return 2;
        }
        catch (FormatException e)
        {
            Terminal.Complain($"--listen \"{options.Listen}\": {e.Message}");
            return 2;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            Terminal.Complain(e.Message);
            return 1;
        }
    }

    public void Dispose() => _stop.Dispose();

    private static ServiceProvider Services(ServerOptions options)
    {
        ServiceCollection services = new();
        services.AddLogging(static log => log
            .SetMinimumLevel(LogLevel.Warning) // The server itself prints which backend it uses.
            .AddSimpleConsole(static o => o.SingleLine = true)
            .Services.Configure<ConsoleLoggerOptions>(static o => o.LogToStandardErrorThreshold = LogLevel.Trace));
        services.AddPoller(poller =>
        {
            poller.Dispatch = options.Dispatch;
            poller.Loops = options.Loops;
        });

        // Configure after AddPoller does, because the command line overrides the environment.
        if (options.Backend is not null) services.PostConfigure<PollerOptions>(poller => poller.Backend = options.Backend);
        return services.BuildServiceProvider();
    }

    private async Task ServeAsync(Netpoller poller, ConnListener listener)
    {
        using PosixSignalRegistration interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using PosixSignalRegistration terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using CancellationTokenRegistration closing = _stop.Token.Register(listener.Dispose);
        Task printing = counters is null ? Task.CompletedTask : PrintAsync(counters, poller, options.StatsEvery!.Value);

        string loops = poller.LoopCount == 1 ? "1 loop" : $"{poller.LoopCount} loops";
        string dispatch = poller.Dispatch.ToString().ToLowerInvariant();
        Say($"listening on {options.Listen.Network} {listener.LocalEndPoint} ({poller.Backend}, {dispatch}, {loops})");

        await (options.Blocking ? StartThread(() => Accept(listener)) : AcceptAsync(listener));
        await DrainAsync();
        await printing;
    }

    private async Task AcceptAsync(ConnListener listener)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Conn conn = await listener.AcceptAsync();
                Track(conn, HandleAsync(conn));
            }
            catch (Exception e) when (EndsListener(e))
            {
                return;
            }
        }
    }

    private void Accept(ConnListener listener)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Conn conn = listener.Accept();
                Track(conn, StartThread(() => Handle(conn)));
            }
            catch (Exception e) when (EndsListener(e))
            {
                return;
            }
        }
    }

    // A thread needs free descriptors to start. While there are none, the connection waits like those that are not accepted yet.
    private Task StartThread(Action run)
    {
        while (true)
        {
            TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
            try
            {
                new Thread(() =>
                {
                    try
                    {
                        run();
                        done.SetResult();
                    }
                    catch (Exception e)
                    {
                        done.SetException(e);
                    }
                }).Start();
                return done.Task;
            }
            catch (OutOfMemoryException) when (!_stop.IsCancellationRequested)
            {
                _stop.Token.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(50));
            }
        }
    }

    private async Task HandleAsync(Conn conn)
    {
        using (conn)
        {
            counters?.Opened();
            try
            {
                byte[] buffer = new byte[BufferSize];
                while (true)
                {
                    if (options.IdleTimeout is { } idle) conn.SetReadDeadline(DateTimeOffset.UtcNow + idle);
                    int n = await conn.ReadAsync(buffer);
                    if (n == 0) return;
                    await conn.WriteAsync(buffer.AsMemory(0, n));
                    counters?.Echoed(n);
                }
            }
            catch (Exception e) when (EndsConnection(e))
            {
                // The connection was reset, was idle for too long, or was closed by the shutdown. This ends only this connection.
            }
            finally
            {
                counters?.Closed();
            }
        }
    }

    // The same in blocking style, on a thread of its own.
    private void Handle(Conn conn)
    {
        using (conn)
        {
            counters?.Opened();
            try
            {
                byte[] buffer = new byte[BufferSize];
                while (true)
                {
                    if (options.IdleTimeout is { } idle) conn.SetReadDeadline(DateTimeOffset.UtcNow + idle);
                    int n = conn.Read(buffer);
                    if (n == 0) return;
                    conn.Write(buffer.AsSpan(0, n));
                    counters?.Echoed(n);
                }
            }
            catch (Exception e) when (EndsConnection(e))
            {
                // The same cases as in HandleAsync.
            }
            finally
            {
                counters?.Closed();
            }
        }
    }

    private void Track(Conn conn, Task handler)
    {
        _running[conn] = handler;
        handler.ContinueWith(
            (_, key) => _running.TryRemove((Conn)key!, out Task? _),
            conn,
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }

    // Waits a while for the handlers to end by themselves. Then it ends their connections.
    private async Task DrainAsync()
    {
        Task all = Task.WhenAll(_running.Values);
        if (!all.IsCompleted)
        {
            int count = _running.Count;
            string open = count == 1 ? "1 open connection" : $"{count} open connections";
            Terminal.Complain($"waiting up to {Grace.TotalSeconds} s for {open}; another signal ends the wait");
        }
        if (await Task.WhenAny(all, Task.Delay(Grace), _hurry.Task) == all) return;
        foreach (Conn conn in _running.Keys) conn.Dispose();
        await Task.WhenAll(_running.Values);
    }

    private async Task PrintAsync(Counters counters, Netpoller poller, TimeSpan every)
    {
        using PeriodicTimer timer = new(every);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token)) Say(counters.Line(poller.Statistics));
        }
        catch (OperationCanceledException)
        {
            Say(counters.Line(poller.Statistics));
        }
    }

    private void Say(string line)
    {
        if (_outputFailed || Terminal.Say(line)) return;
        _outputFailed = true;
        _stop.Cancel();
    }

    private void OnSignal(PosixSignalContext signal)
    {
        signal.Cancel = true; // The process ends after its connections.
        if (_stop.IsCancellationRequested) _hurry.TrySetResult();
        _stop.Cancel();
    }

    private bool EndsListener(Exception e) =>
        _stop.IsCancellationRequested && e is NetOpException { IsClosed: true } or ObjectDisposedException;

    private static bool EndsConnection(Exception e) => e is NetOpException or ObjectDisposedException;
}
