using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Tests.Shared;

/// <summary>What an edge-triggered kernel object makes of a close(2) without a Close.</summary>
[Collection(ProcessWide.Name)]
public abstract class EdgeDescriptorReuseTests<TPoller>(TPoller poller) : PollerTest<TPoller>(poller) where TPoller : INetpoll
{
    // Numbers that nobody else is handed meanwhile: open(2) and its like take the lowest free one.
    protected const int Quiet = 700;

    [Fact]
    public void A_descriptor_closed_without_Close_is_forgotten_when_it_was_the_only_one()
    {
        OpenPairAt(Quiet + 20, 1, out Fd near);

        near.Dispose();

        Assert.Empty(PollAll());
        OpenPairAt(Quiet + 20, 2, out _);
        Assert.Equal(Writable, ReadinessOf(2));
    }

    private protected Fd OpenPairAt(int number, ulong token, out Fd near)
    {
        (Fd any, Fd far) = Fd.SocketPair();
        near = Own(any.Duplicate(number));
        any.Dispose();
        Assert.Equal(number, near.Number);
        Assert.Equal(Errno.None, Poller.Open(near, new PollToken(token)));
        return Own(far);
    }
}
