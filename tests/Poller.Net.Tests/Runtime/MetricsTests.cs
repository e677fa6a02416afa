using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>What the meter of a poller shows.</summary>
public sealed class MetricsTests
{
    private static readonly IPEndPoint Loopback = new(IPAddress.Loopback, 0);

    [Fact]
    public async Task The_instruments_have_the_names_and_units_that_the_docs_list()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges);
        await PairAsync(poller);
        Assert.Equal(
            [
                "poller.accepts {connection} ObservableCounter",
                "poller.breaks {break} ObservableCounter",
                "poller.connections {connection} ObservableUpDownCounter",
                "poller.deadlines.expired {wait} ObservableCounter",
                "poller.descriptors {descriptor} ObservableUpDownCounter",
                "poller.dispatch.delay s Histogram",
                "poller.errors {error} Counter",
                "poller.events {event} ObservableCounter",
                "poller.handler.stall s Histogram",
                "poller.handlers.blocked {handler} ObservableUpDownCounter",
                "poller.loop.stall s ObservableGauge",
                "poller.network.io By ObservableCounter",
                "poller.overflows {handler} ObservableCounter",
                "poller.polls {poll} ObservableCounter",
                "poller.promotions {promotion} ObservableCounter",
            ],
            gauges.Instruments.Select(static instrument => $"{instrument.Name} {instrument.Unit} {instrument.GetType().Name.Split('`')[0]}"));
        Assert.All(gauges.Instruments, static instrument => Assert.Equal("Poller.Net", instrument.Meter.Name));
    }

    [Fact]
    public async Task Descriptors_connections_and_accepts_are_counted_for_each_loop()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges, loops: 2);
        NetStack net = new(poller);
        TcpConnListener listener = net.ListenTcp(Loopback);
        TcpConn client = await net.DialTcpAsync(listener.LocalEndPoint);
        TcpConn server = await listener.AcceptTcpAsync();
        UdpConn packets = net.ListenUdp(Loopback);
        Assert.Equal(2, gauges["poller.connections poller.name=test"]);
        Assert.Equal(4, gauges["poller.descriptors"]);
        Assert.Equal(1, gauges["poller.accepts"]);
        Assert.Equal(2, gauges["poller.descriptors poller.loop=0"]);
        Assert.Equal(2, gauges["poller.descriptors poller.loop=1"]);
        listener.Dispose();
        client.Dispose();
        server.Dispose();
        packets.Dispose();
        Assert.Equal(0, gauges["poller.connections"]);
        Assert.Equal(0, gauges["poller.descriptors"]);
        Assert.Equal(1, gauges["poller.accepts"]);
    }

    [Fact]
    public async Task A_dial_that_fails_leaves_no_connection()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges);
        NetStack net = new(poller);
        using Socket silent = Raw.Bind();
        await Assert.ThrowsAsync<NetOpException>(() => net.DialTcpAsync((IPEndPoint)silent.LocalEndPoint!).AsTask());
        Assert.Equal(0, gauges["poller.connections"]);
    }

    [Fact]
    public async Task Bytes_are_counted_by_direction_however_they_are_moved()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges);
        NetStack net = new(poller);
        (TcpConn client, TcpConn server) = await PairAsync(poller);
        using TemporaryFile file = new(1_000);
        await client.WriteAsync(new byte[10]);
        client.Write(new byte[20]);
        await client.WriteAsync([new byte[30], new byte[40]]);
        Assert.Equal(1_000, await client.SendFileAsync(file.Handle));
        Assert.Equal(1_100, gauges["poller.network.io network.io.direction=transmit"]);
        await server.ReadExactlyAsync(new byte[1_100]);
        Assert.Equal(1_100, gauges["poller.network.io network.io.direction=receive"]);

        using UdpConn one = net.ListenUdp(Loopback), other = net.ListenUdp(Loopback);
        await one.SendToAsync(new byte[300], (IPEndPoint)other.LocalEndPoint);
        await other.ReceiveFromAsync(new byte[400]);
        Assert.Equal(1_400, gauges["poller.network.io network.io.direction=transmit"]);
        Assert.Equal(1_400, gauges["poller.network.io network.io.direction=receive"]);
    }

    [Fact]
    public async Task While_nobody_listens_nothing_is_counted_that_costs_anything()
    {
        using Gauges gauges = new("poller.accepts");
        using Netpoller poller = Open(gauges);
        (TcpConn client, TcpConn server) = await PairAsync(poller);
        await client.WriteAsync(One);
        await server.ReadExactlyAsync(new byte[1]);
        Assert.False(poller.Metrics.CountsBytes);
        Assert.False(poller.Metrics.MeasuresDelay);
        Assert.Equal(0, poller.Loops[0].BytesSent);
    }

    [Fact]
    public async Task Errors_are_counted_by_operation_and_type()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges);
        (TcpConn client, TcpConn server) = await PairAsync(poller);
        server.SetReadDeadline(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).AsTask());
        Assert.Equal(1, gauges["poller.errors error.type=timed_out poller.operation=read"]);
        Assert.Throws<NetOpException>(() => server.Read(new byte[1]));
        Assert.Equal(2, gauges["poller.errors error.type=timed_out poller.operation=read"]);
        server.SetReadDeadline(Timeout.InfiniteTimeSpan);

        // Neither a cancellation nor a close on this side is an error of the network.
        using CancellationTokenSource cancel = new();
        Task<int> canceled = server.ReadAsync(new byte[1], cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled);
        Assert.Equal(2, gauges["poller.errors"]);

        client.LingerState = new LingerOption(true, 0);
        client.Dispose();
        await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).AsTask());
        Assert.Equal(1, gauges["poller.errors error.type=connection_reset poller.operation=read poller.name=test poller.loop=0"]);
    }

    [Theory]
    [InlineData("poller.errors")]
    [InlineData("poller.dispatch.delay")]
    [InlineData("poller.handler.stall")]
    public async Task A_listener_that_throws_changes_no_operation_and_ends_no_loop(string instrument)
    {
        using Gauges gauges = new(instrument);
        using SemaphoreSlim thrown = new(0);
        gauges.Recording = _ =>
        {
            thrown.Release();
            throw new InvalidTimeZoneException();
        };
        using Netpoller poller = Open(gauges);
        (TcpConn client, TcpConn server) = await PairAsync(poller);
        server.SetReadDeadline(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).AsTask().Within());
        await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).AsTask().Within());
        server.SetReadDeadline(Timeout.InfiniteTimeSpan);
        Task slow = ReadAndBlockAsync(server);
        await client.WriteAsync(One);
        await slow.Within();
        Assert.True(await thrown.WaitAsync(Fixture.Patience));
        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        await client.WriteAsync(One);
        Assert.Equal(1, await read.Within());

        static async Task ReadAndBlockAsync(TcpConn conn)
        {
            Assert.Equal(1, await conn.ReadAsync(new byte[1]).ConfigureAwait(false));
            Stall();
        }
    }

    [Fact]
    public async Task A_wait_that_a_deadline_ends_is_counted()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges);
        (TcpConn _, TcpConn server) = await PairAsync(poller);
        server.SetReadDeadline(TimeSpan.FromMilliseconds(1)); // Nobody waits while it passes, or the read does.
        await Assert.ThrowsAsync<NetOpException>(() => server.ReadAsync(new byte[1]).AsTask());
        double? before = gauges["poller.deadlines.expired"];
        server.SetReadDeadline(Timeout.InfiniteTimeSpan);
        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        server.SetReadDeadline(TimeSpan.Zero);
        await Assert.ThrowsAsync<NetOpException>(() => read);
        Assert.Equal(before + 1, gauges["poller.deadlines.expired"]);
    }

    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task The_delay_of_a_handler_is_measured(NetpollDispatch dispatch)
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges, dispatch);
        (TcpConn client, TcpConn server) = await PairAsync(poller);
        double before = gauges["poller.dispatch.delay"] ?? 0;
        Task<int> read = server.ReadAsync(new byte[1]).AsTask();
        await client.WriteAsync(One);
        await read.WaitAsync(Fixture.Patience);
        Assert.InRange(gauges["poller.dispatch.delay poller.loop=0"]!.Value, double.BitIncrement(before), before + 10);
    }

    [Fact]
    public async Task A_loop_that_stands_still_shows_for_how_long()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges, NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await PairAsync(poller);
        await Task.Yield();
        using ManualResetEventSlim release = new();
        Task blocked = BlockAsync();
        await Operation.OnOwnThread(() =>
        {
            client.Write(One);
            Assert.True(SpinWait.SpinUntil(() => gauges["poller.loop.stall poller.loop=0"] > 0.01, Fixture.Patience));
            release.Set();
            Assert.True(SpinWait.SpinUntil(() => gauges["poller.loop.stall poller.loop=0"] == 0, Fixture.Patience));
        });
        await blocked.WaitAsync(Fixture.Patience);

        async Task BlockAsync()
        {
            await server.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
            release.Wait();
        }
    }

    [Fact]
    public async Task Polls_events_and_hand_overs_are_those_of_the_statistics()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges);
        (TcpConn client, TcpConn server) = await PairAsync(poller);
        await client.WriteAsync(One);
        await server.ReadExactlyAsync(new byte[1]);
        NetpollerStatistics before = poller.Statistics;
        double[] seen = [gauges["poller.polls"]!.Value, gauges["poller.events"]!.Value, gauges["poller.breaks"]!.Value];
        NetpollerStatistics after = poller.Statistics;
        Assert.InRange(seen[0], before.Polls, after.Polls);
        Assert.InRange(seen[1], before.Events, after.Events);
        Assert.InRange(seen[2], before.Breaks, after.Breaks);
        Assert.True(before.Events > 0);
        Assert.NotNull(gauges["poller.promotions"]);
        Assert.NotNull(gauges["poller.overflows"]);
        Assert.NotNull(gauges["poller.handlers.blocked"]);
    }

    [Fact]
    public async Task A_poller_that_is_disposed_shows_nothing_more()
    {
        using Gauges gauges = new();
        using Netpoller poller = Open(gauges);
        await PairAsync(poller);
        Assert.NotNull(gauges["poller.polls"]);
        await poller.DisposeAsync();
        Assert.Null(gauges["poller.polls"]);
        Assert.Null(gauges["poller.loop.stall"]);
    }

    [Fact]
    public async Task Without_a_factory_the_meter_is_the_pollers_own_and_ends_with_it()
    {
        Netpoller poller = new(EpollBackend.Factory, new NetpollerOptions { Name = "own" });
        Assert.Equal("own", poller.Name);
        ConcurrentDictionary<Instrument, bool> ours = new();
        ConcurrentBag<Instrument> ended = [];
        using MeterListener listener = new()
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument is { Name: "poller.polls", Meter.Name: "Poller.Net" }) listener.EnableMeasurementEvents(instrument);
            },
            MeasurementsCompleted = (instrument, _) => ended.Add(instrument),
        };
        listener.SetMeasurementEventCallback<long>((instrument, _, tags, _) =>
        {
            if (tags.Contains(new("poller.name", "own"))) ours[instrument] = true;
        });
        await PairAsync(poller);
        listener.Start();
        listener.RecordObservableInstruments();
        Instrument polls = Assert.Single(ours.Keys);
        await poller.DisposeAsync();
        Assert.Contains(polls, ended);
    }

    private static Netpoller Open(Gauges gauges, NetpollDispatch dispatch = NetpollDispatch.Adaptive, int loops = 1) =>
        new(EpollBackend.Factory, new NetpollerOptions { Name = "test", Dispatch = dispatch, Loops = loops, MeterFactory = gauges });

    private static async Task<(TcpConn Client, TcpConn Server)> PairAsync(Netpoller poller)
    {
        NetStack net = new(poller);
        using TcpConnListener listener = net.ListenTcp(Loopback);
        TcpConn client = await net.DialTcpAsync(listener.LocalEndPoint);
        TcpConn server = await listener.AcceptTcpAsync();
        await Task.Yield(); // Leave the loop's thread, where the await may have continued.
        return (client, server);
    }
}
