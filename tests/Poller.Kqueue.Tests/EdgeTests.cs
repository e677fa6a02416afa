using static Poller.Abstractions.PollReadiness;

namespace Poller.Kqueue.Tests;

public class EdgeTests : KqueueTest
{
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
}
