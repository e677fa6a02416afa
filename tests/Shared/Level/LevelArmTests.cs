using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Tests.Shared;

public abstract class LevelArmTests(INetpollFactory backend) : LevelTest(backend)
{
    [Fact]
    public void Nothing_is_reported_before_Arm()
    {
        (_, Fd far) = OpenPair(1);
        far.Write();

        Assert.Empty(PollAll());
        AssertQuiet();
    }

    [Fact]
    public void It_is_reported_once_for_each_Arm_for_as_long_as_it_is_ready()
    {
        (Fd near, Fd far) = OpenPair(1);
        far.Write(2);
        for (int i = 0; i < 5; i++)
        {
            Arm(near, PollMode.Read);
            Assert.Equal(Readable, ReadinessOf(1));
            Assert.Empty(PollAll());
        }

        near.Drain();
        Arm(near, PollMode.Read);
        Assert.Empty(PollAll());
        AssertQuiet();
    }

    [Theory]
    [InlineData(PollMode.Read)]
    [InlineData(PollMode.Write)]
    [InlineData(PollMode.ReadWrite)]
    public void Only_the_direction_that_is_armed_is_reported(PollMode mode)
    {
        (Fd near, Fd far) = OpenPair(1);
        far.Write();

        Arm(near, mode);

        Assert.Equal(mode, ModeOf(ReadinessOf(1)));
    }

    [Fact]
    public void A_direction_that_is_reported_leaves_the_other_one_armed()
    {
        (Fd near, Fd far) = OpenPair(1);
        int filled = near.Fill();
        Arm(near, PollMode.Read);
        Arm(near, PollMode.Write);
        Assert.Empty(PollAll());

        far.Write();
        Assert.Equal(Readable, ReadinessOf(1));
        AssertQuiet();
        Assert.Equal(filled, far.Drain());
        Assert.Equal(Writable, ReadinessOf(1));

        Arm(near, PollMode.Write);
        Assert.Equal(Writable, ReadinessOf(1));
        AssertQuiet();
    }

    [Fact]
    public void A_direction_armed_after_the_other_was_reported_is_the_only_one()
    {
        (Fd near, Fd far) = OpenPair(1);
        far.Write();
        Arm(near, PollMode.ReadWrite);
        Assert.Equal(Readable | Writable, ReadinessOf(1));

        Arm(near, PollMode.Read);

        Assert.Equal(Readable, ReadinessOf(1));
        Assert.Empty(PollAll());
    }

    [Fact]
    public void Arming_again_what_is_armed_is_one_report()
    {
        (Fd near, Fd far) = OpenPair(1);
        for (int i = 0; i < 3; i++) Arm(near, PollMode.Read);

        far.Write();

        Assert.Equal(Readable, ReadinessOf(1));
        Assert.Empty(PollAll());
    }

    [Fact]
    public void Arming_nothing_is_nothing()
    {
        (Fd near, Fd far) = OpenPair(1);
        far.Write();

        Arm(near, PollMode.None);

        Assert.Empty(PollAll());
    }

    [Fact]
    public void A_direction_armed_during_a_poll_is_reported_by_it_when_it_is_ready()
    {
        (Fd near, Fd far) = OpenPair(1);
        near.Fill();
        Arm(near, PollMode.Write);
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        Arm(near, PollMode.Read);
        far.Write();
        thread.Join();

        Assert.Equal(new PollEvent(new PollToken(1), Readable), Assert.Single(events));
    }

    [Fact]
    public void Changes_of_what_is_polled_end_no_poll()
    {
        (Fd near, Fd far) = OpenPair(1);
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        for (ulong token = 2; token < 200; token++)
        {
            (Fd other, _) = OpenPair(token);
            Arm(other, PollMode.Read);
            if (token % 3 == 0) Close(other);
        }
        Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(20)));

        Arm(near, PollMode.Read);
        far.Write();
        thread.Join();
        Assert.Equal(new PollToken(1), Assert.Single(events).Token);
    }

    [Fact]
    public void Changes_of_what_is_polled_neither_shorten_nor_lengthen_a_timed_poll()
    {
        const long Delay = 100 * Millisecond;
        bool stop = false;
        Worker[] changers = [.. Enumerable.Range(1, 2).Select(i => Worker.Start(() =>
        {
            (Fd near, Fd far) = Fd.SocketPair();
            using (near)
            using (far)
            {
                while (!Volatile.Read(ref stop))
                {
                    Open(near, (ulong)i);
                    Arm(near, PollMode.Read);
                    Close(near);
                }
            }
        }))];

        try
        {
            Worker.RunUninterrupted(() =>
            {
                TimeSpan taken = Time(() => Assert.Empty(Poll(Delay)));
                Assert.InRange(taken.TotalNanoseconds, Delay, Worker.Bound.TotalNanoseconds / 2);
            });
        }
        finally
        {
            Volatile.Write(ref stop, true);
        }
        foreach (Worker changer in changers) changer.Join();
    }

    [Fact]
    public void After_Close_the_peer_feels_close_at_once_also_while_a_poll_blocks()
    {
        // A poll that waits for a descriptor holds the file in the kernel, and close(2) alone does not end that.
        bool stop = false;
        Worker loop = Worker.Start(() => { while (!Volatile.Read(ref stop)) Assert.Empty(Poll(Blocking)); });

        for (int i = 0; i < 500; i++)
        {
            (Fd near, Fd far) = Fd.SocketPair();
            Open(near, 1);
            Arm(near, PollMode.Read);
            if (i % 2 == 0) loop.AwaitSleep();

            Close(near);
            near.Dispose();

            Assert.Equal(0, far.Read());
            far.Dispose();
        }

        Volatile.Write(ref stop, true);
        Poller.Break();
        loop.Join();
    }
}
