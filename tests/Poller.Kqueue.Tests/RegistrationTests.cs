using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

public class RegistrationTests : KqueueTest
{
    private const int EPERM = 1, ENOENT = 2, EBADF = 9, EEXIST = 17;

    [Fact]
    public void Open_answers_EEXIST_for_a_registered_descriptor_and_keeps_its_token()
    {
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);

        Assert.Equal(EEXIST, Poller.Open(fd, new PollToken(2)));

        fd.Signal();
        Assert.Equal(PollReadiness.Readable | PollReadiness.Writable, ReadinessOf(1));
    }

    [Fact]
    public void Open_answers_EPERM_for_a_regular_file()
    {
        using FileStream file = File.OpenRead(typeof(RegistrationTests).Assembly.Location);

        Assert.Equal(EPERM, Poller.Open(file.SafeFileHandle.DangerousGetHandle(), new PollToken(1)));
    }

    [Fact]
    public void Open_answers_EBADF_for_what_is_no_descriptor()
    {
        Assert.Equal(EBADF, Poller.Open(-1, new PollToken(1)));
        Assert.Equal(EBADF, Poller.Open(int.MaxValue, new PollToken(1)));
    }

    [Fact]
    public void A_handle_wider_than_a_descriptor_is_not_cut_to_one()
    {
        Fd fd = OwnEventFd();
        nint wide = unchecked((nint)((1L << 32) | (uint)fd.Number));

        Assert.Equal(EBADF, Poller.Open(wide, new PollToken(1)));
        Assert.Equal(0, Poller.Open(fd, new PollToken(1)));
        Assert.Equal(EBADF, Poller.Close(wide, new PollToken(1)));
    }

    [Fact]
    public void Close_answers_ENOENT_for_a_descriptor_that_is_not_registered()
    {
        Fd fd = OwnEventFd();
        Assert.Equal(ENOENT, Poller.Close(fd, new PollToken(1)));

        OpenQuietly(fd, 1);
        Assert.Equal(0, Poller.Close(fd, new PollToken(1)));
        Assert.Equal(ENOENT, Poller.Close(fd, new PollToken(1)));
    }

    [Fact]
    public void Close_answers_EBADF_for_what_is_no_descriptor() => Assert.Equal(EBADF, Poller.Close(-1, new PollToken(1)));

    [Fact]
    public void The_wakeup_token_is_taken()
    {
        Fd fd = OwnEventFd();

        ArgumentException error = Assert.Throws<ArgumentException>("token", () => Poller.Open(fd, PollToken.Wakeup));

        Assert.Contains("0xffffffffffffffff", error.Message, StringComparison.Ordinal);
        Assert.Equal(ENOENT, Poller.Close(fd, PollToken.Wakeup));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(0x8000_0000_0000_0000)]
    [InlineData(0x0123_4567_89ab_cdef)]
    [InlineData(ulong.MaxValue - 1)]
    public void Any_other_token_comes_back_bit_for_bit(ulong token)
    {
        Assert.Equal(0, Poller.Open(OwnEventFd(), new PollToken(token)));

        Assert.Equal(PollReadiness.Writable, ReadinessOf(token));
    }

    [Fact]
    public void A_closed_descriptor_reports_no_more_and_may_be_opened_again()
    {
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);
        fd.Signal();

        Assert.Equal(0, Poller.Close(fd, new PollToken(1)));
        Assert.Empty(PollAll());

        Assert.Equal(0, Poller.Open(fd, new PollToken(2)));
        Assert.Equal(PollReadiness.Readable | PollReadiness.Writable, ReadinessOf(2));
    }

    [Fact]
    public void The_poller_closes_no_descriptor_it_was_given()
    {
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);

        Poller.Dispose();

        fd.Signal();
        Assert.Equal(sizeof(ulong), fd.Read());
    }

    [Fact]
    public void One_descriptor_may_be_in_two_pollers()
    {
        using KqueueNetpoll other = new(new EmulatedKernel(KqueuePlatform.MacOS));
        other.Init();
        Fd fd = OwnEventFd();
        OpenQuietly(fd, 1);
        Assert.Equal(0, other.Open(fd, new PollToken(2)));

        fd.Signal();

        PollEvent[] events = new PollEvent[4];
        Assert.Equal(2, other.Poll(events, 0));
        Assert.All(events[..2], e => Assert.Equal(new PollToken(2), e.Token));
        Assert.Equal(PollReadiness.Readable, ReadinessOf(1));
    }

    [Fact]
    public void Arm_is_not_supported_as_there_is_nothing_to_arm()
    {
        Fd fd = OwnEventFd();

        NotSupportedException error = Assert.Throws<NotSupportedException>(() => { Poller.Arm(fd, new PollToken(1), PollMode.Read); });

        Assert.Contains($"arm fd {fd.Number} (Read)", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Poll_wants_room_for_an_event()
    {
        Poller.Break();

        Assert.Throws<ArgumentException>("events", () => Poller.Poll([], 0));

        Assert.Empty(Poll(60 * Second));
    }
}
