using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Epoll.Tests;

public sealed class DescriptorReuseTests() : EdgeDescriptorReuseTests<EpollNetpoll>(new EpollNetpoll())
{
    [Fact]
    public void A_descriptor_closed_without_Close_haunts_the_poller_while_a_duplicate_lives()
    {
        // Why Close comes before close(2): the kernel's registration is of the file and the number, and no call can reach it any more.
        Fd far = OpenPairAt(Quiet + 30, 1, out Fd near);
        PollAll();
        Fd duplicate = Own(near.Duplicate());
        near.Dispose();
        OpenPairAt(Quiet + 30, 2, out Fd newcomer);
        PollAll();

        far.Write();
        Assert.Equal(Readable | Writable, ReadinessOf(1));
        Assert.Equal(Errno.None, Poller.Close(newcomer));
        far.Write();
        Assert.Equal(Readable | Writable, ReadinessOf(1));

        duplicate.Dispose();
        Assert.Empty(PollAll());
    }
}
