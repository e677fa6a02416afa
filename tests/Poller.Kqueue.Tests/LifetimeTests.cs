using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

[Trait("Kernel", "emulated")]
public class LifetimeTests
{
    private readonly PollEvent[] _events = new PollEvent[4];

    [Theory]
    [MemberData(nameof(Members))]
    public void Before_Init_every_member_asks_for_it(string member)
    {
        using KqueueNetpoll poller = New();

        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Call(poller, member));

        Assert.Contains("Init", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Members))]
    public void After_Dispose_every_member_says_so(string member)
    {
        KqueueNetpoll poller = New();
        poller.Init();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(() => Call(poller, member));
    }

    [Theory]
    [MemberData(nameof(Members))]
    public void A_poller_disposed_before_Init_says_so_too(string member)
    {
        KqueueNetpoll poller = New();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(poller.Init);
        Assert.Throws<ObjectDisposedException>(() => Call(poller, member));
    }

    public static TheoryData<string> Members =>
        [nameof(INetpoll.Open), nameof(INetpoll.Close), nameof(INetpoll.Poll), nameof(INetpoll.Break)];

    private static KqueueNetpoll New() => new(new EmulatedKernel(KqueuePlatform.MacOS));

    private void Call(KqueueNetpoll poller, string member)
    {
        switch (member)
        {
            case nameof(INetpoll.Open): poller.Open(0, new PollToken(1)); break;
            case nameof(INetpoll.Close): poller.Close(0, new PollToken(1)); break;
            case nameof(INetpoll.Poll): poller.Poll(_events, 0); break;
            case nameof(INetpoll.Break): poller.Break(); break;
            default: throw new ArgumentOutOfRangeException(nameof(member), member, "a member of INetpoll was expected");
        }
    }

    [Fact]
    public void Init_twice_is_refused_and_harms_nothing()
    {
        using KqueueNetpoll poller = New();
        poller.Init();

        Assert.Throws<InvalidOperationException>(poller.Init);

        poller.Break();
        Assert.Equal(0, poller.Poll(_events, -1));
    }

    [Fact]
    public void Init_after_Dispose_is_refused()
    {
        KqueueNetpoll poller = New();
        poller.Init();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(poller.Init);
    }

    [Fact]
    public void Break_after_Dispose_says_so_also_when_an_earlier_one_is_pending()
    {
        KqueueNetpoll poller = New();
        poller.Init();
        poller.Break();
        poller.Dispose();

        Assert.Throws<ObjectDisposedException>(poller.Break);
    }

    [Fact]
    public void Dispose_may_be_called_again()
    {
        KqueueNetpoll poller = New();
        poller.Init();

        poller.Dispose();
        poller.Dispose();
    }

    [Fact]
    public void Break_then_Dispose_ends_a_blocked_poll()
    {
        // Whoever closes the wake-up too early takes it out of the epoll before the poll has seen it, or from under the poll's read.
        for (int i = 0; i < 500; i++)
        {
            KqueueNetpoll poller = New();
            poller.Init();
            Worker thread = Worker.Start(() => Assert.Equal(0, poller.Poll(_events, -1)));
            thread.AwaitSleep();

            poller.Break();
            poller.Dispose();

            thread.Join();
            Assert.Throws<ObjectDisposedException>(() => poller.Poll(_events, 0));
        }
    }

    [Fact]
    public void Dispose_leaves_a_blocked_poll_its_kernel_objects_until_it_returns()
    {
        using Fd fd = Fd.EventFd();
        KqueueNetpoll poller = New();
        poller.Init();
        Assert.Equal(0, poller.Open(fd, new PollToken(1)));
        Assert.Equal(1, poller.Poll(_events, 0));
        Worker thread = Worker.Start(() => Assert.Equal(1, poller.Poll(_events, -1)));
        thread.AwaitSleep();

        poller.Dispose();
        fd.Signal();

        thread.Join();
        Assert.Equal(new PollToken(1), _events[0].Token);
        Assert.Throws<ObjectDisposedException>(() => poller.Poll(_events, 0));
    }
}
