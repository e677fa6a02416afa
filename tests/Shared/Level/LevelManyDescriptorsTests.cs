using Poller.Abstractions;

namespace Poller.Tests.Shared;

[Collection(ProcessWide.Name)]
public abstract class LevelManyDescriptorsTests(INetpollFactory backend) : LevelTest(backend)
{
    private const int Count = 500;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Everyone_has_their_turn_when_all_are_ready_always(int room)
    {
        const int Many = 20, Turns = 50;
        Fd[] fds = OpenMany(Many);
        int[] turns = new int[Many];
        for (int i = 0; i < Many; i++) Arm(fds[i], PollMode.Write);

        for (int left = Many * Turns; left > 0;)
        {
            foreach (PollEvent found in Poll(0, room))
            {
                turns[found.Token.Value]++;
                Arm(fds[found.Token.Value], PollMode.Write);
                left--;
            }
        }

        Assert.All(turns, count => Assert.InRange(count, Turns / 2, Turns * 2));
    }

    [Fact]
    public void The_set_grows_and_shrinks_in_any_order()
    {
        Fd[] fds = OpenMany(Count);
        Random random = new(1);
        HashSet<ulong> armed = [];
        for (int round = 0; round < 20; round++)
        {
            for (int i = 0; i < Count; i++)
            {
                ulong token = (ulong)random.Next(Count);
                if (random.Next(4) == 0)
                {
                    Close(fds[token]);
                    Open(fds[token], token);
                    armed.Remove(token);
                }
                else
                {
                    // Of a read nothing comes; it keeps its place.
                    bool write = random.Next(2) == 0;
                    Arm(fds[token], write ? PollMode.Write : PollMode.Read);
                    if (write) armed.Add(token);
                }
                if (i % 50 == 0) foreach (PollEvent found in Poll(0, room: 10)) Assert.True(armed.Remove(found.Token.Value));
            }
            Assert.Equal(armed.Order(), PollAll(64).Select(e => e.Token.Value).Order());
            armed.Clear();
        }
    }

    private Fd[] OpenMany(int count)
    {
        Fd[] fds = [.. Enumerable.Range(0, count).Select(_ => Own(Fd.EventFd()))];
        for (int i = 0; i < count; i++) Open(fds[i], (ulong)i);
        return fds;
    }
}
