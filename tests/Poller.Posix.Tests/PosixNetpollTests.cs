using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Posix.Tests;

/// <summary>What is poll(2)'s own; the rest is in the tests of level-triggering.</summary>
[Collection(ProcessWide.Name)]
public sealed class PosixNetpollTests() : LevelTest(new PosixNetpollFactory())
{
    private new PosixNetpoll Poller => (PosixNetpoll)base.Poller;

    [Fact]
    public void A_descriptor_is_in_the_set_only_while_a_direction_is_armed()
    {
        (Fd near, Fd far) = OpenPair(1);
        (Fd other, _) = OpenPair(2);
        Assert.Empty(Poll());
        Assert.Equal(0, Poller.SetSize);

        Arm(near, PollMode.Read);
        Arm(other, PollMode.Read);
        Assert.Empty(Poll());
        Assert.Equal(2, Poller.SetSize);

        far.Write();
        Assert.Single(Poll());
        Assert.Empty(Poll());
        Assert.Equal(1, Poller.SetSize);

        Arm(near, PollMode.Read);
        Close(near);
        Close(other);
        Assert.Empty(Poll());
        Assert.Equal(0, Poller.SetSize);
    }

    [Fact]
    public void A_number_that_was_closed_without_Close_is_reported_once_as_an_error_and_disturbs_no_later_poll()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        Fd high = near.Duplicate(900); // A number that nobody is handed meanwhile.
        Open(high, 1);
        Arm(high, PollMode.Read);
        high.Dispose();

        Assert.Equal(Readable | ReadHangup | Error, ReadinessOf(1));
        AssertQuiet();
        Assert.Equal(1, far.Write());
        Close(high);
    }

    [Fact]
    public void A_warm_poller_allocates_nothing()
    {
        const int Count = 200;
        PollEvent[] events = new PollEvent[64];
        Fd[] fds = [.. Enumerable.Range(0, Count).Select(_ => Own(Fd.EventFd()))];
        for (int i = 0; i < Count; i++) Open(fds[i], (ulong)i);
        Round();

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) Round();

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Round()
        {
            for (int i = 0; i < Count; i++) Poller.Arm(fds[i], PollMode.ReadWrite);
            for (int left = Count; left > 0; left -= Poller.Poll(events, left % 2 == 0 ? 0 : Second)) { }
            Poller.Break();
            Poller.Poll(events, Second);
            Poller.Poll(events, 1);
        }
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 50_000)]
    [InlineData(true, 1_000_001)]
    [InlineData(true, 5_300_000)]
    [InlineData(true, 1_000_000_001)]
    [InlineData(false, 1)]
    [InlineData(false, 1_000_001)]
    [InlineData(false, 5_300_000)]
    [InlineData(false, 1_000_000_001)]
    public void A_poll_is_never_over_early(bool nanoseconds, long delay)
    {
        Poller.UsesPpoll = nanoseconds;

        Worker.RunUninterrupted(() =>
        {
            for (int i = delay < Second ? 20 : 1; i > 0; i--)
            {
                TimeSpan taken = Time(() => Assert.Empty(Poll(delay)));
                Assert.InRange(taken.TotalNanoseconds, delay, Worker.Bound.TotalNanoseconds);
            }
        });
    }

    [Theory]
    [InlineData(true, long.MaxValue)]
    [InlineData(true, int.MaxValue * Millisecond + 1)]
    [InlineData(false, long.MaxValue)]
    [InlineData(false, int.MaxValue * Millisecond + 1)]
    [InlineData(true, long.MinValue)]
    public void A_huge_delay_blocks_until_a_Break(bool nanoseconds, long delay)
    {
        Poller.UsesPpoll = nanoseconds;
        Worker thread = Worker.StartUninterrupted(() => Assert.Empty(Poll(delay)));

        Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(50)));

        Poller.Break();
        thread.Join();
    }

    [Fact]
    public void The_descriptors_are_one_pipe_that_neither_blocks_nor_is_inherited_and_is_gone_after_Dispose()
    {
        const int Flags = Fd.CloseOnExec | Fd.NonBlocking;
        HashSet<string> before = [.. Pipes()];
        PosixNetpoll poller = new();
        poller.Init();

        string[] made = [.. Pipes().Except(before)];
        Assert.Equal(2, made.Length);
        Assert.Single(made.Select(static path => new FileInfo(path).LinkTarget).Distinct());
        Assert.All(made, static path => Assert.Equal(Flags, FlagsOf(path) & Flags));

        poller.Dispose();
        Assert.Empty(Pipes().Except(before));

        static int FlagsOf(string path)
        {
            IEnumerable<string> info = File.ReadLines($"/proc/self/fdinfo/{Path.GetFileName(path)}");
            return Convert.ToInt32(info.Single(static line => line.StartsWith("flags:", StringComparison.Ordinal))[6..].Trim(), 8);
        }
    }

    private static IEnumerable<string> Pipes() => Directory.GetFiles("/proc/self/fd")
        .Where(static path => new FileInfo(path).LinkTarget?.StartsWith("pipe:", StringComparison.Ordinal) == true);
}
