using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Conformance;

// The number of a closed descriptor is the next one's. An old token must not come back with it.
public abstract partial class NetpollConformance
{
    /// <summary>What was reported and not acted on yet carries the old token, what is reported from then on the new one.</summary>
    [Fact]
    public void A_reused_number_reports_under_its_new_token()
    {
        (Fd near, Fd far) = OwnSocketPair();
        near.Fill();
        OpenQuietly(near, 1);
        Arm(near, PollMode.Read);
        far.Write();
        Assert.Equal(new PollEvent(new PollToken(1), Readable), Assert.Single(Poll()));

        far = Reuse(near, 1, 2);

        Assert.Equal(Writable, ReadinessOf(2));
        Arm(near, PollMode.Read);
        far.Write();
        Assert.Equal(Readable, ReadinessOf(2) & Readable);
    }

    /// <summary>What was ready under the old token is not reported under any.</summary>
    [Fact]
    public void An_event_nobody_has_polled_dies_with_Close()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        Arm(near, PollMode.Read);
        far.Write();

        Reuse(near, 1, 2);

        Assert.Equal(Writable, ReadinessOf(2));
    }

    /// <summary>Many lives of one number, with and without a poll in between.</summary>
    [Fact]
    public void Only_the_newest_token_of_a_number_is_ever_reported()
    {
        const int Rounds = 1000;
        (Fd near, Fd far) = OwnSocketPair();
        Open(near, 1);
        for (uint round = 1; round <= Rounds; round++)
        {
            if (round % 2 == 0) PollAll();
            if (round % 3 == 0) Poller.Break();
            far.Write();
            Arm(near, PollMode.ReadWrite);
            Assert.Equal(Readable, ReadinessOf(round) & Readable);
            far.Write();
            Arm(near, PollMode.Read);

            far = Reuse(near, round, round + 1);
        }
        Assert.Equal(Writable, ReadinessOf(Rounds + 1));
    }

    /// <summary>Close, close(2), and another socket under the number, opened under a new token. Returns that one's peer.</summary>
    private Fd Reuse(Fd near, ulong old, ulong token)
    {
        Assert.Equal(Errno.None, Poller.Close(near));
        (Fd newNear, Fd far) = Fd.SocketPair();
        near.BecomeOther(newNear);
        Open(near, token);
        return Own(far);
    }
}
