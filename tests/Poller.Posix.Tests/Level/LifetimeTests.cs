using Poller.Abstractions;
using Poller.Epoll.Tests;

namespace Poller.Level.Tests;

public class LifetimeTests
{
    private readonly PollEvent[] _events = new PollEvent[4];
    private readonly INetpoll _poller = LevelBackend.Factory.Create();

    [Fact]
    public void The_poller_is_level_triggered_and_called_as_its_factory_is()
    {
        Assert.Equal(PollTrigger.Level, _poller.Trigger);
        Assert.Equal(LevelBackend.Factory.Name, _poller.Name);
    }

    [Theory]
    [MemberData(nameof(Members))]
    public void Before_Init_every_member_asks_for_it(string member)
    {
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Call(member));

        Assert.Contains("Init", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Members))]
    public void After_Dispose_every_member_says_so(string member)
    {
        _poller.Init();
        _poller.Dispose();

        Assert.Throws<ObjectDisposedException>(() => Call(member));
    }

    [Theory]
    [MemberData(nameof(Members))]
    public void A_poller_disposed_before_Init_says_so_too(string member)
    {
        _poller.Dispose();

        Assert.Throws<ObjectDisposedException>(_poller.Init);
        Assert.Throws<ObjectDisposedException>(() => Call(member));
    }

    public static TheoryData<string> Members =>
        [nameof(INetpoll.Open), nameof(INetpoll.Close), nameof(INetpoll.Arm), nameof(INetpoll.Poll), nameof(INetpoll.Break)];

    private void Call(string member)
    {
        switch (member)
        {
            case nameof(INetpoll.Open): _poller.Open(0, new PollToken(1)); break;
            case nameof(INetpoll.Close): _poller.Close(0, new PollToken(1)); break;
            case nameof(INetpoll.Arm): _poller.Arm(0, new PollToken(1), PollMode.Read); break;
            case nameof(INetpoll.Poll): _poller.Poll(_events, 0); break;
            case nameof(INetpoll.Break): _poller.Break(); break;
            default: throw new ArgumentOutOfRangeException(nameof(member), member, "a member of INetpoll was expected");
        }
    }

    [Fact]
    public void Init_twice_is_refused_and_harms_nothing()
    {
        _poller.Init();

        Assert.Throws<InvalidOperationException>(_poller.Init);

        _poller.Break();
        Assert.Equal(0, _poller.Poll(_events, -1));
        _poller.Dispose();
        _poller.Dispose();
    }

    [Fact]
    public void Break_then_Dispose_ends_a_blocked_poll()
    {
        for (int i = 0; i < 300; i++)
        {
            INetpoll poller = LevelBackend.Factory.Create();
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
        _poller.Init();
        Assert.Equal(0, _poller.Open(fd, new PollToken(1)));
        Assert.Equal(0, _poller.Arm(fd, new PollToken(1), PollMode.Read));
        Worker thread = Worker.Start(() => Assert.Equal(1, _poller.Poll(_events, -1)));
        thread.AwaitSleep();

        _poller.Dispose();
        fd.Signal();

        thread.Join();
        Assert.Equal(new PollToken(1), _events[0].Token);
        Assert.Throws<ObjectDisposedException>(() => _poller.Poll(_events, 0));
    }
}
