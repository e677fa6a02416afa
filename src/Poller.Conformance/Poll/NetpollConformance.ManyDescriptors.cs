using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Conformance;

public abstract partial class NetpollConformance
{
    // 2,400 descriptors: fewer than systems allow a process, and more than a backend's first event list holds.
    private const int Pairs = 1200;

    /// <summary>If more descriptors are ready than a poll has room for, later polls report the rest.</summary>
    /// <param name="room">How many events a poll has room for.</param>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(128)]
    [InlineData(4096)]
    public void Nothing_is_lost_when_more_are_ready_than_there_is_room_for(int room)
    {
        // With small rooms there are fewer descriptors, because a level-triggered poller may search all of them in each poll. Small rooms
        // matter for edges.
        (Fd A, Fd B)[] pairs = OpenMany(room < 100 ? Pairs / 8 : Pairs);
        ArmAll(pairs, PollMode.Write);
        Assert.Equal(Enumerable.Range(0, 2 * pairs.Length), Tokens(PollAll(room), Writable));

        for (int round = 0; round < 2; round++)
        {
            Swap(pairs);
            ArmAll(pairs, PollMode.Read);

            Assert.Equal(Enumerable.Range(0, 2 * pairs.Length), Tokens(PollAll(room), Readable));
            Assert.Empty(PollAll(room));
        }
    }

    /// <summary>A poll does not block while events are left for which an earlier poll had no room.</summary>
    /// <param name="room">How many events a poll has room for.</param>
    [Theory]
    [InlineData(1)]
    [InlineData(128)]
    public void Polls_that_block_return_while_something_is_left(int room)
    {
        (Fd A, Fd B)[] pairs = OpenMany(room < 100 ? Pairs / 8 : Pairs);
        PollAll(4096);
        Swap(pairs);
        ArmAll(pairs, PollMode.Read);
        Poller.Break();

        List<PollEvent> events = [];
        Worker.Start($"poll until {2 * pairs.Length} descriptors were reported readable", () =>
        {
            while (Tokens(events, Readable).Count() < 2 * pairs.Length) events.AddRange(Poll(Blocking, room));
        }).Join();

        Assert.Empty(Tokens(events, Readable).Except(Enumerable.Range(0, 2 * pairs.Length)));
    }

    private static IEnumerable<int> Tokens(IEnumerable<PollEvent> events, PollReadiness readiness) =>
        events.Where(e => e.Readiness.HasFlag(readiness)).Select(e => (int)e.Token.Value).Distinct().Order();

    private (Fd A, Fd B)[] OpenMany(int count)
    {
        (Fd A, Fd B)[] pairs = [.. Enumerable.Range(0, count).Select(_ => OwnSocketPair())];
        for (int i = 0; i < count; i++)
        {
            Assert.Equal(Errno.None, Poller.Open(pairs[i].A, new PollToken((ulong)(2 * i))));
            Assert.Equal(Errno.None, Poller.Open(pairs[i].B, new PollToken((ulong)(2 * i + 1))));
        }
        return pairs;
    }

    private void ArmAll((Fd A, Fd B)[] pairs, PollMode mode)
    {
        for (int i = 0; i < pairs.Length; i++)
        {
            Arm(pairs[i].A, mode);
            Arm(pairs[i].B, mode);
        }
    }

    private static void Swap((Fd A, Fd B)[] pairs)
    {
        foreach ((Fd a, Fd b) in pairs)
        {
            a.Drain();
            b.Drain();
            Assert.Equal(1, a.Write());
            Assert.Equal(1, b.Write());
        }
    }
}
