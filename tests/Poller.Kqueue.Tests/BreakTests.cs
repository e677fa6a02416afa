namespace Poller.Kqueue.Tests;

public class BreakTests : KqueueTest
{
    public BreakTests() { }

    private protected BreakTests(EmulatedKernel kernel) : base(kernel) { }

    [Fact]
    public void Pending_Breaks_are_one_trigger()
    {
        for (int i = 0; i < 1000; i++) Poller.Break();

        Assert.Equal(1, Kernel.Triggers);
    }

    [Fact]
    public void A_Break_that_a_poll_without_blocking_has_left_is_not_triggered_again()
    {
        Poller.Break();

        for (int i = 0; i < 5; i++) Assert.Empty(Poll(0));
        Poller.Break();

        Assert.Equal(1, Kernel.Triggers);
    }
}

/// <summary>The same where the kernel has no EVFILT_USER.</summary>
public sealed class PipeBreakTests() : BreakTests(new EmulatedKernel(KqueuePlatform.OpenBSD) { HasUserFilter = false })
{
    [Fact]
    public void A_pipe_wakes_it() => Assert.True(Poller.HasPipe);
}
