using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Kqueue.Tests;

[Collection(ProcessWide.Name)]
public class ManyDescriptorsTests : KqueueTest
{
    private const int Count = 1000;
    private const int InitialCapacity = 128;

    private readonly List<Action> _makeReadable = [];

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(128)]
    [InlineData(4096)]
    public void No_edge_is_lost_when_more_are_ready_than_there_is_room_for(int room)
    {
        OpenMany();
        Assert.Equal(Enumerable.Range(0, Count).Where(i => i % 3 != 1), Tokens(PollAll(room), Writable));

        for (int round = 0; round < 3; round++)
        {
            foreach (Action makeReadable in _makeReadable) makeReadable();

            Assert.Equal(Enumerable.Range(0, Count), Tokens(PollAll(room), Readable));
            Assert.Empty(PollAll(room));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(128)]
    [InlineData(4096)]
    public void Polls_that_block_return_while_an_edge_is_left(int room)
    {
        OpenMany();
        PollAll(4096);
        foreach (Action makeReadable in _makeReadable) makeReadable();
        Poller.Break();

        List<PollEvent> events = [];
        Worker thread = Worker.Start(() => { while (Tokens(events, Readable).Count() < Count) events.AddRange(Poll(Blocking, room)); });

        thread.Join();
    }

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
        Assert.Equal(InitialCapacity, Poller.Capacity);
        foreach (Action makeReadable in _makeReadable) makeReadable();

        PollAll(room);

        Assert.Equal(capacity, Poller.Capacity);
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

    private static IEnumerable<int> Tokens(IEnumerable<PollEvent> events, PollReadiness readiness) =>
        events.Where(e => e.Readiness.HasFlag(readiness)).Select(e => (int)e.Token.Value).Distinct().Order();

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
            Assert.Equal(0, Poller.Open(fd, new PollToken((ulong)i)));
        }
    }
}
