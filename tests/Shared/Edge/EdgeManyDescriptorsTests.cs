using Poller.Abstractions;

namespace Poller.Tests.Shared;

/// <summary>An edge-triggered poller whose waits find more than its buffer holds.</summary>
[Collection(ProcessWide.Name)]
public abstract class EdgeManyDescriptorsTests<TPoller>(TPoller poller) : PollerTest<TPoller>(poller) where TPoller : INetpoll
{
    private const int Count = 1000;
    private const int InitialCapacity = 128;

    private readonly List<Action> _makeReadable = [];

    /// <summary>How many events its buffer holds.</summary>
    protected abstract int Capacity { get; }

    [Theory]
    [InlineData(1, InitialCapacity)]
    [InlineData(7, InitialCapacity)]
    [InlineData(127, InitialCapacity)]
    [InlineData(128, 256)]
    [InlineData(4096, 1024)]
    public void The_buffer_grows_while_waits_fill_it_and_the_caller_has_room(int room, int capacity)
    {
        OpenMany();
        PollAll(1);
        Assert.Equal(InitialCapacity, Capacity);
        foreach (Action makeReadable in _makeReadable) makeReadable();

        PollAll(room);

        Assert.Equal(capacity, Capacity);
    }

    [Fact]
    public void A_grown_buffer_takes_all_at_once()
    {
        OpenMany();
        for (int round = 0; round < 2; round++)
        {
            foreach (Action makeReadable in _makeReadable) makeReadable();
            PollAll(4096);
        }
        foreach (Action makeReadable in _makeReadable) makeReadable();

        Assert.Equal(Count, Poll(0, room: 4096).Length);
    }

    private void OpenMany()
    {
        for (int i = 0; i < Count; i++)
        {
            Fd fd;
            if (i % 3 == 0)
            {
                fd = OwnEventFd();
                _makeReadable.Add(fd.Signal);
            }
            else
            {
                (fd, Fd far) = Own(i % 3 == 1 ? Fd.Pipe() : Fd.SocketPair());
                _makeReadable.Add(() =>
                {
                    fd.Drain();
                    Assert.Equal(1, far.Write());
                });
            }
            Assert.Equal(Errno.None, Poller.Open(fd, new PollToken((ulong)i)));
        }
    }
}
