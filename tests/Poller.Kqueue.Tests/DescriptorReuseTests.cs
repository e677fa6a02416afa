using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Kqueue.Tests;

[Trait("Kernel", "emulated")]
public sealed class DescriptorReuseTests() : EdgeDescriptorReuseTests<KqueueNetpoll>(Emulated.Poller())
{
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
}
