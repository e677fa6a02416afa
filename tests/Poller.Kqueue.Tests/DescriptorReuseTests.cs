using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Kqueue.Tests;

public class DescriptorReuseTests : KqueueTest
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
    public void A_descriptor_closed_without_Close_is_forgotten_though_a_duplicate_lives()
    {
        // A knote is of the number: unlike an epoll, a kqueue drops it with the number.
        Fd far = OpenPairAt(Quiet + 30, 1, out Fd near);
        PollAll();
        using Fd duplicate = near.Duplicate();
        near.Dispose();
        far.Write();
        Assert.Empty(PollAll());

        OpenPairAt(Quiet + 30, 2, out Fd newcomer);
        Assert.Equal(Writable, ReadinessOf(2));
        far.Write();
        Assert.Empty(PollAll());
        Assert.Equal(Errno.None, Poller.Close(newcomer));
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
