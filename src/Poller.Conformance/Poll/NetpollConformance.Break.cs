using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Conformance;

public abstract partial class NetpollConformance
{
    /// <summary>A Break from another thread ends a poll long before its time-out.</summary>
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
        Assert.InRange(taken, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    /// <summary>A Break ends a poll without a time-out, which nothing else would end.</summary>
    [Fact]
    public void Break_ends_a_poll_without_a_time_out()
    {
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        Poller.Break();
        thread.Join();

        Assert.Empty(events);
    }

    /// <summary>A Break that comes while no poll blocks ends the next one that would.</summary>
    /// <param name="delay">The time-out in nanoseconds.</param>
    [Theory]
    [InlineData(Blocking)]
    [InlineData(60 * Second)]
    public void Break_before_the_poll_ends_the_next_blocking_one(long delay)
    {
        Poller.Break();

        AssertThatABreakEnds(delay);
    }

    /// <summary>However many Breaks come before a poll, they end one poll.</summary>
    [Fact]
    public void Pending_Breaks_end_one_poll()
    {
        for (int i = 0; i < 1000; i++) Poller.Break();

        AssertThatABreakEnds(60 * Second);
        AssertThatNoBreakIsLeft();
    }

    /// <summary>Breaks from eight threads during one poll end one poll.</summary>
    [Fact]
    public void Concurrent_Breaks_end_one_poll_and_leave_nothing_behind()
    {
        (Worker thread, List<PollEvent> events) = StartPoll(60 * Second);

        // The poll may end before the last Break comes. That one then ends the next poll.
        Worker[] breakers = [.. Enumerable.Range(0, 8).Select(_ => Worker.Start("call Break 1000 times", () =>
        {
            for (int i = 0; i < 1000; i++) Poller.Break();
        }))];
        foreach (Worker breaker in breakers) breaker.Join();
        thread.Join();

        Assert.Empty(events);
        Assert.Empty(Poll(Millisecond));
        AssertThatNoBreakIsLeft();
    }

    /// <summary>A poll that does not block leaves a Break pending.</summary>
    /// <param name="room">How many events a poll has room for.</param>
    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    public void A_poll_that_does_not_block_leaves_the_Break_for_one_that_does(int room)
    {
        Poller.Break();

        for (int i = 0; i < 5; i++) Assert.Empty(Poll(0, room));

        AssertThatABreakEnds(Blocking, room);
        AssertThatNoBreakIsLeft();
    }

    /// <summary>The wake-up takes no room from the events, wherever it is among them.</summary>
    /// <param name="room">How many events a poll has room for.</param>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(16)]
    public void A_pending_Break_hides_no_event_from_a_poll_that_does_not_block(int room)
    {
        Poller.Break();
        Assert.Empty(Poll(0, room));
        for (ulong token = 1; token <= 5; token++) Open(OwnSocketPair().Near, token, PollMode.Write);

        List<PollEvent> events = PollAll(room);

        Assert.Equal<ulong>([1, 2, 3, 4, 5], events.Select(e => e.Token.Value).Distinct().Order());
        AssertThatABreakEnds(Blocking, room);
    }

    /// <summary>The wake-up takes no room in polls that block either, whichever of them it ends.</summary>
    [Fact]
    public void Five_events_and_a_Break_are_at_most_six_polls_with_room_for_one()
    {
        for (ulong token = 1; token <= 5; token++) Open(OwnSocketPair().Near, token, PollMode.Write);
        Poller.Break();

        HashSet<ulong> seen = [];
        int polls = 0;
        Worker.Start("take five events in polls with room for one", () =>
        {
            for (; seen.Count < 5; polls++) seen.UnionWith(Poll(Blocking, room: 1).Select(e => e.Token.Value));
        }).Join();

        Assert.Equal<ulong>([1, 2, 3, 4, 5], seen.Order());
        Assert.InRange(polls, 5, 6);
    }

    /// <summary>Breaks from many threads race with the loop's return from a poll. After each Break a poll returns.</summary>
    [Fact]
    public void A_storm_of_Breaks_loses_no_wake_up()
    {
        // Each breaker publishes a number, calls Break, and waits until the loop has seen the number. The others' Breaks race with the
        // loop's return from the poll. If one of them is swallowed there, its number stays unseen.
        const int Breakers = 4, Rounds = 3000, Stride = 16;
        long[] published = new long[Breakers * Stride], seen = new long[Breakers * Stride];
        bool stop = false;

        Worker loop = Worker.Start("poll until a last Break", () =>
        {
            PollEvent[] events = new PollEvent[16];
            while (!Volatile.Read(ref stop))
            {
                Poller.Poll(events, Blocking);
                for (int i = 0; i < published.Length; i += Stride) Volatile.Write(ref seen[i], Volatile.Read(ref published[i]));
            }
        });
        string task = $"call Break {Rounds} times, and see each end a poll";
        Worker[] breakers = [.. Enumerable.Range(0, Breakers).Select(i => Worker.Start(task, () =>
        {
            for (long round = 1; round <= Rounds; round++)
            {
                published[i * Stride] = round;
                Poller.Break();
                AwaitSeen(ref seen[i * Stride], round, $"breaker {i}'s Break {round} woke nobody");
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

    /// <summary>
    /// After a poll that a Break ended, the loop sees what was stored before the Break, even if the poll was already returning when it
    /// came.
    /// </summary>
    [Fact]
    public void A_Break_during_the_poll_an_earlier_one_ended_is_seen_after_it()
    {
        // No other Break hides a lost one here. If the second Break finds the first still pending, the caller of the poll that the first
        // one ended must see what was published before the second.
        const int Rounds = 20_000;
        Random random = new(1);
        long published = 0, seen = 0;
        bool stop = false;
        Worker loop = Worker.Start("poll until a last Break", () =>
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
                AwaitSeen(ref seen, round, $"the second Break of round {round} was lost");
            }
        }
        finally
        {
            Volatile.Write(ref stop, true);
            Poller.Break();
        }
        loop.Join();
    }

    /// <summary>No event is lost because of a Break, and no Break because of an event.</summary>
    [Fact]
    public void A_storm_of_Breaks_disturbs_no_event()
    {
        const int Rounds = 2000;
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        bool stop = false;
        Worker[] breakers = [.. Enumerable.Range(0, 3).Select(_ => Worker.Start("call Break until the events were seen", () =>
        {
            while (!Volatile.Read(ref stop)) Poller.Break();
        }))];

        Worker loop = Worker.Start($"take {Rounds} events, one by one, among Breaks", () =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                Assert.Equal(1, far.Write());
                Arm(near, PollMode.Read);
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

    private static void AwaitSeen(ref long seen, long value, string otherwise)
    {
        long start = Stopwatch.GetTimestamp();
        for (SpinWait spin = default; Volatile.Read(ref seen) != value; spin.SpinOnce(sleep1Threshold: -1))
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < Worker.Bound / 2, otherwise);
        }
    }
}
