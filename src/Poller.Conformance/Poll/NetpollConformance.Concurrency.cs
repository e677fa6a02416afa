using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Conformance;

public abstract partial class NetpollConformance
{
    /// <summary>A poll that already blocks reports a descriptor that another thread registers, and arms, meanwhile.</summary>
    [Fact]
    public void Open_and_Arm_reach_a_poll_that_blocks()
    {
        (Fd near, _) = OwnSocketPair();
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        Open(near, 1, PollMode.Write);
        thread.Join();

        Assert.Equal(new PollEvent(new PollToken(1), Writable), Assert.Single(events));
    }

    /// <summary>
    /// A poll that already blocks reports a direction that another thread arms, of a descriptor registered before the poll.
    /// </summary>
    [Fact]
    public void Arm_reaches_a_poll_that_blocks()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        if (!IsLevel)
        {
            AssertThatThereIsNothingToArm(near);
            return;
        }
        far.Write();
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        Arm(near, PollMode.Read);
        thread.Join();

        Assert.Equal(new PollEvent(new PollToken(1), Readable), Assert.Single(events));
    }

    /// <summary>A poll that blocks goes on, and no longer reports the closed descriptor.</summary>
    [Fact]
    public void Close_reaches_a_poll_that_blocks()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        Arm(near, PollMode.Read);
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        Assert.Equal(Errno.None, Poller.Close(near));
        far.Write();
        Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(50)), "the poll ended, and its one descriptor was closed before");

        Poller.Break();
        thread.Join();
        Assert.Empty(events);
    }

    /// <summary>Open, Close and Arm on other threads may interrupt a poll only internally: its caller sees the full time-out.</summary>
    [Fact]
    public void Open_Close_and_Arm_do_not_end_a_poll()
    {
        (Fd near, _) = OwnSocketPair();
        Worker thread = Worker.StartUninterrupted("poll for 100 ms", () => AssertLasts(TimeSpan.FromMilliseconds(100)));
        thread.AwaitSleep();

        near.Fill();
        Open(near, 1);
        Assert.Equal(Errno.None, Poller.Close(near));

        thread.Join();
    }

    /// <summary>One thread at a time polls, but it need not always be the same one.</summary>
    [Fact]
    public void Any_thread_may_be_the_next_to_poll()
    {
        (Fd near, Fd far) = OwnSocketPair();
        near.Fill();
        OpenQuietly(near, 1);

        for (int i = 0; i < 50; i++)
        {
            Arm(near, PollMode.Read);
            (Worker thread, List<PollEvent> events) = StartPoll(Blocking);
            far.Write();
            thread.Join();
            Assert.Equal(new PollEvent(new PollToken(1), Readable), Assert.Single(events));
            near.Drain();
        }
    }

    /// <summary>Every member but Init is safe from any thread while another polls.</summary>
    [Fact]
    public void Open_Close_Arm_and_Break_may_race_with_a_poll()
    {
        const int Threads = 3, Rounds = 1000;
        bool stop = false;
        HashSet<ulong> seen = [];
        Worker loop = Worker.Start("poll until a last Break", () =>
        {
            while (!Volatile.Read(ref stop)) seen.UnionWith(Poll(Blocking, room: 2).Select(e => e.Token.Value));
        });

        string task = $"open and close a descriptor {Rounds} times";
        Worker[] changers = [.. Enumerable.Range(1, Threads).Select(thread => Worker.Start(task, () =>
        {
            (Fd near, Fd far) = Fd.SocketPair();
            using Fd _ = near, __ = far;
            for (int round = 0; round < Rounds; round++)
            {
                PollToken token = new((uint)thread, (uint)round);
                Open(near, token.Value);
                if (round % 7 == 0) Poller.Break();
                Assert.Equal(Errno.None, Poller.Close(near));
            }
        }))];
        try
        {
            foreach (Worker changer in changers) changer.Join();
        }
        finally
        {
            Volatile.Write(ref stop, true);
            Poller.Break();
        }
        loop.Join();

        // An open descriptor is writable, so some poll reported one. The contract does not say which.
        Assert.All(seen, token => Assert.InRange<uint>(new PollToken(token).Slot, 1, Threads));
        Assert.Empty(PollAll());
    }
}
