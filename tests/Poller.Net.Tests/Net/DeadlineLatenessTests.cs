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
        Task<double[]>[] measured = [.. pairs.Select((pair, i) => Task.Run(() => MeasureAsync(pair.Server, i)))];
        double[] excess = [.. (await Task.WhenAll(measured).Within()).SelectMany(static e => e).Order()];

        // The rule holds for each deadline. On a busy machine we can only test it on the typical one.
        double median = excess[excess.Length / 2];
        Assert.True(median < 20, $"half of the deadlines were more than 10 % and {median} ms late; less than 20 was expected.");
        Assert.True(excess[^1] < 2000, $"a deadline was {excess[^1]} ms late.");

        // How much later than 10 %, in ms.
        static async Task<double[]> MeasureAsync(TcpConn conn, int id)
        {
            Random random = new(id);
            double[] excess = new double[DeadlinesEach];
            for (int i = 0; i < DeadlinesEach; i++)
            {
                TimeSpan span = TimeSpan.FromMicroseconds(random.Next(100, 200_000));
                long start = Stopwatch.GetTimestamp();
                conn.SetReadDeadline(DateTimeOffset.UtcNow + span);
                Task<int> read = conn.ReadAsync(new byte[1]).AsTask();
                NetOpException e = await Assert.ThrowsAsync<NetOpException>(() => read).ConfigureAwait(false);
                TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
                Assert.True(e.IsTimeout);
                Assert.True(elapsed >= span - TimeSpan.FromTicks(1), $"{elapsed} is earlier than {span}.");
                excess[i] = (elapsed - (span * 1.1)).TotalMilliseconds;
            }
            return excess;
        }
    }
}
