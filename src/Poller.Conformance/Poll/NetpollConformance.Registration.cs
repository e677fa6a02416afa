using Poller.Abstractions;

namespace Poller.Conformance;

public abstract partial class NetpollConformance
{
    /// <summary>A factory and its pollers have the same name, in lower case.</summary>
    [Fact]
    public void The_factory_and_its_pollers_have_one_name_in_lower_case()
    {
        Assert.True(Factory.IsSupported(out string? reason), reason);
        Assert.NotEmpty(Factory.Name);
        Assert.Equal(Factory.Name, Poller.Name);
        Assert.DoesNotContain(Factory.Name, char.IsUpper);
    }

    /// <summary>A second Open of a descriptor fails and does not change the first registration.</summary>
    [Fact]
    public void Open_answers_EEXIST_for_a_registered_descriptor_and_keeps_its_token()
    {
        (Fd near, Fd far) = OwnSocketPair();
        OpenQuietly(near, 1);

        Assert.Equal(Errno.EEXIST, Poller.Open(near, new PollToken(2)));

        Assert.Equal(1, far.Write());
        Await(near, 1, PollReadiness.Readable);
    }

    /// <summary>Open refuses a regular file with EPERM: a file is always ready, so waiting for it makes no sense.</summary>
    [Fact]
    public void Open_answers_EPERM_for_a_regular_file()
    {
        using FileStream file = File.OpenRead(typeof(NetpollConformance).Assembly.Location);

        Assert.Equal(Errno.EPERM, Poller.Open(file.SafeFileHandle.DangerousGetHandle(), new PollToken(1)));
    }

    /// <summary>Open refuses numbers that no descriptor has.</summary>
    [Fact]
    public void Open_answers_EBADF_for_what_is_no_descriptor()
    {
        Assert.Equal(Errno.EBADF, Poller.Open(-1, new PollToken(1)));
        Assert.Equal(Errno.EBADF, Poller.Open(int.MaxValue, new PollToken(1)));
    }

    /// <summary>Open refuses a descriptor that is already closed.</summary>
    [Fact]
    public void Open_answers_EBADF_for_a_closed_descriptor()
    {
        (Fd near, _) = OwnSocketPair();
        for (int atLeast = 500; ; atLeast++)
        {
            Fd fd = near.Duplicate(atLeast);
            fd.Dispose();
            Errno errno = Poller.Open(fd, new PollToken(1));

            // Other threads of the process open descriptors too. The answer counts only if nobody has the number afterwards.
            if (Fd.Exists(fd.Number)) continue;
            Assert.Equal(Errno.EBADF, errno);
            return;
        }
    }

    /// <summary>A descriptor is an int. The poller does not cut a wider handle down to an int.</summary>
    [Fact]
    public void A_handle_wider_than_a_descriptor_is_not_cut_to_one()
    {
        (Fd near, _) = OwnSocketPair();
        nint wide = unchecked((nint)((1L << 32) | (uint)near.Number));

        Assert.Equal(Errno.EBADF, Poller.Open(wide, new PollToken(1)));
        Assert.Equal(Errno.None, Poller.Open(near, new PollToken(1)));
        if (IsLevel) Assert.NotEqual(Errno.None, Poller.Arm(wide, PollMode.Read));
        Assert.NotEqual(Errno.None, Poller.Close(wide));
        Assert.Equal(Errno.None, Poller.Close(near));
    }

    /// <summary>Close answers ENOENT for a descriptor that was never registered, or no longer is.</summary>
    [Fact]
    public void Close_answers_ENOENT_for_a_descriptor_that_is_not_registered()
    {
        (Fd near, _) = OwnSocketPair();
        Assert.Equal(Errno.ENOENT, Poller.Close(near));

        OpenQuietly(near, 1);
        Assert.Equal(Errno.None, Poller.Close(near));
        Assert.Equal(Errno.ENOENT, Poller.Close(near));
    }

    /// <summary>Close of -1 answers ENOENT or EBADF: both are true.</summary>
    [Fact]
    public void Close_answers_an_errno_for_what_is_no_descriptor() =>
        Assert.Contains(Poller.Close(-1), (Errno[])[Errno.ENOENT, Errno.EBADF]);

    /// <summary>Open refuses the one reserved token, and the exception names it.</summary>
    [Fact]
    public void The_wakeup_token_is_taken()
    {
        (Fd near, _) = OwnSocketPair();

        ArgumentException error = Assert.Throws<ArgumentException>("token", () => { Poller.Open(near, PollToken.Wakeup); });

        Assert.Contains(PollToken.Wakeup.ToString(), error.Message, StringComparison.Ordinal);
        Assert.Equal(Errno.ENOENT, Poller.Close(near));
    }

    /// <summary>A backend passes any other token through unchanged.</summary>
    /// <param name="token">The token's bits.</param>
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

    /// <summary>Close drops readiness that was not reported yet. A new registration reports the state that it finds.</summary>
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
        if (IsLevel) Assert.Empty(PollAll()); // The new registration has nothing armed.
        Arm(near, PollMode.ReadWrite);
        Assert.Equal(PollReadiness.Readable | PollReadiness.Writable, ReadinessOf(2));
    }

    /// <summary>Dispose of a poller leaves the descriptors open: the user owns them.</summary>
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

    /// <summary>Two descriptors of the same open file are two registrations.</summary>
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

    /// <summary>Poll refuses an empty span, and a pending Break stays pending.</summary>
    [Fact]
    public void Poll_refuses_an_empty_span()
    {
        Poller.Break();

        Assert.Throws<ArgumentException>("events", () => { Poller.Poll([], 0); });

        AssertThatABreakEnds(60 * Second);
    }
}
