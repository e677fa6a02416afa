using System.Diagnostics;

namespace Poller.Net.Tests;

/// <summary>How late a deadline is. Nothing runs beside it, or that would be what is measured.</summary>
[Collection(nameof(Alone))]
public abstract class DeadlineLatenessTests<TBackend> : NetTest<TBackend> where TBackend : ITestBackend
{
    private const int Connections = 100;
    private const int DeadlinesEach = 2;

    [Theory, MemberData(nameof(Forms.Dispatches), MemberType = typeof(Forms))]
    public async Task Deadlines_set_from_many_threads_are_never_early_and_hardly_late(NetpollDispatch dispatch)
    {
        using Fixture fixture = new(dispatch);
        (TcpConn, TcpConn Server)[] pairs = await Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => fixture.PairAsync()));
        Task<(double Excess, double Control)[]>[] measuring = [.. pairs.Select((pair, i) => Task.Run(() => MeasureAsync(pair.Server, i)))];
        (double Excess, double Control)[] measured = [.. (await Task.WhenAll(measuring).Within()).SelectMany(static e => e)];
        double[] excess = [.. measured.Select(static m => m.Excess).Order()];
        double[] control = [.. measured.Select(static m => m.Control).Order()];

        // The rule holds for each deadline. On a busy machine a timer of .NET's is late too, so we compare the typical deadline with the
        // typical timer, and the latest with the latest.
        double median = excess[excess.Length / 2], timer = Math.Max(0, control[control.Length / 2]);
        Assert.True(median < timer + 20, $"half of the deadlines were more than 10 % and {median} ms late; half of the timers, {timer} ms.");
        double latest = Math.Max(0, control[^1]);
        Assert.True(excess[^1] < latest + 2000, $"a deadline was {excess[^1]} ms late, and no timer more than {latest} ms.");

        // How much later than 10 %, in ms: a deadline, and a timer of .NET's that begins and should end with it.
        async Task<(double Excess, double Control)[]> MeasureAsync(TcpConn conn, int id)
        {
            Random random = new(id);
            (double Excess, double Control)[] measured = new (double, double)[DeadlinesEach];
            for (int i = 0; i < DeadlinesEach; i++)
            {
                TimeSpan span = TimeSpan.FromMicroseconds(random.Next(100, 200_000));
                long start = Stopwatch.GetTimestamp();
                conn.SetReadDeadline(DateTimeOffset.UtcNow + span);
                ValueTask<int> read = conn.ReadAsync(new byte[1]);
                Task<TimeSpan> timer = TimerAsync(span, start);

                // The error is thrown elsewhere. On the loop's thread, the next deadlines would wait for that.
                TaskCompletionSource<TimeSpan> over = new(TaskCreationOptions.RunContinuationsAsynchronously);
                Handlers.Then(read, () => over.SetResult(Stopwatch.GetElapsedTime(start)));
                TimeSpan elapsed = await over.Task.ConfigureAwait(false);
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => read.AsTask()).ConfigureAwait(false);
                Assert.True(e.IsTimeout);
                Assert.True(elapsed >= span - TimeSpan.FromTicks(1), $"{elapsed} is earlier than {span}.");
                measured[i] = (Excess(elapsed), Excess(await timer.ConfigureAwait(false)));

                double Excess(TimeSpan after) => (after - (span * 1.1)).TotalMilliseconds;
            }
            return measured;
        }

        // .NET's timers have a queue of their own before the pool's other work. What the pool dispatches waits its turn.
        async Task<TimeSpan> TimerAsync(TimeSpan span, long start)
        {
            await Task.Delay(span).ConfigureAwait(false);
            if (dispatch == NetpollDispatch.ThreadPool) await Task.Yield();
            return Stopwatch.GetElapsedTime(start);
        }
    }
}
