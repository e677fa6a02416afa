namespace Poller.Net.Tests;

/// <summary>
/// Deadlines that are moved ahead on the loop's own thread, where no lock is taken and no clock read for it: they pass when they should all
/// the same.
/// </summary>
public abstract class DeadlineProlongTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private readonly SteppedClock _clock = new();

    [Fact]
    public async Task A_past_deadline_after_one_that_passed_unnoticed_expires_at_once()
    {
        using Fixture fixture = new(NetpollDispatch.Inline, clock: _clock);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(async () => await OnLoopAsync(await fixture.PairAsync(), async () =>
        {
            await client.WriteAsync(new byte[] { 1 }).ConfigureAwait(false);
            server.SetReadDeadline(_clock.GetUtcNow().AddSeconds(1));
            _clock.Advance(TimeSpan.FromSeconds(10));
            server.SetReadDeadline(_clock.GetUtcNow().AddSeconds(-5));
            await server.ReadAsync(new byte[1]).ConfigureAwait(false);
        }));
        Assert.True(e.IsTimeout);
    }

    [Fact]
    public async Task A_past_deadline_expires_at_once_by_the_real_clock_too()
    {
        using Fixture fixture = new(NetpollDispatch.Inline);
        (TcpConn client, TcpConn server) = await fixture.PairAsync();
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(async () => await OnLoopAsync(await fixture.PairAsync(), async () =>
        {
            await client.WriteAsync(new byte[] { 1 }).ConfigureAwait(false);
            DateTimeOffset first = DateTimeOffset.UtcNow.AddMilliseconds(20);
            server.SetReadDeadline(first);
            SpinWait.SpinUntil(() => DateTimeOffset.UtcNow > first.AddMilliseconds(20));
            server.SetReadDeadline(DateTimeOffset.UtcNow);
            await server.ReadAsync(new byte[1]).ConfigureAwait(false);
        }));
        Assert.True(e.IsTimeout);
    }

    [Fact]
    public async Task A_past_deadline_ends_a_blocked_read_though_the_loop_is_held_up()
    {
        using Fixture fixture = new(NetpollDispatch.Inline, clock: _clock);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        server.SetReadDeadline(_clock.GetUtcNow().AddSeconds(1));
        Operation<int> reading = server.StartRead(blocking: true, new byte[1]).Waiting();
        await OnLoopAsync(await fixture.PairAsync(), () =>
        {
            _clock.Advance(TimeSpan.FromSeconds(10));
            server.SetReadDeadline(_clock.GetUtcNow().AddSeconds(-5));
            AggregateException e = Assert.Throws<AggregateException>(() => { reading.Task.Wait(Fixture.Patience); });
            Assert.True(Assert.IsType<NetOpException>(e.InnerException).IsTimeout);
            return Task.CompletedTask;
        });
    }

    [Fact]
    public async Task A_deadline_that_is_prolonged_after_a_step_of_the_time_of_day_goes_by_the_new_time()
    {
        using Fixture fixture = new(NetpollDispatch.Inline, clock: _clock);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        await OnLoopAsync(other, () =>
        {
            server.SetReadDeadline(_clock.GetUtcNow().AddSeconds(30));
            _clock.Step = TimeSpan.FromHours(8);
            server.SetReadDeadline(_clock.GetUtcNow().AddSeconds(30));
            return Task.CompletedTask;
        });
        await AssertPassesAsync(server.StartRead(blocking: false, new byte[1]).Waiting(), TimeSpan.FromSeconds(31));
    }

    // No deadline was set meanwhile, so the loop did not compare its clocks in that time.
    [Fact]
    public async Task A_deadline_from_now_that_is_prolonged_to_a_time_of_day_goes_by_the_present_time()
    {
        using Fixture fixture = new(NetpollDispatch.Inline, clock: _clock);
        (TcpConn _, TcpConn server) = await fixture.PairAsync();
        (TcpConn, TcpConn) other = await fixture.PairAsync();
        server.SetReadDeadline(_clock.GetUtcNow().AddSeconds(1));
        server.SetReadDeadline(null);
        _clock.Advance(TimeSpan.FromSeconds(2));
        await Fixture.PassAsync(other);
        await Fixture.PassAsync(other);
        _clock.Step = TimeSpan.FromHours(8);
        _clock.Advance(TimeSpan.FromMinutes(10));
        Operation<int>? reading = null;
        await OnLoopAsync(other, () =>
        {
            server.SetReadDeadline(TimeSpan.FromSeconds(30));
            reading = server.StartRead(blocking: false, new byte[1]).Waiting();
            server.SetReadDeadline(_clock.GetUtcNow().AddSeconds(60));
            return Task.CompletedTask;
        });
        await AssertPassesAsync(reading!, TimeSpan.FromSeconds(61));
    }

    private async Task AssertPassesAsync(Operation<int> reading, TimeSpan after)
    {
        _clock.Advance(after);
        NetOpException e = await Assert.ThrowsAsync<NetOpException>(reading.Within);
        Assert.True(e.IsTimeout);
    }

    // With inline dispatch a continuation runs on the loop's thread.
    private static async Task OnLoopAsync((TcpConn Client, TcpConn Server) other, Func<Task> action)
    {
        Task ran = RunAsync();
        other.Client.Write([1]);
        await ran.WaitAsync(Fixture.Patience);
        await Task.Yield();

        async Task RunAsync()
        {
            await other.Server.ReadAsync(new byte[1]).ConfigureAwait(false);
            await action().ConfigureAwait(false);
        }
    }
}
