using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Tests.Shared;

public abstract class LevelBreakTests(INetpollFactory backend) : LevelTest(backend)
{
    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    public void Nothing_that_is_not_armed_hides_an_event_from_a_poll_that_does_not_block(int room)
    {
        Poller.Break();
        for (ulong token = 10; token < 15; token++) Open(Own(Fd.TcpSocket()), token); // Hung up, and nobody asked.
        for (ulong token = 1; token <= 5; token++) Arm(OpenPair(token).Near, PollMode.Write);

        Assert.Equal<ulong>([1, 2, 3, 4, 5], PollAll(room).Select(e => e.Token.Value).Order());
    }

    [Fact]
    public void A_change_of_the_set_is_not_taken_for_a_Break_nor_a_Break_for_a_change()
    {
        (Fd near, _) = OpenPair(1);
        for (int i = 0; i < 500; i++)
        {
            (Worker thread, List<PollEvent> events) = StartPoll(Blocking);
            Arm(near, PollMode.Read);
            if (i % 10 == 0) Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(2)));
            if (i % 2 == 0) Poller.Break();
            Close(near);
            Open(near, 1);
            if (i % 2 != 0) Poller.Break();
            thread.Join();
            Assert.Empty(events);
        }
        AssertQuiet();
    }

    [Fact]
    public void A_storm_of_Breaks_and_changes_loses_no_wake_up()
    {
        // Each breaker publishes a number, breaks, and waits until the loop has seen it. The others' Breaks and changes race with the
        // loop's way out of the poll: one that is swallowed there leaves its number unseen.
        const int Breakers = 3, Rounds = 5000, Stride = 16;
        long[] published = new long[Breakers * Stride], seen = new long[Breakers * Stride];
        bool stop = false;

        Worker loop = Worker.Start(() =>
        {
            PollEvent[] events = new PollEvent[16];
            for (int i = 0; !Volatile.Read(ref stop); i++)
            {
                Poller.Poll(events, i % 8 == 0 ? 0 : Blocking);
                for (int j = 0; j < published.Length; j += Stride) Volatile.Write(ref seen[j], Volatile.Read(ref published[j]));
            }
        });
        Worker[] breakers = [.. Enumerable.Range(0, Breakers).Select(i => Worker.Start(() =>
        {
            (Fd near, Fd far) = Fd.SocketPair();
            using (near)
            using (far)
            {
                for (long round = 1; round <= Rounds; round++)
                {
                    Open(near, (ulong)i);
                    Arm(near, PollMode.Read);
                    published[i * Stride] = round;
                    Poller.Break();
                    if (round % 3 == 0) Close(near);
                    long start = Stopwatch.GetTimestamp();
                    for (SpinWait spin = default; Volatile.Read(ref seen[i * Stride]) != round; spin.SpinOnce(sleep1Threshold: -1))
                    {
                        Assert.True(Stopwatch.GetElapsedTime(start) < Worker.Bound / 2, $"breaker {i}'s Break {round} woke nobody");
                    }
                    if (round % 3 != 0) Close(near);
                }
            }
        }))];

        try
        {
            foreach (Worker breaker in breakers) breaker.Join();
        }
        finally
        {
            Volatile.Write(ref stop, true);
            Poller.Break();
        }
        loop.Join();
    }
}
