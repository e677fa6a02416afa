using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Conformance;

// Where edge-triggered and level-triggered pollers differ, a fact says what each of them does.
public abstract partial class NetpollConformance
{
    /// <summary>
    /// Arm is for <see cref="PollTrigger.Level"/>. On an edge-triggered poller it throws, because Open registers everything.
    /// </summary>
    [Fact]
    public void Arm_is_for_level_triggered_pollers()
    {
        (Fd near, _) = OwnSocketPair();
        OpenQuietly(near, 1);

        if (!IsLevel)
        {
            AssertThatThereIsNothingToArm(near);
            return;
        }
        Assert.Equal(Errno.None, Poller.Arm(near, PollMode.Write));
        Assert.Equal(Writable, ReadinessOf(1));
    }

    /// <summary>A level-triggered poller reports nothing that is not armed.</summary>
    [Fact]
    public void Open_reports_the_directions_that_are_ready_already()
    {
        (Fd near, Fd far) = OwnSocketPair();
        far.Write();

        Assert.Equal(Errno.None, Poller.Open(near, new PollToken(1)));
        if (IsLevel) Assert.Empty(PollAll());
        Arm(near, PollMode.ReadWrite);

        Assert.Equal(Readable | Writable, ReadinessOf(1));
    }

    /// <summary>A descriptor with neither bytes nor room is ready in neither direction.</summary>
    [Fact]
    public void Open_reports_nothing_where_nothing_is_ready()
    {
        (Fd near, _) = OwnSocketPair();
        near.Fill();

        Open(near, 1);

        Assert.Empty(PollAll());
    }

    /// <summary>An edge is reported once. A level is reported once for each Arm, and at once if it is already there.</summary>
    [Fact]
    public void Bytes_are_reported_once_until_more_come_or_it_is_armed()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        far.Write(10);
        Arm(near, PollMode.Read);
        Assert.Equal(Readable, ReadinessOf(1) & Readable);
        Assert.Empty(PollAll());

        // Unread bytes raise no new edge, and reading some of them raises none either.
        Assert.Equal(5, near.Read(5));
        Assert.Empty(PollAll());
        if (IsLevel)
        {
            Arm(near, PollMode.Read);
            Assert.Equal(Readable, ReadinessOf(1));
        }

