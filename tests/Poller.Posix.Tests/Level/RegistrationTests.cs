using Poller.Abstractions;
using Poller.Epoll.Tests;

namespace Poller.Level.Tests;

public class RegistrationTests : LevelTest
{
    [Fact]
    public void Open_answers_EEXIST_for_a_registered_descriptor_and_keeps_its_token()
    {
        (Fd near, Fd far) = OpenPair(1);
        Arm(near, 1, PollMode.Read);

        Assert.Equal(EEXIST, Poller.Open(near, new PollToken(2)));

        far.Write();
        Assert.Equal(PollReadiness.Readable, ReadinessOf(1));
    }

    [Fact]
    public void Open_answers_EPERM_for_a_regular_file_and_moves_no_offset()
    {
        using FileStream file = File.OpenRead(typeof(RegistrationTests).Assembly.Location);
        nint fd = file.SafeFileHandle.DangerousGetHandle();
        Assert.NotEqual(-1, file.ReadByte());
        string before = OffsetOf(fd);

        Assert.Equal(EPERM, Poller.Open(fd, new PollToken(1)));
        Assert.Equal(EPERM, Poller.Open(fd, new PollToken(1)));

        Assert.Equal(before, OffsetOf(fd));
        Assert.Equal(ENOENT, Poller.Close(fd, new PollToken(1)));

        static string OffsetOf(nint fd) => File.ReadLines($"/proc/self/fdinfo/{fd}").First();
    }

    [Fact]
    public void Open_answers_EPERM_for_a_directory()
    {
        using Fd directory = Fd.Directory("/");

        Assert.Equal(EPERM, Poller.Open(directory, new PollToken(1)));
    }

    [Fact]
    public void What_can_be_polled_is_taken()
    {
        (Fd read, Fd write) = Own(Fd.Pipe());
        (Fd near, Fd far) = Own(Fd.SocketPair());
        Fd[] all = [read, write, near, far, Own(Fd.EventFd()), Own(Fd.TcpSocket())];

        for (int i = 0; i < all.Length; i++) Open(all[i], (ulong)i);
        for (int i = 0; i < all.Length; i++) Close(all[i], (ulong)i);
    }

    [Fact]
    public void What_is_no_descriptor_is_EBADF()
    {
        foreach (nint fd in (nint[])[-1, int.MinValue, int.MaxValue])
        {
            Assert.Equal(EBADF, Poller.Open(fd, new PollToken(1)));
        }
        Assert.Equal(EBADF, Poller.Close(-1, new PollToken(1)));
        Assert.Equal(EBADF, Poller.Arm(-1, new PollToken(1), PollMode.Read));
        (Fd closed, _) = Own(Fd.SocketPair());
        Fd high = closed.Duplicate(800); // A number that nobody is handed meanwhile.
        high.Dispose();
        Assert.Equal(EBADF, Poller.Open(high, new PollToken(1)));
    }

    [Fact]
    public void A_handle_wider_than_a_descriptor_is_not_cut_to_one()
    {
        (Fd near, _) = OpenPair(1);
        nint wide = unchecked((nint)((1L << 32) | (uint)near.Number));

        Assert.Equal(EBADF, Poller.Open(wide, new PollToken(2)));
        Assert.Equal(EBADF, Poller.Arm(wide, new PollToken(1), PollMode.Write));
        Assert.Equal(EBADF, Poller.Close(wide, new PollToken(1)));
        Assert.Empty(PollAll());
        Close(near, 1);
    }

    [Fact]
    public void Close_and_Arm_answer_ENOENT_for_a_descriptor_that_is_not_registered()
    {
        (Fd near, _) = Own(Fd.SocketPair());
        Assert.Equal(ENOENT, Poller.Arm(near, new PollToken(1), PollMode.Read));
        Assert.Equal(ENOENT, Poller.Close(near, new PollToken(1)));

        Open(near, 1);
        Close(near, 1);
        Assert.Equal(ENOENT, Poller.Close(near, new PollToken(1)));
        Assert.Equal(ENOENT, Poller.Arm(near, new PollToken(1), PollMode.Read));
        Assert.Empty(PollAll());
    }

    [Fact]
    public void The_wakeup_token_is_taken()
    {
        (Fd near, _) = Own(Fd.SocketPair());

        ArgumentException error = Assert.Throws<ArgumentException>("token", () => Poller.Open(near, PollToken.Wakeup));

        Assert.Contains("0xffffffffffffffff", error.Message, StringComparison.Ordinal);
        Assert.Equal(ENOENT, Poller.Close(near, PollToken.Wakeup));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0x8000_0000_0000_0000)]
    [InlineData(0x0123_4567_89ab_cdef)]
    [InlineData(ulong.MaxValue - 1)]
    public void Any_other_token_comes_back_bit_for_bit(ulong token)
    {
        (Fd near, _) = OpenPair(token);

        Arm(near, token, PollMode.Write);

        Assert.Equal(PollReadiness.Writable, ReadinessOf(token));
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
            if (round % 2 == 0) Arm(near, round, PollMode.Write);
            if (round % 3 == 0) far.Write();
            if (round % 5 == 0) PollAll();
            Arm(near, round, PollMode.Read);
            if (round % 7 == 0) PollAll();
            far.Write();
            Assert.All(PollAll(), e => Assert.Equal(round, e.Token.Value));
            Arm(near, round, PollMode.ReadWrite);
            Assert.Equal(PollReadiness.Readable | PollReadiness.Writable, ReadinessOf(round));
            Arm(near, round, PollMode.Read);

            Close(near, round);
            far.Dispose();
        }
        Assert.Empty(PollAll());
    }

    [Fact]
    public void The_poller_closes_no_descriptor_it_was_given()
    {
        (Fd near, Fd far) = OpenPair(1);
        Arm(near, 1, PollMode.Read);
        PollAll();

        Poller.Dispose();

        Assert.Equal(1, near.Write());
        Assert.Equal(1, far.Read());
    }

    [Fact]
    public void One_descriptor_may_be_in_two_pollers()
    {
        using INetpoll other = LevelBackend.Factory.Create();
        other.Init();
        (Fd near, Fd far) = OpenPair(1);
        Assert.Equal(0, other.Open(near, new PollToken(2)));
        Arm(near, 1, PollMode.Read);
        Assert.Equal(0, other.Arm(near, new PollToken(2), PollMode.Read));

        far.Write();

        PollEvent[] events = new PollEvent[4];
        Assert.Equal(1, other.Poll(events, 0));
        Assert.Equal(new PollEvent(new PollToken(2), PollReadiness.Readable), events[0]);
        Assert.Equal(PollReadiness.Readable, ReadinessOf(1));
    }

    [Fact]
    public void Poll_wants_room_for_an_event()
    {
        Poller.Break();

        Assert.Throws<ArgumentException>("events", () => Poller.Poll([], 0));

        Assert.Empty(Poll(60 * Second));
    }
}
