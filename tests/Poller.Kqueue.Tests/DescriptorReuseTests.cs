using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Kqueue.Tests;

public class DescriptorReuseTests : KqueueTest
{
    // Numbers that nobody else is handed meanwhile: open(2) and its like take the lowest free one.
    private const int Quiet = 700;

    [Fact]
    public void A_reused_number_reports_under_its_new_token()
    {
        Fd far = OpenPairAt(Quiet, 1, out Fd near);
        far.Write();
        PollEvent[] inFlight = Poll();
        Assert.NotEmpty(inFlight);
        Assert.All(inFlight, e => Assert.Equal(new PollToken(1), e.Token));

        // Between the poll and whoever acts on its events the descriptor goes, and another comes under its number.
        Assert.Equal(0, Poller.Close(near, new PollToken(1)));
        near.Dispose();
        far = OpenPairAt(Quiet, 2, out _);

        Assert.Equal(Writable, ReadinessOf(2));
        far.Write();
        Assert.Equal(Readable, ReadinessOf(2));
    }

    [Fact]
    public void An_edge_nobody_has_polled_dies_with_Close()
    {
        Fd far = OpenPairAt(Quiet + 10, 1, out Fd near);
        far.Write();

        Assert.Equal(0, Poller.Close(near, new PollToken(1)));
        near.Dispose();
        OpenPairAt(Quiet + 10, 2, out _);

        Assert.Equal(Writable, ReadinessOf(2));
    }

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
        Assert.Equal(0, Poller.Close(newcomer, new PollToken(2)));
    }

    [Fact]
    public void A_duplicate_is_a_descriptor_of_its_own()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        Fd duplicate = Own(near.Duplicate());
        OpenQuietly(near, 1);
        OpenQuietly(duplicate, 2);

        far.Write();
        Assert.Equal<ulong>([1, 2], PollAll().Select(e => e.Token.Value).Order());

        Assert.Equal(0, Poller.Close(near, new PollToken(1)));
        far.Write();
        Assert.Equal(Readable, ReadinessOf(2));
    }

    [Fact]
    public void Only_the_newest_token_of_a_number_is_ever_reported()
    {
        const int Rounds = 2000;
        for (uint round = 1; round <= Rounds; round++)
        {
            Fd far = OpenPairAt(Quiet + 40, round, out Fd near);
            if (round % 2 == 0) PollAll();
            if (round % 3 == 0) Poller.Break();
            far.Write();
            Assert.True(ReadinessOf(round).HasFlag(Readable));
            far.Write();

            Assert.Equal(0, Poller.Close(near, new PollToken(round)));
            near.Dispose();
            far.Dispose();
        }
        Assert.Empty(PollAll());
    }

    private Fd OpenPairAt(int number, ulong token, out Fd near)
    {
        (Fd any, Fd far) = Fd.SocketPair();
        near = Own(any.Duplicate(number));
        any.Dispose();
        Assert.Equal(number, near.Number);
        Assert.Equal(0, Poller.Open(near, new PollToken(token)));
        return Own(far);
    }
}