        Assert.Equal(5, near.Drain());
        Arm(near, PollMode.Read);
        Assert.Empty(PollAll());
        far.Write();
        Assert.Equal(Readable, ReadinessOf(1) & Readable);
    }

    /// <summary>After a write that would block, the poller reports when there is room.</summary>
    [Fact]
    public void Room_is_reported_once_the_peer_has_read()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        int written = near.Fill();
        Arm(near, PollMode.Write);
        Assert.Empty(PollAll());

        Assert.Equal(written, far.Drain());

        Assert.Equal(Writable, ReadinessOf(1));
        Assert.Empty(PollAll());
    }

    /// <summary>Arming one direction does not arm the other: that would wake writers for nothing.</summary>
    [Fact]
    public void The_directions_are_reported_each_for_itself()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        near.Fill();
        Arm(near, PollMode.ReadWrite);

        far.Write();
        Assert.Equal(Readable, ReadinessOf(1));

        far.Drain();
        Assert.Equal(Writable, ReadinessOf(1) & Writable); // On edges the unread byte may be reported again.
        near.Drain();
        Assert.Empty(PollAll());
    }

    /// <summary>
    /// Delivery disarms the direction that it reports, and Arm arms the direction that it names. The other does not change.
    /// </summary>
    [Fact]
    public void Arm_leaves_the_other_direction_as_it_was()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        if (!IsLevel)
        {
            AssertThatThereIsNothingToArm(near);
            return;
        }

        far.Write();
        Arm(near, PollMode.Read);
        Assert.Equal(Readable, ReadinessOf(1)); // It is writable too, but that is not armed.
        Arm(near, PollMode.Write);
        Assert.Equal(Writable, ReadinessOf(1)); // It is still readable, but that is not armed.

        near.Drain();
        Arm(near, PollMode.Read);
        Arm(near, PollMode.Write);
        Assert.Equal(Writable, ReadinessOf(1));
        far.Write();
        Assert.Equal(Readable, ReadinessOf(1));
        Assert.Empty(PollAll());
    }

    /// <summary>An end or an error concerns both directions; a level-triggered poller reports it for the armed ones.</summary>
    [Fact]
    public void A_hang_up_reports_no_direction_that_is_not_armed()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        far.Dispose();

        if (!IsLevel)
        {
            Assert.Equal(Readable | ReadHangup, ReadinessOf(1) & (Readable | ReadHangup));
            return;
        }
        Assert.Empty(PollAll());
        Arm(near, PollMode.Write);
        Assert.Equal(Writable, ReadinessOf(1) & (Readable | Writable));
        Arm(near, PollMode.Read);
        Assert.Equal(Readable, ReadinessOf(1) & (Readable | Writable));
    }

    /// <summary>Arm of a descriptor that is not registered answers ENOENT, and does not throw.</summary>
    [Fact]
    public void Arm_answers_ENOENT_for_a_descriptor_that_is_not_registered()
    {
        (Fd near, _) = OwnSocketPair();
        if (!IsLevel)
        {
            AssertThatThereIsNothingToArm(near);
            return;
        }

        Assert.Equal(Errno.ENOENT, Poller.Arm(near, PollMode.Read));
        OpenQuietly(near, 1);
        Assert.Equal(Errno.None, Poller.Close(near));
        Assert.Equal(Errno.ENOENT, Poller.Arm(near, PollMode.Read));
    }

    /// <summary>The end is an edge of its own. Otherwise a reader that took a short read for "drained" would wait for ever.</summary>
    [Fact]
    public void An_end_is_reported_after_the_bytes_before_it_were()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        far.Write(3);
        Await(near, 1, Readable);

        Assert.Equal(0, far.Shutdown());

        Await(near, 1, Readable | ReadHangup);
        Assert.Equal(3, near.Drain());
        Assert.Equal(0, near.Read());
        Assert.Empty(PollAll());
    }

    /// <summary>A Break just before an event does not lose the event.</summary>
    [Fact]
    public void What_is_ready_waits_for_a_poll()
    {
        (Fd near, Fd far) = OwnSocketPair();
        near.Fill();
        OpenQuietly(near, 1);
        Arm(near, PollMode.Read);
        far.Write();
        Poller.Break();

        // The Break, the event or both end the first poll. So the event comes in one of two polls.
        List<PollEvent> events = [];
        Worker.Start("take an event and a Break in two polls without a time-out", () =>
        {
            events.AddRange(Poll(Blocking, room: 1));
            if (events.Count == 0) events.AddRange(Poll(Blocking, room: 1));
        }).Join();

        Assert.Equal(new PollEvent(new PollToken(1), Readable), Assert.Single(events));
    }

    /// <summary>An event ends a poll that blocks.</summary>
    [Fact]
    public void A_poll_that_blocks_returns_with_the_event_that_comes()
    {
        (Fd near, Fd far) = OwnSocketPair();
        near.Fill();
        OpenQuietly(near, 1);
        Arm(near, PollMode.Read);
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        far.Write();
        thread.Join();

        Assert.Equal(new PollEvent(new PollToken(1), Readable), Assert.Single(events));
    }

    /// <summary>A poll does not write behind the events that it counts.</summary>
    [Fact]
    public void A_poll_writes_nothing_behind_the_events_it_counts()
    {
        (Fd quiet, _) = OwnSocketPair();
        OpenQuietly(quiet, 1);
        (Fd near, _) = OwnSocketPair();
        Open(near, 2, PollMode.Write);
        PollEvent untouched = new(new PollToken(77), Error);
        PollEvent[] events = [untouched, untouched, untouched];

        Assert.Equal(1, Poller.Poll(events, 0));

        Assert.Equal([new PollEvent(new PollToken(2), Writable), untouched, untouched], events);
    }
}
