using Poller.Abstractions;

namespace Poller.Tests.Shared;

public abstract class LevelRegistrationTests(INetpollFactory backend) : LevelTest(backend)
{
    [Fact]
    public void Open_answers_EPERM_for_a_regular_file_and_moves_no_offset()
    {
        using FileStream file = File.OpenRead(typeof(LevelRegistrationTests).Assembly.Location);
        nint fd = file.SafeFileHandle.DangerousGetHandle();
        Assert.NotEqual(-1, file.ReadByte());
        string before = OffsetOf(fd);

        Assert.Equal(Errno.EPERM, Poller.Open(fd, new PollToken(1)));
        Assert.Equal(Errno.EPERM, Poller.Open(fd, new PollToken(1)));

        Assert.Equal(before, OffsetOf(fd));
        Assert.Equal(Errno.ENOENT, Poller.Close(fd));

        static string OffsetOf(nint fd) => File.ReadLines($"/proc/self/fdinfo/{fd}").First();
    }

    [Fact]
    public void Open_answers_EPERM_for_a_directory()
    {
        using Fd directory = Fd.Directory("/");

        Assert.Equal(Errno.EPERM, Poller.Open(directory, new PollToken(1)));
    }

    [Fact]
    public void What_can_be_polled_is_taken()
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        (Fd near, Fd far) = Own(Fd.SocketPair());
        Fd[] all = [read, write, near, far, Own(Fd.EventFd()), Own(Fd.TcpSocket())];

        for (int i = 0; i < all.Length; i++) Open(all[i], (ulong)i);
        for (int i = 0; i < all.Length; i++) Close(all[i]);
    }

    [Fact]
    public void What_is_no_descriptor_is_EBADF()
    {
        foreach (nint fd in (nint[])[-1, int.MinValue, int.MaxValue])
        {
            Assert.Equal(Errno.EBADF, Poller.Open(fd, new PollToken(1)));
        }
        Assert.Equal(Errno.EBADF, Poller.Close(-1));
        Assert.Equal(Errno.EBADF, Poller.Arm(-1, PollMode.Read));
        (Fd closed, _) = Own(Fd.SocketPair());
        Fd high = closed.Duplicate(800); // A number that nobody is handed meanwhile.
        high.Dispose();
        Assert.Equal(Errno.EBADF, Poller.Open(high, new PollToken(1)));
    }

    [Fact]
    public void A_handle_wider_than_a_descriptor_is_not_cut_to_one()
    {
        (Fd near, _) = OpenPair(1);
        nint wide = unchecked((nint)((1L << 32) | (uint)near.Number));

        Assert.Equal(Errno.EBADF, Poller.Open(wide, new PollToken(2)));
        Assert.Equal(Errno.EBADF, Poller.Arm(wide, PollMode.Write));
        Assert.Equal(Errno.EBADF, Poller.Close(wide));
        Assert.Empty(PollAll());
        Close(near);
    }

    [Fact]
    public void A_reused_number_reports_under_its_new_token_and_what_was_armed_of_it()
    {
        const int Quiet = 820; // A number that nobody is handed meanwhile.
        for (ulong round = 1; round <= 500; round++)
        {
            (Fd any, Fd far) = Fd.SocketPair();
            using Fd near = any.Duplicate(Quiet);
            any.Dispose();
            Open(near, round);
            if (round % 2 == 0) Arm(near, PollMode.Write);
            if (round % 3 == 0) far.Write();
            if (round % 5 == 0) PollAll();
            Arm(near, PollMode.Read);
            if (round % 7 == 0) PollAll();
            far.Write();
            Assert.All(PollAll(), e => Assert.Equal(round, e.Token.Value));
            Arm(near, PollMode.ReadWrite);
            Assert.Equal(PollReadiness.Readable | PollReadiness.Writable, ReadinessOf(round));
            Arm(near, PollMode.Read);

            Close(near);
            far.Dispose();
        }
        Assert.Empty(PollAll());
    }
}
