using System.Runtime.InteropServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;
using Poller.DependencyInjection;
using Poller.Net;

namespace EchoServer;

/// <summary>The echo server: a host with one listener.</summary>
internal sealed class Server : IDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly ServerOptions _options;
    private readonly IHost _host;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly CancellationTokenSource _hurry = new();

    // Atomic.
    private int _signals;
    private bool _outputFailed;

    private Server(ServerOptions options, IHost host)
    {
        _options = options;
        _host = host;
        _lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
    }

    /// <summary>
    /// Serves until SIGINT or SIGTERM, or until its output cannot be written. Returns the exit code: 0 after a signal, 1 if the system
    /// refused something, 2 if the options are invalid.
    /// </summary>
    public static async Task<int> RunAsync(ServerOptions options)
    {
        try
        {
            using IHost host = Build(options);
            using Server server = new(options, host);
            await server.ServeAsync();
            return server._outputFailed ? 1 : 0;
        }
        catch (OptionsValidationException e)
        {
            string start = e.OptionsType == typeof(NetListenerOptions) ? $"--listen \"{options.Listen}\": " : "";
            foreach (string failure in e.Failures) Terminal.Complain(start + failure);
            return 2;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            Terminal.Complain(e.Message);
            return 1;
        }
    }

    public void Dispose() => _hurry.Dispose();

    private static IHost Build(ServerOptions options)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging
            .SetMinimumLevel(LogLevel.Warning) // The server itself prints which backend it uses.
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None) // It prints why it did not start, too.
            .AddSimpleConsole(static console => console.SingleLine = true)
            .Services.Configure<ConsoleLoggerOptions>(static console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.Services.AddSystemd(); // It tells systemd when the server is ready and when it stops. Elsewhere it does nothing.
        builder.Services.Configure<HostOptions>(static host => host.ShutdownTimeout = Grace);
        builder.Services.AddPoller(poller =>
        {
            poller.Dispatch = options.Dispatch;
            poller.Loops = options.Loops;
        });

        // Configure after AddPoller does, because the command line overrides the environment.
        if (options.Backend is not null) builder.Services.PostConfigure<PollerOptions>(poller => poller.Backend = options.Backend);
        if (options.StatsEvery is not null) builder.Services.AddSingleton<Counters>();
        if (options.Blocking) builder.Services.AddNetListener<BlockingHandler>(options.Listen.Network, options.Listen.Address, Configure);
        else builder.Services.AddNetListener<AsyncHandler>(options.Listen.Network, options.Listen.Address, Configure);
        return builder.Build();

        void Configure(NetListenerOptions listener)
        {
            listener.Name = "echo";
            listener.Listen = new ListenOptions { IdleTimeout = options.IdleTimeout };
        }
    }

    private async Task ServeAsync()
    {
        using PosixSignalRegistration interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using PosixSignalRegistration terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        try
        {
            await _host.StartAsync();
        }
        catch (OperationCanceledException) when (_lifetime.ApplicationStopping.IsCancellationRequested)
        {
            return; // A signal came before it served.
        }

        Netpoller poller = _host.Services.GetRequiredService<Netpoller>();
        NetListenerService listener = _host.Services.GetRequiredService<NetListenerService>();
        string loops = poller.LoopCount == 1 ? "1 loop" : $"{poller.LoopCount} loops";
        string dispatch = poller.Dispatch.ToString().ToLowerInvariant();
        Say($"listening on {_options.Listen.Network} {listener.LocalEndPoints[0]} ({poller.Backend}, {dispatch}, {loops})");

        if (_options.StatsEvery is { } every) await PrintAsync(poller, every);
        else await StoppingAsync();
        TellOfOpen(listener.OpenConnections);
        await _host.StopAsync(_hurry.Token);
        if (_options.StatsEvery is not null) Print(poller);
    }

    private async Task StoppingAsync()
    {
        TaskCompletionSource stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using CancellationTokenRegistration registration = _lifetime.ApplicationStopping.Register(stopping.SetResult);
        await stopping.Task;
    }

    private static void TellOfOpen(int count)
    {
        if (count == 0) return;
        string open = count == 1 ? "1 open connection" : $"{count} open connections";
        Terminal.Complain($"waiting up to {Grace.TotalSeconds} s for {open}; another signal ends the wait");
    }

    // Prints the counters until the server stops.
    private async Task PrintAsync(Netpoller poller, TimeSpan every)
    {
        using PeriodicTimer timer = new(every);
        try
        {
            while (await timer.WaitForNextTickAsync(_lifetime.ApplicationStopping)) Print(poller);
        }
        catch (OperationCanceledException)
        {
            // It stops.
        }
    }

    private void Print(Netpoller poller) => Say(_host.Services.GetRequiredService<Counters>().Line(poller.Statistics));

    private void Say(string line)
    {
        if (_outputFailed || Terminal.Say(line)) return;
        _outputFailed = true;
        _lifetime.StopApplication();
    }

    private void OnSignal(PosixSignalContext signal)
    {
        signal.Cancel = true; // The process ends after its connections.
        if (Interlocked.Increment(ref _signals) == 1) _lifetime.StopApplication();
        else _hurry.Cancel();
    }
}
