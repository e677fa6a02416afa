using static Poller.Abstractions.PollReadiness;

namespace Poller.Epoll.Tests;

/// <summary>Which edges epoll reports beyond those that every poller has to.</summary>
public class EdgeTests : EpollTest
{
    [Fact]
    public void More_bytes_are_an_edge_also_behind_unread_ones()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        far.Write();
        Assert.Equal(Readable | Writable, ReadinessOf(1));

        far.Write(10);

        Assert.Equal(Readable | Writable, ReadinessOf(1));
        Assert.Empty(PollAll());
    }

    [Fact]
    public void An_event_reports_both_directions_that_are_ready_whichever_has_the_edge()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        near.Fill();

        far.Write();
        Assert.Equal(Readable, ReadinessOf(1));

        far.Drain();
        Assert.Equal(Readable | Writable, ReadinessOf(1)); // The byte still waits.
    }
}
