using static Poller.Net.Tests.Handlers;

namespace Poller.Net.Tests;

/// <summary>A probe shows whether a loop comes round.</summary>
[Collection(nameof(Alone))]
public sealed class ProbeTests : NetTest<EpollBackend>
{
    [Theory]
    [InlineData(NetpollDispatch.Adaptive)]
    [InlineData(NetpollDispatch.Inline)]
    [InlineData(NetpollDispatch.ThreadPool)]
    public async Task Idle_loops_come_round(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch, loops: 2);
        Assert.Empty(await fixture.Poller.ProbeAsync(Fixture.Patience));
        _ = fixture.Poller.Loops;
        IReadOnlyList<LoopProbe> probes = await fixture.Poller.ProbeAsync(Fixture.Patience);
        Assert.Equal([0, 1], probes.Select(static probe => probe.Loop));
        Assert.All(probes, static probe => Assert.True(probe.Responded && probe.Elapsed > TimeSpan.Zero && probe.Failure is null));
    }

    [Fact]
    public async Task A_loop_whose_handler_blocks_does_not_come_round_inline_and_later_does()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim entered = new(), release = new();
        Task handler = BlockAsync(server, entered, release);
        await Operation.OnOwnThread(() =>
        {
            client.Write(One);
            Assert.True(entered.Wait(Fixture.Patience));
        });
        TimeSpan patience = TimeSpan.FromMilliseconds(20);
        LoopProbe first = Assert.Single(await fixture.Poller.ProbeAsync(patience));
        LoopProbe second = Assert.Single(await fixture.Poller.ProbeAsync(patience));
        Assert.False(first.Responded || second.Responded);
        Assert.True(second.Elapsed >= first.Elapsed + patience / 2, "the second probe was not the first one, which is under way.");
        release.Set();
        Assert.True(Assert.Single(await fixture.Poller.ProbeAsync(Fixture.Patience)).Responded);
        await handler.WaitAsync(Fixture.Patience);
    }

    [Fact]
    public async Task A_loop_whose_handler_blocks_comes_round_in_adaptive_dispatch()
    {
        using Fixture fixture = new();
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        using ManualResetEventSlim entered = new(), release = new();
        Task handler = BlockAsync(server, entered, release);
        await Operation.OnOwnThread(() =>
        {
            client.Write(One);
            Assert.True(entered.Wait(Fixture.Patience));
        });
        Assert.True(Assert.Single(await fixture.Poller.ProbeAsync(Fixture.Patience)).Responded);
        release.Set();
        await handler.WaitAsync(Fixture.Patience);
    }

    [Fact]
    public async Task A_loop_whose_backend_failed_says_so()
    {
        FaultyNetpollFactory backend = new();
        using CapturingLogger log = new();
        using Netpoller poller = new(backend, new NetpollerOptions { LoggerFactory = log });
        _ = poller.Loops;
        FaultyNetpoll failing = backend.Made.Single();
        failing.FailsPoll = true;
        failing.Break();
        Assert.True(SpinWait.SpinUntil(() => poller.Loops[0].Failure is not null, Fixture.Patience));
        LoopProbe probe = Assert.Single(await poller.ProbeAsync(Fixture.Patience));
        Assert.Same(poller.Loops[0].Failure, probe.Failure);
        Assert.False(probe.Responded);
    }

    [Fact]
    public async Task A_disposed_poller_refuses_a_probe()
    {
        Netpoller poller = new(EpollBackend.Factory);
        poller.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => poller.ProbeAsync(Fixture.Patience));
    }

    [Theory]
    [InlineData(-2)]
    [InlineData(int.MaxValue + 1L)]
    public async Task A_time_that_is_out_of_range_is_refused(long milliseconds)
    {
        using Netpoller poller = new(EpollBackend.Factory);
        TimeSpan timeout = TimeSpan.FromMilliseconds(milliseconds);
        ArgumentOutOfRangeException e =
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>("timeout", () => poller.ProbeAsync(timeout));
        Assert.Contains($"{timeout}", e.Message, StringComparison.Ordinal);
    }

    private static async Task BlockAsync(TcpConn conn, ManualResetEventSlim entered, ManualResetEventSlim release)
    {
        await conn.ReadExactlyAsync(new byte[1]).ConfigureAwait(false);
        entered.Set();
        release.Wait();
    }
}
