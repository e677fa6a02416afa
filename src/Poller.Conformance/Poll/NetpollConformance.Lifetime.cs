using Poller.Abstractions;

namespace Poller.Conformance;

public abstract partial class NetpollConformance
{
    /// <summary>The members that need an initialised poller.</summary>
    public static TheoryData<string> Members =>
        [nameof(INetpoll.Open), nameof(INetpoll.Close), nameof(INetpoll.Poll), nameof(INetpoll.Break)];

    /// <summary>Before Init the member throws an <see cref="InvalidOperationException"/> that names Init.</summary>
    /// <param name="member">A member of INetpoll.</param>
    [Theory]
    [MemberData(nameof(Members))]
    public void Before_Init_every_member_asks_for_it(string member)
    {
        using INetpoll poller = Factory.Create();

        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Call(poller, member));

        Assert.Contains("Init", error.Message, StringComparison.Ordinal);
    }

    /// <summary>After Dispose the member throws <see cref="ObjectDisposedException"/>.</summary>
    /// <param name="member">A member of INetpoll.</param>
    [Theory]
    [MemberData(nameof(Members))]
    public void After_Dispose_every_member_says_so(string member)
    {
        INetpoll poller = Initialised();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(() => Call(poller, member));
    }

    /// <summary>A poller that was never initialised may be disposed.</summary>
    /// <param name="member">A member of INetpoll.</param>
    [Theory]
    [MemberData(nameof(Members))]
    public void A_poller_disposed_before_Init_says_so_too(string member)
    {
        INetpoll poller = Factory.Create();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(poller.Init);
        Assert.Throws<ObjectDisposedException>(() => Call(poller, member));
    }

    /// <summary>
    /// Arm throws what the other members throw; on an edge-triggered poller it always throws that there is nothing to arm.
    /// </summary>
    [Fact]
    public void Arm_too_asks_for_Init_and_says_that_it_was_disposed()
    {
        (Fd near, _) = OwnSocketPair();
        if (!IsLevel)
        {
            AssertThatThereIsNothingToArm(near);
            return;
        }
        using INetpoll poller = Factory.Create();

        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => { Arm(); });
        Assert.Contains("Init", error.Message, StringComparison.Ordinal);

        poller.Dispose();
        Assert.Throws<ObjectDisposedException>(() => { Arm(); });

        Errno Arm() => poller.Arm(near, PollMode.Read);
    }

    /// <summary>A second Init throws, and the poller goes on working.</summary>
    [Fact]
    public void Init_twice_is_refused_and_harms_nothing()
    {
        Assert.Throws<InvalidOperationException>(Poller.Init);

        Poller.Break();
        AssertThatABreakEnds(Blocking);
    }

    /// <summary>Init after Dispose throws.</summary>
    [Fact]
    public void Init_after_Dispose_is_refused()
    {
        INetpoll poller = Initialised();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(poller.Init);
    }

    /// <summary>After Dispose, Break throws even if another Break is still pending.</summary>
    [Fact]
    public void Break_after_Dispose_throws_even_if_an_earlier_one_is_pending()
    {
        INetpoll poller = Initialised();
        poller.Break();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(poller.Break);
    }

    /// <summary>A second Dispose does nothing, as for every disposable object.</summary>
    [Fact]
    public void Dispose_may_be_called_again()
    {
        INetpoll poller = Initialised();

        poller.Dispose();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(poller.Break);
    }

    /// <summary>A Dispose right after a Break does not free the wake-up before the poll has seen it.</summary>
    [Fact]
    public void Break_then_Dispose_ends_a_blocked_poll()
    {
        for (int i = 0; i < 100; i++)
        {
            INetpoll poller = Initialised();
            PollEvent[] events = new PollEvent[4];
            Worker thread = Worker.Start("poll until a Break", () => Assert.Equal(0, poller.Poll(events, Blocking)));
            thread.AwaitSleep();

            poller.Break();
            poller.Dispose();

            thread.Join();
            Assert.Throws<ObjectDisposedException>(() => { poller.Poll(events, 0); });
        }
    }

    /// <summary>Dispose frees the kernel object only when no call is inside the poller.</summary>
    [Fact]
    public void Dispose_leaves_a_blocked_poll_its_kernel_objects_until_it_returns()
    {
        (Fd near, Fd far) = OwnSocketPair();
        near.Fill();
        INetpoll poller = Initialised();
        Assert.Equal(Errno.None, poller.Open(near, new PollToken(1)));
        if (IsLevel) Assert.Equal(Errno.None, poller.Arm(near, PollMode.Read));
        PollEvent[] events = new PollEvent[4];
        Worker thread = Worker.Start("poll until an event", () => Assert.Equal(1, poller.Poll(events, Blocking)));
        thread.AwaitSleep();

        poller.Dispose();
        far.Write();

        thread.Join();
        Assert.Equal(new PollEvent(new PollToken(1), PollReadiness.Readable), events[0]);
        Assert.Throws<ObjectDisposedException>(() => { poller.Poll(events, 0); });
    }

    private INetpoll Initialised()
    {
        INetpoll poller = Factory.Create();
        poller.Init();
        Assert.Equal(0, poller.Poll(new PollEvent[1], 0)); // A worker's sleep is then that of its poll, and no wait for the JIT compiler.
        return poller;
    }

    private static void Call(INetpoll poller, string member)
    {
        switch (member)
        {
            case nameof(INetpoll.Open): poller.Open(0, new PollToken(1)); break;
            case nameof(INetpoll.Close): poller.Close(0); break;
            case nameof(INetpoll.Poll): poller.Poll(new PollEvent[4], 0); break;
            case nameof(INetpoll.Break): poller.Break(); break;
            default: throw new ArgumentOutOfRangeException(nameof(member), member, "a member of INetpoll was expected");
        }
    }
}
