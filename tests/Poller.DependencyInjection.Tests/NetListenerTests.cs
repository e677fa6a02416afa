using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Poller.Net;

namespace Poller.DependencyInjection.Tests;

/// <summary>Listeners that run in a host.</summary>
[Collection(nameof(EnvironmentTests))]
public sealed partial class NetListenerTests
{
    private const string AnyPort = "127.0.0.1:0";

    private static readonly Func<Conn, CancellationToken, Task> Echo = static (conn, stopping) => conn.EchoAsync(stopping);

    [Fact]
    public async Task A_listener_serves_connections_while_its_host_runs()
    {
        EndPoint address;
        await using (ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, Echo)))
        {
            NetListenerService listener = Assert.Single(host.Listeners);
            Assert.Equal($"tcp {AnyPort}", listener.Name);
            address = Assert.Single(listener.LocalEndPoints);
            using Socket one = await host.ConnectAsync();
            using Socket other = await host.ConnectAsync();
            Assert.Equal(1, await one.AskAsync(1));
            Assert.Equal(2, await other.AskAsync(2));
            Assert.Equal(2, listener.OpenConnections);
            Assert.Contains(host.Log.Lines, line => line.EndsWith($"tcp {AnyPort}: listening on {address}.", StringComparison.Ordinal));
            await host.StopAsync();
            await one.AssertEndsAsync();
            Assert.Equal(0, listener.OpenConnections);
        }
        SocketException e = await Assert.ThrowsAsync<SocketException>(() => ListenerHost.ConnectToAsync(address));
        Assert.Equal(SocketError.ConnectionRefused, e.SocketErrorCode);
    }

    [Fact]
    public async Task A_port_in_use_keeps_the_host_from_starting()
    {
        using Socket holder = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        holder.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        holder.Listen();
        (IHost host, _) = ListenerHost.Build(s =>
        {
            s.AddNetListener("tcp", AnyPort, Echo);
            s.AddNetListener("tcp", $"{holder.LocalEndPoint}", Echo);
        });
        NetListenerService first = host.Services.GetServices<NetListenerService>().First();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => host.StartAsync());
        Assert.Equal(SocketError.AddressAlreadyInUse, e.SocketErrorCode);
        Assert.StartsWith($"listen tcp {holder.LocalEndPoint}: Address already in use", e.Message, StringComparison.Ordinal);

        // The listener that had started ends with the host.
        using Socket client = await ListenerHost.ConnectToAsync(first.LocalEndPoints[0]);
        await ((IAsyncDisposable)host).DisposeAsync();
        await Assert.ThrowsAsync<SocketException>(() => ListenerHost.ConnectToAsync(first.LocalEndPoints[0]));
    }

    [Theory]
    [InlineData("udp", ":0", "Network of listener \"udp :0\" \"udp\": tcp, tcp4, tcp6, unix or unixpacket was expected.")]
    [InlineData("", ":0", "Network of listener \" :0\" \"\": tcp, tcp4, tcp6, unix or unixpacket was expected.")]
    [InlineData("tcp", "nonsense", "listener \"tcp nonsense\": address \"nonsense\": the port is missing; host:port was expected")]
    [InlineData("tcp", ":70000", "listener \"tcp :70000\": address \":70000\": port \"70000\" is not a number from 0 to 65535")]
    public async Task An_address_that_cannot_be_keeps_the_host_from_starting(string network, string address, string message)
    {
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(
            () => ListenerHost.StartAsync(s => s.AddNetListener(network, address, Echo)));
        Assert.StartsWith(message, Assert.Single(e.Failures), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_that_cannot_be_keep_the_host_from_starting()
    {
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(
            () => ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, Echo, o =>
            {
                o.Name = "echo";
                o.Network = "TCP";
                o.PollerKey = "background";
                o.Address = null!;
                o.Listen = null!;
            })));
        Assert.Equal(
            [
                "Network of listener \"echo\" \"TCP\": tcp, tcp4, tcp6, unix or unixpacket was expected.",
                "Address of listener \"echo\": an address was expected; it is null.",
                "Listen of listener \"echo\": options were expected; it is null.",
                "PollerKey of listener \"echo\" \"background\": no poller has this key; AddKeyedPoller with it was expected.",
            ],
            e.Failures);

        ArgumentOutOfRangeException number = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => ListenerHost.StartAsync(
            s => s.AddNetListener("tcp", AnyPort, Echo, o => o.Listen = new ListenOptions { MaxConnections = -1 })));
        Assert.StartsWith("MaxConnections: a number above 0 was expected.", number.Message, StringComparison.Ordinal);
        Assert.Equal(-1, number.ActualValue);

        e = await Assert.ThrowsAsync<OptionsValidationException>(() => ListenerHost.StartAsync(
            s => s.AddNetListener("tcp4", AnyPort, Echo, o => o.Listen = new ListenOptions { DualStack = true })));
        Assert.StartsWith(
            "listener \"tcp4 127.0.0.1:0\": DualStack: a network of both families was expected; tcp4 is one family.",
            Assert.Single(e.Failures),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_address_may_come_from_the_configuration()
    {
        await using ListenerHost host = await ListenerHost.StartAsync(s => s
            .AddSettings(("Echo:Address", AnyPort))
            .AddNetListener("tcp", "nonsense", Echo)
            .Configure<Microsoft.Extensions.Configuration.IConfiguration>((o, settings) => o.Address = settings["Echo:Address"]!));
        using Socket client = await host.ConnectAsync();
        Assert.Equal(7, await client.AskAsync(7));
    }

    [Fact]
    public async Task A_limit_of_the_configuration_that_cannot_be_is_named()
    {
        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => ListenerHost.StartAsync(s =>
        {
            s.AddSettings(("Echo:Listen:MaxConnections", "-5"));
            s.AddNetListener("tcp", AnyPort, Echo).BindConfiguration("Echo");
        }));
        string failure = Assert.Single(e.Failures);
        Assert.Contains("MaxConnections: a number above 0 was expected.", failure, StringComparison.Ordinal);
        Assert.Contains("-5", failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_connection_has_a_scope_of_its_own()
    {
        BlockingCollection<string> ends = [];
        await using ListenerHost host = await ListenerHost.StartAsync(
            s => s.AddSingleton(ends).AddScoped<Counter>().AddNetListener<CountingHandler>("tcp", AnyPort));
        using Socket one = await host.ConnectAsync();
        using Socket other = await host.ConnectAsync();
        Assert.Equal(1, await one.AskAsync(0));
        Assert.Equal(2, await one.AskAsync(0));
        Assert.Equal(1, await other.AskAsync(0));
        one.Shutdown(SocketShutdown.Send);
        await one.AssertEndsAsync();

        // The scope ends before the connection is closed.
        Assert.True(ends.TryTake(out string? end));
        Assert.Equal("after 2", end);
        Assert.Equal(2, await other.AskAsync(0));
    }

    [Fact]
    public async Task A_handler_that_throws_ends_its_own_connection_and_is_logged_once()
    {
        await using ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, static async (conn, stopping) =>
        {
            byte[] buffer = new byte[1];
            await conn.ReadExactlyAsync(buffer, stopping);
            if (buffer[0] == 13) throw new InvalidTimeZoneException("thirteen");
            await conn.WriteAsync(buffer, stopping);
        }));
        using Socket unlucky = await host.ConnectAsync();
        await unlucky.SendAsync(new byte[] { 13 });
        await unlucky.AssertEndsAsync();
        using Socket lucky = await host.ConnectAsync();
        Assert.Equal(7, await lucky.AskAsync(7));
        await host.StopAsync();
        LogEntry failed = Assert.Single(host.Log.Entries, static entry => entry.Exception is not null);
        Assert.Equal((LogLevel.Error, "thirteen"), (failed.Level, failed.Exception!.Message));
        Assert.Matches($": tcp {AnyPort}: the handler of connection [0-9]+ failed\\.$", failed.Line);
    }

    [Fact]
    public async Task A_handler_that_throws_before_its_first_await_is_like_any_other()
    {
        await using ListenerHost host = await ListenerHost.StartAsync(
            s => s.AddNetListener("tcp", AnyPort, static (_, _) => throw new InvalidTimeZoneException()));
        using Socket one = await host.ConnectAsync();
        await one.AssertEndsAsync();
        using Socket other = await host.ConnectAsync();
        await other.AssertEndsAsync();
        await host.StopAsync();
        Assert.Equal(2, host.Log.Entries.Count(static entry => entry.Exception is InvalidTimeZoneException));
    }

    [Fact]
    public async Task A_peer_that_resets_is_no_error_of_the_handler()
    {
        await using ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, Echo));
        using (Socket client = await host.ConnectAsync())
        {
            Assert.Equal(1, await client.AskAsync(1));
            client.LingerState = new LingerOption(true, 0);
        }

        // A stop that comes first would end the connection, and not the reset.
        SpinWait.SpinUntil(() => host.Log.Lines.Any(IsEnd), ListenerHost.Patience);
        Assert.Contains(host.Log.Lines, IsEnd);
        await host.StopAsync();
        Assert.DoesNotContain(host.Log.Entries, static entry => entry.Level > LogLevel.Information);

        static bool IsEnd(string line) => line.Contains("ended: read tcp", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    public async Task A_handler_that_blocks_does_not_keep_the_listener_from_accepting(NetpollDispatch dispatch)
    {
        using ManualResetEventSlim release = new();
        using SemaphoreSlim blocked = new(0);
        int count = 0;
        await using ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.AddPoller(o => o.Dispatch = dispatch);
            s.AddNetListener("tcp", AnyPort, (conn, stopping) =>
            {
                if (Interlocked.Increment(ref count) > 1) return conn.EchoAsync(stopping);
                blocked.Release();
                release.Wait(ListenerHost.Patience, CancellationToken.None);
                return Task.CompletedTask;
            });
        });
        using Socket first = await host.ConnectAsync();
        Assert.True(await blocked.WaitAsync(ListenerHost.Patience));
        using Socket second = await host.ConnectAsync();
        Assert.Equal(5, await second.AskAsync(5));
        release.Set();
    }

    [Fact]
    public async Task What_a_handler_logs_has_the_connections_number_in_its_scope()
    {
        await using ListenerHost host = await ListenerHost.StartAsync(
            s => s.AddNetListener<LoggingHandler>("tcp", AnyPort, o => o.Name = "mine"));
        using Socket one = await host.ConnectAsync();
        await one.AssertEndsAsync();
        using Socket other = await host.ConnectAsync();
        await other.AssertEndsAsync();
        LogEntry[] served = [.. host.Log.Entries.Where(static entry => entry.Line.EndsWith(": served", StringComparison.Ordinal))];
        Assert.Equal(2, served.Length);
        Assert.All(served, static entry => Assert.Equal("mine", entry.Scope["Listener"]));
        Assert.Equal(2, served.Select(static entry => Assert.IsType<long>(entry.Scope["ConnectionId"])).Distinct().Count());
    }

    [Fact]
    public async Task A_stop_ends_the_listening_then_cancels_the_handlers_token_and_waits_for_them()
    {
        using SemaphoreSlim begun = new(0);
        EndPoint? address = null;
        await using ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, async (conn, stopping) =>
        {
            begun.Release();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => conn.ReadAsync(new byte[1], stopping).AsTask());
            await Assert.ThrowsAsync<SocketException>(() => ListenerHost.ConnectToAsync(address!));
            await conn.WriteAsync("bye"u8.ToArray(), CancellationToken.None);
        }));
        address = host.Address;
        using Socket client = await host.ConnectAsync();
        Assert.True(await begun.WaitAsync(ListenerHost.Patience));
        await host.StopAsync();
        byte[] got = new byte[8];
        Assert.Equal(3, await client.ReceiveAsync(got).WaitAsync(ListenerHost.Patience));
        await client.AssertEndsAsync();
        Assert.DoesNotContain(host.Log.Entries, static entry => entry.Level > LogLevel.Information);
    }

    [Fact]
    public async Task All_listeners_begin_to_stop_before_the_host_waits_for_the_first()
    {
        TaskCompletionSource otherStopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using SemaphoreSlim begun = new(0);
        await using ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.AddNetListener("tcp", AnyPort, async (conn, stopping) =>
            {
                begun.Release();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => conn.ReadAsync(new byte[1], stopping).AsTask());
                otherStopped.SetResult();
            });

            // A host stops its services in reverse order, so it waits for this one first.
            s.AddNetListener("tcp", AnyPort, (_, _) =>
            {
                begun.Release();
                return otherStopped.Task;
            });
        });
        using Socket one = await host.ConnectAsync();
        using Socket other = await host.ConnectAsync(host.Listeners[1].LocalEndPoints[0]);
        for (int i = 0; i < 2; i++) Assert.True(await begun.WaitAsync(ListenerHost.Patience));
        await host.StopAsync();
    }

    [Fact]
    public async Task Connections_that_are_left_when_the_time_is_over_are_closed()
    {
        using SemaphoreSlim begun = new(0);
        await using ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.Configure<HostOptions>(static o => o.ShutdownTimeout = TimeSpan.FromMilliseconds(50));
            s.AddNetListener("tcp", AnyPort, async (conn, _) =>
            {
                begun.Release();
                await conn.EchoAsync(CancellationToken.None);
            });
        });
        using Socket client = await host.ConnectAsync();
        Assert.True(await begun.WaitAsync(ListenerHost.Patience));
        await host.StopAsync();
        await client.AssertEndsAsync();
        Assert.Equal(0, host.Listeners[0].OpenConnections);
        LogEntry warning = Assert.Single(host.Log.Entries, static entry => entry.Level > LogLevel.Information);
        Assert.EndsWith("is over. Open connections, which are closed now: 1.", warning.Line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_handler_that_does_not_end_does_not_hang_the_stop()
    {
        TaskCompletionSource never = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using SemaphoreSlim begun = new(0);
        await using ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.Configure<HostOptions>(static o => o.ShutdownTimeout = TimeSpan.FromMilliseconds(1));
            s.AddNetListener("tcp", AnyPort, async (_, _) =>
            {
                begun.Release();
                await never.Task;
            });
        });
        using Socket client = await host.ConnectAsync();
        Assert.True(await begun.WaitAsync(ListenerHost.Patience));
        await host.StopAsync();
        await client.AssertEndsAsync();
        LogEntry error = Assert.Single(host.Log.Entries, static entry => entry.Level == LogLevel.Error);
        Assert.EndsWith("although their connections were closed a second ago: 1.", error.Line, StringComparison.Ordinal);

        // The dispose, which the container calls for each registration, waits and logs no second time.
        await host.DisposeServicesAsync();
        Assert.Same(error, Assert.Single(host.Log.Entries, static entry => entry.Level == LogLevel.Error));
        Assert.False(never.Task.IsCompleted);
        never.SetResult();
    }

    [Fact]
    public async Task A_handler_that_blocks_its_loop_in_inline_dispatch_does_not_hang_the_stop()
    {
        using ManualResetEventSlim release = new();
        using SemaphoreSlim blocked = new(0);
        await using ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.AddPoller(o => o.Dispatch = NetpollDispatch.Inline);
            s.Configure<HostOptions>(static o => o.ShutdownTimeout = TimeSpan.FromMilliseconds(1));
            s.AddNetListener("tcp", AnyPort, async (conn, _) =>
            {
                await conn.ReadExactlyAsync(new byte[1], CancellationToken.None);
                blocked.Release();
                release.Wait(ListenerHost.Patience, CancellationToken.None);
            });
        });
        using Socket client = await host.ConnectAsync();
        using Socket other = await host.ConnectAsync();
        await client.SendAsync(new byte[1]);
        Assert.True(await blocked.WaitAsync(ListenerHost.Patience));
        await host.StopAsync();
        release.Set();
    }

    [Fact]
    public async Task A_stop_without_time_warns_of_no_connection_if_none_is_open()
    {
        await using ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, (_, _) => Task.CompletedTask));
        await host.Listeners[0].StopAsync(new CancellationToken(canceled: true));
        Assert.DoesNotContain(host.Log.Entries, static entry => entry.Line.Contains("time for the shutdown", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_handler_that_blocks_its_loop_in_inline_dispatch_learns_of_the_stop_long_before_the_time_is_over()
    {
        using SemaphoreSlim blocked = new(0);
        await using ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.AddPoller(o => o.Dispatch = NetpollDispatch.Inline);
            s.AddNetListener("tcp", AnyPort, async (conn, stopping) =>
            {
                await RunOnLoopAsync(conn, () =>
                {
                    blocked.Release();
                    stopping.WaitHandle.WaitOne(ListenerHost.Patience);
                });
            });
        });
        using Socket client = await host.ConnectAsync();
        await SendUntilAsync(blocked, client);
        await host.StopAsync();
        Assert.DoesNotContain(host.Log.Entries, static entry => entry.Line.Contains("time for the shutdown", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_logger_that_throws_loses_no_connection()
    {
        await using ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.AddSingleton<ILoggerProvider>(new ThrowingScopes());
            s.AddNetListener("tcp", AnyPort, Echo);
        });
        using Socket client = await host.ConnectAsync();
        await client.AssertEndsAsync();
        await host.StopAsync();
        Assert.Equal(0, host.Listeners[0].OpenConnections);
        Assert.DoesNotContain(host.Log.Entries, static entry => entry.Level > LogLevel.Information);
    }

    [Fact]
    public void A_method_of_the_listeners_own_is_not_taken_for_a_handler()
    {
        // The box of an async method is of a generic type whose last argument is the method's state machine.
        Type machine = typeof(NetListenerService).GetNestedTypes(BindingFlags.NonPublic)
            .Single(static type => type.Name.StartsWith("<AcceptAsync>", StringComparison.Ordinal));
        HandlerTrace trace = default;
        trace.Set(null!, static _ => { }, Activator.CreateInstance(typeof(List<>).MakeGenericType(machine)));
        Assert.Equal("that awaits Poller.DependencyInjection.NetListenerService.AcceptAsync", HandlerNames.Of(trace));
    }

    [Fact]
    public async Task The_end_of_the_services_closes_what_is_open()
    {
        using SemaphoreSlim begun = new(0);
        ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, async (conn, _) =>
        {
            begun.Release();
            await conn.EchoAsync(CancellationToken.None);
        }));
        EndPoint address = host.Address;
        using Socket client = await host.ConnectAsync();
        Assert.True(await begun.WaitAsync(ListenerHost.Patience));
        await host.DisposeServicesAsync();
        await client.AssertEndsAsync();
        await Assert.ThrowsAsync<SocketException>(() => ListenerHost.ConnectToAsync(address));
        Assert.DoesNotContain(host.Log.Entries, static entry => entry.Level > LogLevel.Information);
    }

    [Fact]
    public async Task The_end_of_the_services_cancels_the_token_for_which_a_handler_blocks()
    {
        using SemaphoreSlim blocked = new(0);
        TaskCompletionSource<bool> cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, async (conn, stopping) =>
        {
            await RunOnLoopAsync(conn, () =>
            {
                blocked.Release();
                cancelled.SetResult(stopping.WaitHandle.WaitOne(ListenerHost.Patience));
            });
        }));

        // Asking for NetListenerService itself would have the container dispose it once more, before the poller.
        NetListenerService listener = Assert.Single(host.Services.GetServices<IHostedService>().OfType<NetListenerService>());
        using Socket client = await host.ConnectAsync(listener.LocalEndPoints[0]);
        await SendUntilAsync(blocked, client);
        await host.DisposeServicesAsync();
        Assert.True(await cancelled.Task.WaitAsync(ListenerHost.Patience));
        Assert.DoesNotContain(host.Log.Entries, static entry => entry.Level > LogLevel.Information);
    }

    [Fact]
    public async Task A_listener_whose_poller_is_disposed_stops_the_host_and_the_stop_throws()
    {
        ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, Echo));
        IHostApplicationLifetime lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
        TaskCompletionSource stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registration = lifetime.ApplicationStopping.Register(stopping.SetResult);
        await host.Services.GetRequiredService<Netpoller>().DisposeAsync();
        await stopping.Task.WaitAsync(ListenerHost.Patience);
        IOException e = await Assert.ThrowsAsync<IOException>(() => host.StopAsync());
        Assert.StartsWith($"listener \"tcp {AnyPort}\": Its poller was disposed.", e.Message, StringComparison.Ordinal);
        Assert.Single(host.Log.Entries, static entry => entry.Level == LogLevel.Critical);
        await host.DisposeServicesAsync();
    }

    [Theory]
    [InlineData(SocketError.TimedOut, true, LogLevel.Debug)] // Keep-alive found no peer.
    [InlineData(SocketError.HostUnreachable, true, LogLevel.Debug)]
    [InlineData(SocketError.ConnectionReset, true, LogLevel.Debug)]
    [InlineData(SocketError.ConnectionReset, false, LogLevel.Error)]
    [InlineData(SocketError.TimedOut, false, LogLevel.Error)]
    [InlineData(SocketError.NoBufferSpaceAvailable, true, LogLevel.Error)]
    public async Task The_end_of_a_handlers_own_connection_alone_is_no_error(SocketError error, bool isItsOwn, LogLevel level)
    {
        IPEndPoint other = new(IPAddress.Loopback, 1);
        await using ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, (conn, _) =>
            throw new IOException("wrapped", new NetOpException(
                "read", "tcp", conn.LocalEndPoint, isItsOwn ? conn.RemoteEndPoint : other, error))));
        using Socket client = await host.ConnectAsync();
        await client.AssertEndsAsync();
        await host.StopAsync();
        LogEntry entry = Assert.Single(
            host.Log.Entries,
            static entry => entry.Line.Contains(" failed.", StringComparison.Ordinal)
                || entry.Line.EndsWith(" ended: wrapped", StringComparison.Ordinal));
        Assert.Equal(level, entry.Level);
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    public async Task A_handler_that_blocks_its_thread_for_good_does_not_keep_the_services_from_ending(NetpollDispatch dispatch)
    {
        using ManualResetEventSlim never = new();
        using SemaphoreSlim blocked = new(0);
        ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.AddPoller(o => o.Dispatch = dispatch);
            s.Configure<HostOptions>(static o => o.ShutdownTimeout = TimeSpan.FromMilliseconds(1));
            s.AddNetListener("tcp", AnyPort, async (conn, _) =>
            {
                await RunOnLoopAsync(conn, () =>
                {
                    blocked.Release();
                    never.Wait(CancellationToken.None);
                });
            });
        });
        try
        {
            using Socket client = await host.ConnectAsync();
            await SendUntilAsync(blocked, client);
            await host.StopAsync();
            await host.DisposeServicesAsync();
            LogEntry warning = Assert.Single(
                host.Log.Entries, static entry => entry.Line.Contains("does not wait for them", StringComparison.Ordinal));
            Assert.Equal(LogLevel.Warning, warning.Level);
        }
        finally
        {
            never.Set();
        }
    }

    [Fact]
    public async Task A_callback_of_the_token_that_throws_is_logged_and_ends_nothing_else()
    {
        using SemaphoreSlim begun = new(0);
        await using ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, async (conn, stopping) =>
        {
            await using CancellationTokenRegistration bad = stopping.Register(static () => throw new InvalidTimeZoneException());
            begun.Release();
            await conn.EchoAsync(stopping);
        }));
        using Socket client = await host.ConnectAsync();
        Assert.True(await begun.WaitAsync(ListenerHost.Patience));
        await host.StopAsync();
        await client.AssertEndsAsync();
        LogEntry warning = Assert.Single(host.Log.Entries, static entry => entry.Level > LogLevel.Information);
        Assert.EndsWith("a handler's callback for the stop failed.", warning.Line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_limits_of_the_listen_options_hold()
    {
        ListenOptions listen = new() { MaxConnections = 1, IdleTimeout = TimeSpan.FromSeconds(1) };
        await using ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener("tcp", AnyPort, Echo, o => o.Listen = listen));
        using Socket first = await host.ConnectAsync();
        Assert.Equal(1, await first.AskAsync(1));
        using Socket second = await host.ConnectAsync();
        Task<byte> answer = second.AskAsync(2); // It is served when the first connection has been idle.
        await first.AssertEndsAsync();
        Assert.Equal(2, await answer);
        await host.StopAsync();
        Assert.Contains(host.Log.Lines, static line => line.Contains("idle time-out of 1000 ms", StringComparison.Ordinal));
        Assert.DoesNotContain(host.Log.Entries, static entry => entry.Level > LogLevel.Information);
    }

    [Fact]
    public async Task With_ReusePort_each_loop_has_a_listener_and_all_have_one_address()
    {
        await using ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.AddPoller(static o => o.Loops = 3);
            s.AddNetListener("tcp", AnyPort, Echo, static o => o.Listen = new ListenOptions { ReusePort = true });
        });
        Assert.Single(host.Listeners[0].LocalEndPoints);
        int port = ((IPEndPoint)host.Address).Port;
        string hex = $":{port:X4} 00000000:0000 0A"; // The state of a listening socket.
        Assert.Equal(3, File.ReadLines("/proc/net/tcp").Count(line => line.Contains(hex, StringComparison.Ordinal)));
        List<Socket> clients = [];
        for (int i = 0; i < 12; i++) clients.Add(await host.ConnectAsync());
        foreach (Socket client in clients) Assert.Equal(9, await client.AskAsync(9));
        clients.ForEach(static client => client.Dispose());
    }

    [Fact]
    public async Task Several_listeners_run_over_different_networks_and_pollers()
    {
        string path = Path.Combine(Path.GetTempPath(), $"listener-{Guid.NewGuid():N}.sock");
        await using (ListenerHost host = await ListenerHost.StartAsync(s =>
        {
            s.AddKeyedPoller("background").UsePosix();
            s.AddNetListener("tcp", AnyPort, Echo);
            s.AddNetListener("tcp", AnyPort, Echo, o => o.PollerKey = "background");
            s.AddNetListener("unix", path, Echo);
            s.AddNetListener("unixpacket", $"@{Guid.NewGuid():N}", Echo);
        }))
        {
            Assert.Equal(4, host.Listeners.Length);
            Assert.Equal(4, host.Listeners.SelectMany(static listener => listener.LocalEndPoints).Distinct().Count());
            foreach (NetListenerService listener in host.Listeners[..3])
            {
                using Socket client = await host.ConnectAsync(listener.LocalEndPoints[0]);
                Assert.Equal(3, await client.AskAsync(3));
            }
            Assert.True(host.Services.GetRequiredKeyedService<Netpoller>("background").Statistics.Polls > 0);
            Assert.True(File.Exists(path));
        }
        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task A_listener_whose_accepts_fail_stops_the_host_and_the_stop_throws()
    {
        nint listening = -1;
        ListenerHost host = await ListenerHost.StartAsync(s => s.AddNetListener(
            "tcp", AnyPort, Echo, o => o.Listen = new ListenOptions { Control = (fd, _, _) => listening = fd }));

        // The first accept begins on the pool. The second one waits, and so fails on the loop.
        using (Socket client = await host.ConnectAsync())
        {
            await client.SendAsync(new byte[1]);
            Assert.Equal(1, await client.ReceiveAsync(new byte[1]).WaitAsync(ListenerHost.Patience));
        }
        IHostApplicationLifetime lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
        TaskCompletionSource<bool> stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registration =
            lifetime.ApplicationStopping.Register(() => stopping.SetResult(Thread.CurrentThread.IsThreadPoolThread));

        // Socket.Shutdown would use the descriptor once more, which the listener may have closed by then.
        Assert.Equal(0, Shutdown((int)listening, (int)SocketShutdown.Both));
        Assert.True(await stopping.Task.WaitAsync(ListenerHost.Patience), "the app's callback ran on the loop's thread.");
        IOException e = await Assert.ThrowsAsync<IOException>(() => host.StopAsync());
        Assert.StartsWith($"listener \"tcp {AnyPort}\": accept tcp 127.0.0.1:", e.Message, StringComparison.Ordinal);
        Assert.Contains(host.Log.Entries, static entry => entry.Level == LogLevel.Critical);
        await host.DisposeServicesAsync();
    }

    [Fact]
    public async Task No_listener_listens_before_its_host_starts()
    {
        (IHost host, _) = ListenerHost.Build(s => s.AddNetListener("tcp", AnyPort, Echo));
        using (host)
        {
            NetListenerService listener = host.Services.GetRequiredService<NetListenerService>();
            Assert.Empty(listener.LocalEndPoints);
            Assert.Equal(0, listener.OpenConnections);
            await host.StopAsync().WaitAsync(ListenerHost.Patience);
        }
    }

    // A read that finds its byte there goes on on the thread pool, where the handler began. One that waits goes on on a thread of the loop,
    // but who awaits this method may already be past that on the pool.
    private static async Task RunOnLoopAsync(Conn conn, Action action)
    {
        do
        {
            await conn.ReadExactlyAsync(new byte[1], CancellationToken.None);
        }
        while (Thread.CurrentThread.IsThreadPoolThread);
        action();
    }

    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    private static partial int Shutdown(int fd, int how);

    private static async Task SendUntilAsync(SemaphoreSlim reached, Socket client)
    {
        do await client.SendAsync(new byte[1]);
        while (!await reached.WaitAsync(TimeSpan.FromMilliseconds(20)));
    }

    private sealed class Counter(BlockingCollection<string> ends) : IAsyncDisposable
    {
        public byte Count { get; set; }

        public ValueTask DisposeAsync()
        {
            ends.Add($"after {Count}");
            return default;
        }
    }

    private sealed class CountingHandler(Counter counter) : IConnHandler
    {
        public async Task HandleAsync(Conn conn, CancellationToken stopping)
        {
            byte[] buffer = new byte[1];
            while (await conn.ReadAsync(buffer, stopping) > 0)
            {
                buffer[0] = ++counter.Count;
                await conn.WriteAsync(buffer, stopping);
            }
        }
    }

    private sealed class LoggingHandler(ILogger<LoggingHandler> logger) : IConnHandler
    {
        public async Task HandleAsync(Conn conn, CancellationToken stopping)
        {
            await Task.Yield();
#pragma warning disable CA1848, CA1873, CA2254 // A test logs one line.
            logger.LogInformation("served");
#pragma warning restore CA1848, CA1873, CA2254
        }
    }

    // A logger that throws when a connection begins.
    private sealed class ThrowingScopes : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull =>
            throw new InvalidTimeZoneException("a logger that throws");

        public bool IsEnabled(LogLevel logLevel) => false;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
        }

        public void Dispose()
        {
        }
    }
}
