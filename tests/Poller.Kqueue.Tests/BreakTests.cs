using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

public class BreakTests : KqueueTest
{
    public BreakTests() { }

    private protected BreakTests(EmulatedKernel kernel) : base(kernel) { }

    [Fact]
    public void Break_ends_a_poll_of_ten_seconds_at_once()
    {
        (Worker thread, List<PollEvent> events) = StartPoll(10 * Second);

        TimeSpan taken = Time(() =>
        {
            Poller.Break();
            thread.Join();
        });

        Assert.Empty(events);
        Assert.InRange(taken, TimeSpan.Zero, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void Break_ends_a_poll_without_a_time_out()
    {
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        Poller.Break();
        thread.Join();

        Assert.Empty(events);
    }

    [Theory]
    [InlineData(Blocking)]
    [InlineData(60 * Second)]
    public void Break_before_the_poll_ends_the_next_blocking_one(long delay)
    {
        Poller.Break();

        Worker thread = Worker.Start(() => Assert.Empty(Poll(delay)));

        thread.Join();
    }

    [Fact]
    public void Breaks_nobody_has_seen_are_one()
    {
        for (int i = 0; i < 1000; i++) Poller.Break();

        Assert.Equal(1, Kernel.Triggers);
        Assert.Empty(Poll(60 * Second));
        Worker.RunUninterrupted(() => Assert.True(Time(() => Assert.Empty(Poll(20 * Millisecond))) >= TimeSpan.FromMilliseconds(20)));
    }

    [Fact]
    public void Concurrent_Breaks_end_one_poll_and_leave_nothing_behind()
    {
        (Worker thread, List<PollEvent> events) = StartPoll(60 * Second);

        // The poll may be over before the last of them came, and that one is then for the next.
        Worker[] breakers = [.. Enumerable.Range(0, 8).Select(_ => Worker.Start(() => { for (int i = 0; i < 1000; i++) Poller.Break(); }))];
        foreach (Worker breaker in breakers) breaker.Join();
        thread.Join();

        Assert.Empty(events);
        Poll(Millisecond);
        Worker.RunUninterrupted(() => Assert.True(Time(() => Assert.Empty(Poll(20 * Millisecond))) >= TimeSpan.FromMilliseconds(20)));
    }

    [Fact]
    public void A_poll_that_does_not_block_leaves_the_Break_for_one_that_does()
    {
        Poller.Break();

        for (int i = 0; i < 5; i++) Assert.Empty(Poll(0));
        Poller.Break();
        Assert.Equal(1, Kernel.Triggers); // Nothing is triggered again for the one that will.

        Worker thread = Worker.Start(() => Assert.Empty(Poll(Blocking)));
        thread.Join();
    }

    [Fact]
    public void A_poll_that_does_not_block_leaves_the_Break_when_it_has_room_for_one_event()
    {
        Poller.Break();

        for (int i = 0; i < 5; i++) Assert.Empty(Poll(0, room: 1));

        Worker thread = Worker.Start(() => Assert.Empty(Poll(Blocking, room: 1)));
        thread.Join();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(16)]
    public void A_pending_Break_hides_no_event_from_a_poll_that_does_not_block(int room)
    {
        Poller.Break();
        Assert.Empty(Poll(0, room)); // The wake-up stands first in the kernel's list now.
        for (ulong token = 1; token <= 5; token++) Assert.Equal(0, Poller.Open(OwnEventFd(), new PollToken(token)));

        List<PollEvent> events = PollAll(room);

        Assert.Equal<ulong>([1, 2, 3, 4, 5], events.Select(e => e.Token.Value).Order());
        Worker thread = Worker.Start(() => Assert.Empty(Poll(Blocking, room)));
        thread.Join();
    }

    [Fact]
    public void Five_events_and_a_Break_are_six_polls_with_room_for_one()
    {
        for (ulong token = 1; token <= 5; token++) Assert.Equal(0, Poller.Open(OwnEventFd(), new PollToken(token)));
        Poller.Break();

        List<PollEvent[]> polls = [];
        Worker thread = Worker.Start(() => { while (polls.Count < 6) polls.Add(Poll(Blocking, room: 1)); });
        thread.Join();

        Assert.Single(polls, poll => poll.Length == 0);
        Assert.Equal<ulong>([1, 2, 3, 4, 5], polls.SelectMany(poll => poll).Select(e => e.Token.Value).Order());
    }

    [Fact]
    public void A_storm_of_Breaks_loses_no_wake_up()
    {
        // Each breaker publishes a number, breaks, and waits until the loop has seen it. The others' Breaks race with the loop's way out of
        // the poll: one that is swallowed there leaves its number unseen.
        const int Breakers = 4, Rounds = 10_000, Stride = 16;
        long[] published = new long[Breakers * Stride], seen = new long[Breakers * Stride];
        bool stop = false;

        Worker loop = Worker.Start(() =>
        {
            PollEvent[] events = new PollEvent[16];
            while (!Volatile.Read(ref stop))
            {
                Poller.Poll(events, Blocking);
                for (int i = 0; i < published.Length; i += Stride) Volatile.Write(ref seen[i], Volatile.Read(ref published[i]));
            }
        });
        Worker[] breakers = [.. Enumerable.Range(0, Breakers).Select(i => Worker.Start(() =>
        {
            for (long round = 1; round <= Rounds; round++)
            {
                published[i * Stride] = round;
                Poller.Break();
                long start = Stopwatch.GetTimestamp();
                for (SpinWait spin = default; Volatile.Read(ref seen[i * Stride]) != round; spin.SpinOnce(sleep1Threshold: -1))
                {
                    Assert.True(Stopwatch.GetElapsedTime(start) < Worker.Bound / 2, $"breaker {i}'s Break {round} woke nobody");
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

    [Fact]
    public void A_Break_during_the_poll_an_earlier_one_ended_is_seen_after_it()
    {
        // No other Break comes to the rescue: where the second one finds the first still pending, the caller of the poll that the first one
        // ended has to see what was published before the second.
        const int Rounds = 50_000;
        Random random = new(1);
        long published = 0, seen = 0;
        bool stop = false;
        Worker loop = Worker.Start(() =>
        {
            PollEvent[] events = new PollEvent[16];
            while (!Volatile.Read(ref stop))
            {
                Poller.Poll(events, Blocking);
                Volatile.Write(ref seen, Volatile.Read(ref published));
            }
        });

        try
        {
            for (int round = 1; round <= Rounds; round++)
            {
                Poller.Break();
                Thread.SpinWait(random.Next(40));
                published = round;
                Poller.Break();
                long start = Stopwatch.GetTimestamp();
                for (SpinWait spin = default; Volatile.Read(ref seen) != round; spin.SpinOnce(sleep1Threshold: -1))
                {
                    Assert.True(Stopwatch.GetElapsedTime(start) < Worker.Bound, $"the second Break of round {round} was lost");
                }
            }
        }
        finally
        {
            Volatile.Write(ref stop, true);
            Poller.Break();
        }
        loop.Join();
    }

    [Fact]
    public void A_storm_of_Breaks_disturbs_no_event()
    {
        const int Rounds = 5000;
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        bool stop = false;
        Worker[] breakers = [.. Enumerable.Range(0, 3).Select(_ => Worker.Start(() =>
        {
            while (!Volatile.Read(ref stop)) Poller.Break();
        }))];

        Worker loop = Worker.Start(() =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                Assert.Equal(1, far.Write());
                while (!Poll(Blocking, room: 1 + round % 3).Any(e => e.Readiness.HasFlag(PollReadiness.Readable))) { }
                Assert.Equal(1, near.Drain());
            }
        });

        try
        {
            loop.Join();
        }
        finally
        {
            Volatile.Write(ref stop, true);
        }
        foreach (Worker breaker in breakers) breaker.Join();
    }
}

/// <summary>The same where the kernel has no EVFILT_USER.</summary>
public sealed class PipeBreakTests() : BreakTests(new EmulatedKernel(KqueuePlatform.OpenBSD) { HasUserFilter = false })
{
    [Fact]
    public void A_pipe_wakes_it() => Assert.True(Poller.HasPipe);
}
