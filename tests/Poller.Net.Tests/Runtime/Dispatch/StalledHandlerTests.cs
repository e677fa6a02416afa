using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>A handler that blocks its thread is named.</summary>
[Collection(nameof(Alone))]
public sealed class StalledHandlerTests : IDisposable
{
    private const string Here = "Poller.Net.Tests.StalledHandlerTests";

    private const int AtLeast = 10; // Ms.

    private readonly CapturingLogger _log = new() { KeepsBlocked = true };

    public void Dispose() => _log.Dispose();

    [Fact]
    public async Task A_handler_that_blocks_is_named_with_its_connection_and_for_how_long()
    {
        using Fixture fixture = new(EpollBackend.Factory, log: _log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        string addresses = $"{server.LocalEndPoint}->{server.RemoteEndPoint}";
        Task handler = BlockAsync(server);
        client.Write(One);
        await handler.WaitAsync(Fixture.Patience);
        string start = $"Handler {Here}.BlockAsync on tcp {addresses} blocked its thread for ";
        (LogLevel level, string text) = await LineAsync(start); // After a second there was another line before it.
        Assert.Equal(LogLevel.Information, level);
        Assert.StartsWith(start, text, StringComparison.Ordinal);
        Assert.EndsWith(" ms.", text, StringComparison.Ordinal);
        Assert.InRange(int.Parse(text[start.Length..^4], null), AtLeast, (int)Fixture.Patience.TotalMilliseconds);
    }

    [Fact]
    public async Task An_address_that_nobody_asked_for_is_left_out()
    {
        using Fixture fixture = new(EpollBackend.Factory, log: _log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task handler = BlockAsync(server);
        client.Write(One);
        await handler.WaitAsync(Fixture.Patience);
        await LineAsync($"Handler {Here}.BlockAsync on tcp {client.LocalEndPoint} blocked ");
    }

    [Fact]
    public async Task A_handler_behind_readers_of_the_library_is_named_and_not_the_readers()
    {
        using Fixture fixture = new(EpollBackend.Factory, log: _log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Task handler = ReadLineAsync();
        client.Write(Encoding.UTF8.GetBytes("line\n"));
        await handler.WaitAsync(Fixture.Patience);
        await LineAsync($"Handler {Here}.{nameof(A_handler_behind_readers_of_the_library_is_named_and_not_the_readers)}.ReadLineAsync on tcp");

        async Task ReadLineAsync()
        {
            using StreamReader reader = new(server, leaveOpen: true);
            Assert.Equal("line", await reader.ReadLineAsync().ConfigureAwait(false));
            Stall();
        }
    }

    [Fact]
    public async Task A_handler_that_awaits_a_task_of_a_read_is_named()
    {
        using Fixture fixture = new(EpollBackend.Factory, log: _log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        Func<Task> read = async () =>
        {
            await Task.WhenAll(server.ReadAsync(new byte[1]).AsTask()).ConfigureAwait(false);
            Stall();
        };
        Task handler = read();
        client.Write(One);
        await handler.WaitAsync(Fixture.Patience);
        await LineAsync($"Handler {Here}.{nameof(A_handler_that_awaits_a_task_of_a_read_is_named)}.lambda on tcp");
    }

    [Fact]
    public async Task A_callback_without_an_async_method_is_named()
    {
        using Fixture fixture = new(EpollBackend.Factory, log: _log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Then(server.ReadAsync(new byte[1]), () =>
        {
            Stall();
            done.SetResult();
        });
        client.Write(One);
        await done.Task.WaitAsync(Fixture.Patience);
        await LineAsync($"Handler {Here}.{nameof(A_callback_without_an_async_method_is_named)}.lambda on tcp");
    }

    // The thread blocks in a call of this library, and so hands over the lead itself.
    [Fact]
    public async Task A_handler_that_blocks_on_a_read_of_its_own_is_named()
    {
        using Fixture fixture = new(EpollBackend.Factory, log: _log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim blocks = new();
        LoopThread? blocked = null;
        Task handler = SyncOverAsync();
        await Operation.OnOwnThread(() =>
        {
            client.Write(One);
            Assert.True(blocks.Wait(Fixture.Patience));
            AwaitLook(blocked!);
            Thread.Sleep(AtLeast);
            client.Write(One);
        });
        await handler.WaitAsync(Fixture.Patience);
        await LineAsync(".SyncOverAsync on tcp");

        async Task SyncOverAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            blocked = LoopThread.Current;
            blocks.Set();
            server.ReadExactly(new byte[1]);
        }
    }

    [Fact]
    public async Task A_handler_that_does_not_come_back_is_named_after_a_second()
    {
        using Fixture fixture = new(EpollBackend.Factory, log: _log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim release = new();
        Task handler = HangAsync();
        long start = Stopwatch.GetTimestamp();
        client.Write(One);
        (LogLevel level, string text) = await LineAsync(".HangAsync on tcp");
        Assert.True(Stopwatch.GetElapsedTime(start) >= TimeSpan.FromSeconds(1), "it was reported too early.");
        Assert.Equal(LogLevel.Warning, level);
        Match time = Regex.Match(text, " has blocked its thread for ([0-9]+) ms so far[.]$");
        Assert.InRange(int.Parse(time.Groups[1].Value, null), 1_000, (int)Fixture.Patience.TotalMilliseconds);
        release.Set();
        await handler.WaitAsync(Fixture.Patience);

        async Task HangAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            release.Wait();
        }
    }

    // Most of them run on helpers, which are not deposed.
    [Fact]
    public async Task Every_handler_that_blocks_is_counted()
    {
        const int Count = 8;
        const int Rounds = 3;
        using Gauges gauges = new("poller.handler.stall");
        using Netpoller poller = new(EpollBackend.Factory, new NetpollerOptions { LoggerFactory = _log, MeterFactory = gauges });
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        for (int round = 0; round < Rounds; round++)
        {
            List<TcpConn> clients = [];
            List<Task> handlers = [];
            for (int i = 0; i < Count; i++)
            {
                clients.Add(await net.DialTcpAsync(listener.LocalEndPoint));
                handlers.Add(BlockAsync(await listener.AcceptTcpAsync()));
            }
            await Operation.OnOwnThread(() => clients.ForEach(static client => client.Write(One)));
            await Task.WhenAll(handlers).WaitAsync(Fixture.Patience);
            clients.ForEach(static client => client.Dispose());
        }
        double least = Count * Rounds * AtLeast / 1_000.0;
        Assert.True(
            SpinWait.SpinUntil(() => gauges[$"poller.handler.stall code.function.name={Here}.BlockAsync"] >= least, Fixture.Patience),
            $"{gauges["poller.handler.stall"]} s were counted; at least {least} were expected.");
    }

    [Fact]
    public void Of_a_method_the_first_stall_is_shown_and_then_one_a_second_with_a_count_of_the_others()
    {
        StalledHandlers stalls = new();
        Assert.Equal(new StalledHandler("A", "tcp", 35, true, 0), Note("A", 0));
        Assert.Null(Note("A", 1));
        Assert.NotNull(Note("B", 2));
        Assert.Null(Note("A", 999));
        Assert.Equal(2, Note("A", 1_000)!.Hidden);
        Assert.Null(Note("A", 1_999));
        Assert.Equal(1, Note("A", 2_500)!.Hidden);

        StalledHandler? Note(string handler, long now) => stalls.Note(handler, "tcp", TimeSpan.FromMilliseconds(35), isOver: true, now);
    }

    [Fact]
    public void The_end_of_a_stall_that_was_shown_before_it_was_over_is_shown_too()
    {
        StalledHandlers stalls = new();
        Assert.NotNull(Note("tcp 1", isOver: false, 1_000));
        Assert.Null(Note("tcp 2", isOver: true, 1_100));
        Assert.Equal(new StalledHandler("A", "tcp 1", 35, IsOver: true, Hidden: 1), Note("tcp 1", isOver: true, 1_400));
        Assert.Null(Note("tcp 1", isOver: true, 1_500));

        StalledHandler? Note(string connection, bool isOver, long now) =>
            stalls.Note("A", connection, TimeSpan.FromMilliseconds(35), isOver, now);
    }

    [Theory]
    [InlineData("<HandleAsync>d__5", "HandleAsync")]
    [InlineData("<HandleAsync>d__5`1", "HandleAsync")]
    [InlineData("<<RunAsync>b__2_0>d", "RunAsync.lambda")]
    [InlineData("<<RunAsync>g__Serve|2_0>d", "RunAsync.Serve")]
    [InlineData("<<<Main>$>g__Serve|0_0>d", "Main.Serve")]
    [InlineData("<Main>$", "Main")]
    [InlineData("Handle", "Handle")]
    [InlineData("<", "<")]
    [InlineData("", "")]
    public void The_name_of_a_method_is_the_users(string compiled, string name) => Assert.Equal(name, HandlerNames.Readable(compiled));

    [Fact]
    public async Task A_thread_does_not_keep_a_handler_that_has_ended()
    {
        using Fixture fixture = new(EpollBackend.Factory, log: _log);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        WeakReference kept = await HandleAsync(client, server);
        await Task.Yield(); // It may have continued on the handler's own stack.
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                GC.Collect();
                return !kept.IsAlive;
            },
            Fixture.Patience));

        [MethodImpl(MethodImplOptions.NoInlining)]
        static async Task<WeakReference> HandleAsync(TcpConn client, TcpConn server)
        {
            object local = new();
            WeakReference weak = new(local);
            Task handler = HoldAsync(server, local);
            client.Write(One);
            await handler.WaitAsync(Fixture.Patience);
            return weak;
        }

        static async Task HoldAsync(TcpConn server, object local)
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            GC.KeepAlive(local);
        }
    }

    private static async Task BlockAsync(TcpConn conn)
    {
        await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
        Stall();
    }

    // On a busy machine a handler of the set-up may have to wait for a core, and be named too.
    private async Task<(LogLevel Level, string Text)> LineAsync(string part)
    {
        while (true)
        {
            (LogLevel level, string text, Exception? _) =
                _log.Entries.FirstOrDefault(entry => entry.Text.Contains(part, StringComparison.Ordinal));
            if (text is not null) return (level, text);
            await _log.NextAsync();
        }
    }
}
