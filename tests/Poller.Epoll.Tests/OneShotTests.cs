using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;

namespace Poller.Epoll.Tests;

/// <summary>What is the one-shot's own: the races of an event with an Arm, brought about by hand.</summary>
public sealed class OneShotTests : LevelTest
{
    private const int PeerClosed = (int)(LibC.EPOLLIN | LibC.EPOLLOUT | LibC.EPOLLRDHUP | LibC.EPOLLHUP);

    // An epoll of the test's own, so that it is the test that carries the events.
    private readonly SafeFd _epoll = LibC.epoll_create1(LibC.EPOLL_CLOEXEC);
    private readonly EpollEventBuffer _buffer = new(4);
    private readonly OneShotSet _set;

    public OneShotTests() : base(EpollLevel.Factory)
    {
        Own(_epoll);
        _set = new OneShotSet(_epoll);
    }

    [Fact]
    public void An_event_that_meets_a_later_Arm_of_the_other_direction_leaves_that_one_in_the_kernel()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        int filled = near.Fill();
        OpenAndArm(near, 1, PollMode.Read);
        far.Write();
        (uint mask, ulong data) = Assert.Single(Wait());

        Assert.Equal(Errno.None, _set.Arm(near, PollMode.Write)); // Has enabled both.

        Assert.True(_set.TryDeliver(mask, data, out PollEvent found));
        Assert.Equal(new PollEvent(new PollToken(1), Readable), found);
        Assert.Empty(Wait()); // The byte still waits, and nobody is armed for it.
        Assert.Equal(filled, far.Drain());
        Assert.Equal([Writable], Deliver());
    }

    [Fact]
    public void An_event_of_both_directions_that_meets_a_later_Arm_leaves_nothing_that_is_reported()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenAndArm(near, 1, PollMode.Read);
        far.Dispose();
        (uint mask, ulong data) = Assert.Single(Wait());
        Assert.Equal(PeerClosed & ~(int)LibC.EPOLLOUT, (int)mask);
        Assert.Equal(Errno.None, _set.Arm(near, PollMode.Write));

        Assert.True(_set.TryDeliver(mask, data, out PollEvent found));

        Assert.Equal(Readable | Writable | ReadHangup, found.Readiness);
        (mask, data) = Assert.Single(Wait());
        Assert.False(_set.TryDeliver(mask, data, out _));
        Assert.Empty(Wait());
        Assert.Equal(Errno.None, _set.Arm(near, PollMode.Read));
        Assert.Equal([Readable | ReadHangup], Deliver());
    }

    [Fact]
    public void An_Arm_of_what_an_event_in_flight_is_of_is_answered_by_that_event_and_the_next_one_by_the_kernel()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenAndArm(near, 1, PollMode.Read);
        far.Write();
        (uint mask, ulong data) = Assert.Single(Wait());
        near.Drain();

        Assert.Equal(Errno.None, _set.Arm(near, PollMode.Read));
        Assert.Empty(Wait());
        Assert.True(_set.TryDeliver(mask, data, out _)); // Spurious by now, which is allowed.

        far.Write();
        Assert.Empty(Wait());
        Assert.Equal(Errno.None, _set.Arm(near, PollMode.Read));
        Assert.Equal([Readable], Deliver());
    }

    [Fact]
    public void An_event_of_a_number_that_was_used_anew_is_dropped()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenAndArm(near, 1, PollMode.Read);
        far.Write();
        (uint mask, ulong data) = Assert.Single(Wait());
        Assert.Equal(Errno.None, _set.Close(near));
        Assert.False(_set.TryDeliver(mask, data, out _));

        OpenAndArm(near, 2, PollMode.ReadWrite);

        Assert.False(_set.TryDeliver(mask, data, out _));
        Assert.Equal([Readable | Writable], Deliver());
    }

    [Fact]
    public void A_descriptor_closed_without_Close_wakes_the_direction_that_cannot_be_armed_anew()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        Fd high = near.Duplicate(950); // A number that nobody is handed meanwhile; the file lives on.
        high.Fill();
        OpenAndArm(high, 1, PollMode.ReadWrite);
        high.Dispose();

        far.Write();

        Assert.Equal([Readable | Writable], Deliver());
    }

    private void OpenAndArm(nint fd, ulong token, PollMode mode)
    {
        Assert.Equal(Errno.None, _set.Open(fd, new PollToken(token)));
        Assert.Equal(Errno.None, _set.Arm(fd, mode));
    }

    private List<(uint Mask, ulong Data)> Wait()
    {
        int count = LibC.Wait(_epoll.DangerousGetHandle(), ref _buffer.Memory, 4, 0);
        return [.. Enumerable.Range(0, count).Select(i => _buffer[i])];
    }

    private PollReadiness[] Deliver() => [.. Wait().Select(e =>
    {
        Assert.True(_set.TryDeliver(e.Mask, e.Data, out PollEvent found));
        return found.Readiness;
    })];
}
