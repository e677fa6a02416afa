using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Conformance;

// A new descriptor gets the number of a closed one. The closed one's token must not come back with that number.
public abstract partial class NetpollConformance
{
    /// <summary>Events from before the reuse carry the old token. All later events carry the new one.</summary>
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

    /// <summary>Readiness of the closed descriptor is not reported, under either token.</summary>
    [Fact]
    public void Close_drops_an_event_that_was_not_polled()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        Arm(near, PollMode.Read);
        far.Write();

        Reuse(near, 1, 2);

        Assert.Equal(Writable, ReadinessOf(2));
    }

    /// <summary>One number is reused many times, with and without a poll in between.</summary>
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

    /// <summary>
    /// Closes the descriptor, and opens another socket under the same number and a new token. Returns the peer of the new socket.
    /// </summary>
    private Fd Reuse(Fd near, ulong old, ulong token)
    {
        Assert.Equal(Errno.None, Poller.Close(near));
        (Fd newNear, Fd far) = Fd.SocketPair();
        near.BecomeOther(newNear);
        Open(near, token);
        return Own(far);
    }
}
