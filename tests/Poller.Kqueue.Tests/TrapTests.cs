using Poller.Abstractions;
using static Poller.Abstractions.PollReadiness;
using static Poller.Kqueue.KqueuePlatform;

namespace Poller.Kqueue.Tests;

/// <summary>What kqueue does that a poller has to know of.</summary>
public sealed class TrapTests : KqueueTest
{
    private readonly List<(KEvent[] Changes, int Room)> _calls = [];

    [Fact]
    public void Open_is_one_call_with_all_filters_write_first_and_room_for_its_receipts_alone()
    {
        Fd fd = OwnEventFd();
        Kernel.Trace = (changes, room) => _calls.Add((changes, room));

        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(7)));

        (KEvent[] changes, int room) = Assert.Single(_calls);
        const uint Flags = EV_ADD | EV_CLEAR | EV_RECEIPT;
        nuint ident = (nuint)fd.Number;
        Assert.Equal(
            [
                new(ident, MacOS.EVFILT_WRITE, Flags, 0, 0, 7),
                new(ident, MacOS.EVFILT_READ, Flags, 0, 0, 7),
                new(ident, -15, Flags, MacOS.NOTE_OOB, 0, 7),
            ],
            changes);
        Assert.Equal(changes.Length, room);
    }

    [Fact]
    public void Close_deletes_all_filters_in_one_call()
    {
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 7);
        Kernel.Trace = (changes, room) => _calls.Add((changes, room));

        Assert.Equal(Errno.None, Poller.Close(fd));

        (KEvent[] changes, int room) = Assert.Single(_calls);
        Assert.Equal([MacOS.EVFILT_WRITE, MacOS.EVFILT_READ, -15], changes.Select(change => change.Filter));
        Assert.All(changes, change => Assert.Equal((EV_DELETE | EV_RECEIPT, (nuint)fd.Number), (change.Flags, change.Ident)));
        Assert.Equal(changes.Length, room);
    }

    [Fact]
    public void A_change_takes_no_event_that_waits()
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        far.Write();

        Fd fd = OwnEventFd();
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(2)));
        Assert.Equal(Errno.None, Poller.Close(fd));
        Poller.Break();

        Assert.Equal(Readable, ReadinessOf(1));
    }

    [Fact]
    public void EPIPE_for_one_filter_is_no_error_and_the_end_is_reported()
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        read.Dispose();
        Kernel.Misreport = change => change.Filter == MacOS.EVFILT_WRITE && (change.Flags & EV_ADD) != 0 ? Errno.EPIPE : Errno.None;

        Assert.Equal(Errno.None, Poller.Open(write, new PollToken(1)));

        Assert.Equal(Readable | Writable | ReadHangup, ReadinessOf(1));
        Assert.Equal(Errno.EEXIST, Poller.Open(write, new PollToken(2)));
        Assert.Equal(Errno.None, Poller.Close(write));
    }

    [Fact]
    public void A_filter_that_EPIPE_kept_out_is_not_missed_by_Close()
    {
        (_, Fd write) = Own(Fd.Pipe());
        Kernel.Refuse = change => change.Filter == MacOS.EVFILT_READ && (change.Flags & EV_ADD) != 0 ? Errno.EPIPE : Errno.None;

        Assert.Equal(Errno.None, Poller.Open(write, new PollToken(1)));
        Assert.Equal(Writable, ReadinessOf(1));
        Assert.Equal(Errno.None, Poller.Close(write));
        Assert.Equal(Errno.ENOENT, Poller.Close(write));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Where_one_filter_is_refused_the_other_goes_too(bool writeIsRefused)
    {
        (Fd near, Fd far) = Own(Fd.SocketPair());
        far.Write();
        int refused = writeIsRefused ? MacOS.EVFILT_WRITE : MacOS.EVFILT_READ;
        Kernel.Refuse = change => change.Filter == refused && (change.Flags & EV_ADD) != 0 ? Errno.ENOMEM : Errno.None;

        Assert.Equal(Errno.ENOMEM, Poller.Open(near, new PollToken(1)));

        Assert.Empty(PollAll());
        Kernel.Refuse = null;
        Assert.Equal(Errno.ENOENT, Poller.Close(near));
        Assert.Equal(Errno.None, Poller.Open(near, new PollToken(2)));
        Assert.Equal(Readable | Writable, ReadinessOf(2));
    }

    [Fact]
    public void An_interrupted_change_has_been_made()
    {
        Fd fd = OwnEventFd();
        Kernel.InterruptChanges(1);
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(1)));
        Assert.Equal(Writable, ReadinessOf(1));
        Assert.Equal(Errno.EEXIST, Poller.Open(fd, new PollToken(2)));

        Kernel.InterruptChanges(1);
        Assert.Equal(Errno.None, Poller.Close(fd));
        fd.Signal();
        Assert.Empty(PollAll());

        Kernel.InterruptChanges(1);
        Poller.Break();
        Assert.Empty(Poll(60 * Second));
    }

    [Fact]
    public void An_interrupted_wait_goes_on_or_leaves_the_rest_of_its_time_to_the_caller()
    {
        Kernel.InterruptWaits(1);
        Assert.Empty(Poll(60 * Second));

        OpenQuietly(OwnEventFd(), 1);
        Assert.Equal(Errno.None, Poller.Open(OwnEventFd(), new PollToken(2)));
        Kernel.InterruptWaits(3);
        Assert.Equal(new PollToken(2), Assert.Single(Poll(Blocking)).Token);

        Kernel.InterruptWaits(3);
        Assert.Empty(Poll(0));
        Assert.False(Kernel.TakeSignal());
    }

    [Fact]
    public void An_interrupted_wait_costs_no_Break()
    {
        Poller.Break();
        Assert.Empty(Poll(0));
        Kernel.InterruptWaits(1);

        Assert.Empty(Poll(60 * Second));
        Assert.Empty(Poll(Millisecond));
    }

    [Fact]
    public void A_second_Open_asks_the_kernel_and_gives_it_no_other_token()
    {
        // kqueue would take the new token for the old one's, without a word.
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        for (ulong token = 2; token < 5; token++) Assert.Equal(Errno.EEXIST, Poller.Open(near, new PollToken(token)));
        PollAll();

        far.Write();

        Assert.Equal(Readable, ReadinessOf(1));
    }

    [Fact]
    public void A_file_is_refused_though_the_kqueue_would_take_it()
    {
        using FileStream file = File.OpenRead(typeof(TrapTests).Assembly.Location);
        nint number = file.SafeFileHandle.DangerousGetHandle();
        Kernel.Trace = (changes, room) => _calls.Add((changes, room));

        Assert.Equal(Errno.EPERM, Poller.Open(number, new PollToken(1)));

        Assert.Empty(_calls);
        byte[] change = new byte[MacOS.EventSize];
        KEvents.Write(change, 0, MacOS.Layout, new KEvent((nuint)number, MacOS.EVFILT_READ, EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, 9));
        int kq = Kernel.Kqueue();
        Assert.Equal(1, Kernel.Kevent(kq, change, change, 0));
        Assert.Equal(0, KEvents.Read(change, 0, MacOS.Layout).Data);
        Assert.Equal(0, Kernel.Close(kq));
    }

    [Fact]
    public void Another_error_of_a_wait_is_an_exception_that_names_the_call()
    {
        Kernel.WaitError = Errno.EINVAL;

        NetpollException error = Assert.Throws<NetpollException>(() => Poll(Blocking));

        Assert.Equal(("kevent", Errno.EINVAL), (error.Operation, error.Error));
        Kernel.WaitError = Errno.None;
        Poller.Break();
        Assert.Empty(Poll(Blocking));
    }

    [Fact]
    public void A_kernel_that_gives_no_receipts_is_told_apart()
    {
        Kernel.HasReceipts = false;

        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => Poller.Open(OwnEventFd(), new PollToken(1)));

        Assert.Contains("EV_RECEIPT", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_error_event_wakes_both_directions()
    {
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);
        fd.Signal();
        Kernel.Alter = found => found with { Flags = EV_ERROR, Data = Errno.EBADF.Number };

        Assert.Equal(new PollEvent(new PollToken(1), Readable | Writable | ReadHangup | Error), Assert.Single(Poll()));
    }
}
