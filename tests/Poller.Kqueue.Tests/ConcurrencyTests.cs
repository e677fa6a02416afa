using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Kqueue.Tests;

public class ConcurrencyTests : KqueueTest
{
    [Fact]
    public void Open_reaches_a_poll_that_blocks()
    {
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        Assert.Equal(0, Poller.Open(OwnEventFd(), new PollToken(1)));
        thread.Join();

        Assert.Equal(new PollEvent(new PollToken(1), Writable), Assert.Single(events));
    }

    [Fact]
    public void Close_reaches_a_poll_that_blocks()
    {
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        Assert.Equal(0, Poller.Close(fd, new PollToken(1)));
        fd.Signal();
        Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(50)));

        Poller.Break();
        thread.Join();
        Assert.Empty(events);
    }

    [Fact]
    public void Any_thread_may_be_the_next_to_poll()
    {
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);

        for (int i = 0; i < 50; i++)
        {
            (Worker thread, List<PollEvent> events) = StartPoll(Blocking);
            fd.Signal();
            thread.Join();
            Assert.Equal(new PollToken(1), Assert.Single(events).Token);
        }
    }

    [Fact]
    public void Open_Close_and_Break_may_race_with_a_poll()
    {
        const int Threads = 3, Rounds = 3000;
        bool stop = false;
        HashSet<ulong> seen = [];
        Worker loop = Worker.Start(() =>
        {
            while (!Volatile.Read(ref stop)) seen.UnionWith(Poll(Blocking, room: 2).Select(e => e.Token.Value));
        });

        Worker[] changers = [.. Enumerable.Range(1, Threads).Select(thread => Worker.Start(() =>
        {
            using Fd fd = Fd.EventFd();
            for (int round = 0; round < Rounds; round++)
            {
                PollToken token = new((uint)thread, (uint)round);
                Assert.Equal(0, Poller.Open(fd, token));
                if (round % 7 == 0) Poller.Break();
                Assert.Equal(0, Poller.Close(fd, token));
            }
        }))];
        try
        {
            foreach (Worker changer in changers) changer.Join();
        }
        finally
        {
            Volatile.Write(ref stop, true);
            Poller.Break();
        }
        loop.Join();

        // An open descriptor is writable, so some poll saw one; which of them, nobody promises.
        Assert.All(seen, token => Assert.InRange<uint>(new PollToken(token).Slot, 1, Threads));
        Assert.Empty(PollAll());
    }
}
