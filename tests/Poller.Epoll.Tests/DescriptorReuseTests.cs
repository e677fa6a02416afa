using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Epoll.Tests;

/// <summary>What the kernel makes of a close(2) without a Close.</summary>
[Collection(ProcessWide.Name)]
public class DescriptorReuseTests : EpollTest
{
    // Numbers that nobody else is handed meanwhile: open(2) and its like take the lowest free one.
    private const int Quiet = 700;

    [Fact]
    public void A_descriptor_closed_without_Close_is_forgotten_when_it_was_the_only_one()
    {
        OpenPairAt(Quiet + 20, 1, out Fd near);

        near.Dispose();

        Assert.Empty(PollAll());
        OpenPairAt(Quiet + 20, 2, out _);
        Assert.Equal(Writable, ReadinessOf(2));
    }

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

    private Fd OpenPairAt(int number, ulong token, out Fd near)
    {
        (Fd any, Fd far) = Fd.SocketPair();
        near = Own(any.Duplicate(number));
        any.Dispose();
        Assert.Equal(number, near.Number);
        Assert.Equal(Errno.None, Poller.Open(near, new PollToken(token)));
        return Own(far);
    }
}
