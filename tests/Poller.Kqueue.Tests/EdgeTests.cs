using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Kqueue.Tests;

public class EdgeTests : KqueueTest
{
    [Fact]
    public void Open_reports_the_directions_that_are_ready_already()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        far.Write();

        Assert.Equal(0, Poller.Open(near, new PollToken(1)));

        Assert.Equal(Readable | Writable, ReadinessOf(1));
    }

    [Fact]
    public void Open_reports_nothing_where_nothing_is_ready()
    {
        (Fd near, _) = Own(Fd.SocketPair());
        near.Fill();

        Assert.Equal(0, Poller.Open(near, new PollToken(1)));

        Assert.Empty(PollAll());
    }

    [Fact]
    public void Data_is_reported_once_until_more_comes()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);

        far.Write();
        Assert.True(ReadinessOf(1).HasFlag(Readable));
        Assert.Empty(PollAll());

        // Unread bytes are no edge, and a read of some of them is none either.
        far.Write(10);
        Assert.True(ReadinessOf(1).HasFlag(Readable));
        Assert.Equal(5, near.Read(5));
        Assert.Empty(PollAll());

        Assert.Equal(6, near.Drain());
        far.Write();
        Assert.True(ReadinessOf(1).HasFlag(Readable));
    }

    [Fact]
    public void Room_is_reported_once_the_peer_has_read()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        int written = near.Fill();
        Assert.Empty(PollAll());

        Assert.Equal(written, far.Drain());

        Assert.Equal(Writable, ReadinessOf(1));
        Assert.Empty(PollAll());
    }

    [Fact]
    public void The_directions_have_edges_of_their_own()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        near.Fill();

        far.Write();
        Assert.Equal(Readable, ReadinessOf(1));

        far.Drain();
        Assert.Equal(Writable, ReadinessOf(1));
    }

    [Fact]
    public void An_end_is_reported_after_the_bytes_before_it_were()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        far.Write(3);
        Assert.Equal(Readable, ReadinessOf(1));

        far.Shutdown();

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
        Assert.Equal(3, near.Drain());
        Assert.Equal(0, near.Read());
        Assert.Empty(PollAll());
    }

    [Fact]
    public void An_edge_waits_for_a_poll()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        far.Write();
        Poller.Break();

        // Ended by the Break or by the event, or both: the event comes in one of two.
        List<PollEvent> events = [];
        Worker thread = Worker.Start(() =>
        {
            events.AddRange(Poll(Blocking, room: 1));
            events.AddRange(Poll(Blocking, room: 1));
        });
        thread.Join();

        Assert.Equal(new PollToken(1), Assert.Single(events).Token);
    }

    [Fact]
    public void A_poll_that_blocks_returns_with_the_edge_that_comes()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        far.Write();
        thread.Join();

        Assert.Equal(new PollEvent(new PollToken(1), Readable), Assert.Single(events));
    }

    [Fact]
    public void A_poll_writes_nothing_behind_the_events_it_counts()
    {
        OpenQuietly(OwnEventFd(), 1);
        Fd fd = OwnEventFd();
        Assert.Equal(0, Poller.Open(fd, new PollToken(2)));
        PollEvent untouched = new(new PollToken(77), Error);
        PollEvent[] events = [untouched, untouched, untouched];

        Assert.Equal(1, Poller.Poll(events, 0));

        Assert.Equal([new PollEvent(new PollToken(2), Writable), untouched, untouched], events);
    }
}
