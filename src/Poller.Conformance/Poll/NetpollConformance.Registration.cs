using Poller.Abstractions;

namespace Poller.Conformance;

public abstract partial class NetpollConformance
{
    /// <summary>A factory and what it makes have one name, in lower case.</summary>
    [Fact]
    public void The_factory_and_its_pollers_bear_one_name_in_lower_case()
    {
        Assert.True(Factory.IsSupported(out string? reason), reason);
        Assert.NotEmpty(Factory.Name);
        Assert.Equal(Factory.Name, Poller.Name);
        Assert.DoesNotContain(Factory.Name, char.IsUpper);
    }

    /// <summary>A second Open of a descriptor changes nothing about the first.</summary>
    [Fact]
    public void Open_answers_EEXIST_for_a_registered_descriptor_and_keeps_its_token()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);

        Assert.Equal(Errno.EEXIST, Poller.Open(near, new PollToken(2)));

        Assert.Equal(1, far.Write());
        Await(near, 1, PollReadiness.Readable);
    }

    /// <summary>A regular file is always ready, so that waiting for it means nothing: it is no descriptor to poll.</summary>
    [Fact]
    public void Open_answers_EPERM_for_a_regular_file()
    {
        using FileStream file = File.OpenRead(typeof(NetpollConformance).Assembly.Location);

        Assert.Equal(Errno.EPERM, Poller.Open(file.SafeFileHandle.DangerousGetHandle(), new PollToken(1)));
    }

    /// <summary>The numbers no process has.</summary>
    [Fact]
    public void Open_answers_EBADF_for_what_is_no_descriptor()
    {
        Assert.Equal(Errno.EBADF, Poller.Open(-1, new PollToken(1)));
        Assert.Equal(Errno.EBADF, Poller.Open(int.MaxValue, new PollToken(1)));
    }

    /// <summary>A descriptor that was closed before it was opened here.</summary>
    [Fact]
    public void Open_answers_EBADF_for_a_closed_descriptor()
    {
        (Fd near, _) = OwnSocketPair();
        for (int atLeast = 500; ; atLeast++)
        {
            Fd fd = near.Duplicate(atLeast);
            fd.Dispose();
            Errno errno = Poller.Open(fd, new PollToken(1));

            // The process's other threads open descriptors too: the answer counts when nobody has the number after it.
            if (Fd.Exists(fd.Number)) continue;
            Assert.Equal(Errno.EBADF, errno);
            return;
        }
    }

    /// <summary>A descriptor is an int. The upper half of a wider handle is not dropped on the way to the kernel.</summary>
    [Fact]
    public void A_handle_wider_than_a_descriptor_is_not_cut_to_one()
    {
        (Fd near, _) = OwnSocketPair();
        nint wide = unchecked((nint)((1L << 32) | (uint)near.Number));

        Assert.Equal(Errno.EBADF, Poller.Open(wide, new PollToken(1)));
        Assert.Equal(Errno.None, Poller.Open(near, new PollToken(1)));
        Assert.NotEqual(Errno.None, Poller.Close(wide));
        Assert.Equal(Errno.None, Poller.Close(near));
    }

    /// <summary>Never registered, and no longer registered.</summary>
    [Fact]
    public void Close_answers_ENOENT_for_a_descriptor_that_is_not_registered()
    {
        (Fd near, _) = OwnSocketPair();
        Assert.Equal(Errno.ENOENT, Poller.Close(near));

        OpenQuietly(near, 1);
        Assert.Equal(Errno.None, Poller.Close(near));
        Assert.Equal(Errno.ENOENT, Poller.Close(near));
    }

    /// <summary>ENOENT or EBADF: both are true.</summary>
    [Fact]
    public void Close_answers_an_errno_for_what_is_no_descriptor() =>
        Assert.Contains(Poller.Close(-1), (Errno[])[Errno.ENOENT, Errno.EBADF]);

    /// <summary>The one token that is not the user's is refused, and named.</summary>
    [Fact]
    public void The_wakeup_token_is_taken()
    {
        (Fd near, _) = OwnSocketPair();

        ArgumentException error = Assert.Throws<ArgumentException>("token", () => { Poller.Open(near, PollToken.Wakeup); });

        Assert.Contains(PollToken.Wakeup.ToString(), error.Message, StringComparison.Ordinal);
        Assert.Equal(Errno.ENOENT, Poller.Close(near));
    }

    /// <summary>A backend carries a token unread.</summary>
    /// <param name="token">Its bits.</param>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(0x8000_0000_0000_0000)]
    [InlineData(0x0123_4567_89ab_cdef)]
    [InlineData(ulong.MaxValue - 1)]
    public void Any_other_token_comes_back_bit_for_bit(ulong token)
    {
        (Fd near, _) = OwnSocketPair();
        Open(near, token, PollMode.Write);

        Assert.Equal(PollReadiness.Writable, ReadinessOf(token) & PollReadiness.Writable);
    }

    /// <summary>What was ready and not reported is gone with the registration; a new one reports the state it finds.</summary>
    [Fact]
    public void A_closed_descriptor_reports_no_more_and_may_be_opened_again()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);
        far.Write();
        Arm(near, PollMode.ReadWrite);

        Assert.Equal(Errno.None, Poller.Close(near));
        Assert.Empty(PollAll());

        Assert.Equal(Errno.None, Poller.Open(near, new PollToken(2)));
        if (IsLevel) Assert.Empty(PollAll()); // What the first one armed is forgotten.
        Arm(near, PollMode.ReadWrite);
        Assert.Equal(PollReadiness.Readable | PollReadiness.Writable, ReadinessOf(2));
    }

    /// <summary>The user owns the descriptors.</summary>
    [Fact]
    public void The_poller_closes_no_descriptor_it_was_given()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);

        Poller.Dispose();

        Assert.Equal(1, far.Write());
        Assert.Equal(1, near.Read());
    }

    /// <summary>Two pollers do not take each other's events.</summary>
    [Fact]
    public void One_descriptor_may_be_in_two_pollers()
    {
        using INetpoll other = Factory.Create();
        other.Init();
        (Fd near, Fd far) = OwnSocketPair();
        near.Fill();
        OpenQuietly(near, 1);
        Assert.Equal(Errno.None, other.Open(near, new PollToken(2)));
        if (IsLevel) Assert.Equal(Errno.None, other.Arm(near, PollMode.Read));

        far.Write();
        Arm(near, PollMode.Read);

        PollEvent[] events = new PollEvent[4];
        Assert.Equal(1, other.Poll(events, 0));
        Assert.Equal(new PollEvent(new PollToken(2), PollReadiness.Readable), events[0]);
        Assert.Equal(PollReadiness.Readable, ReadinessOf(1));
    }

    /// <summary>Two descriptors of one file are two registrations.</summary>
    [Fact]
    public void A_duplicate_is_a_descriptor_of_its_own()
    {
        (Fd near, Fd far) = OwnSocketPair();
        Fd duplicate = Own(near.Duplicate());
        OpenQuietly(near, 1);
        OpenQuietly(duplicate, 2);

        far.Write();
        Arm(near, PollMode.Read);
        Arm(duplicate, PollMode.Read);
        Assert.Equal<ulong>([1, 2], PollAll().Select(e => e.Token.Value).Distinct().Order());

        Assert.Equal(Errno.None, Poller.Close(near));
        near.Drain();
        far.Write();
        Arm(duplicate, PollMode.Read);
        Assert.Equal(PollReadiness.Readable, ReadinessOf(2) & PollReadiness.Readable);
    }

    /// <summary>An empty list is a mistake of the caller's, and costs no Break.</summary>
    [Fact]
    public void Poll_wants_room_for_an_event()
    {
        Poller.Break();

        Assert.Throws<ArgumentException>("events", () => { Poller.Poll([], 0); });

        AssertThatABreakEnds(60 * Second);
    }
}
