using Poller.Abstractions;

namespace Poller.Posix.Tests;

[Collection(ProcessWide.Name)]
public sealed class LimitTests
{
    /// <summary>poll(2): EINVAL when there are more entries than RLIMIT_NOFILE.</summary>
    [Fact]
    public void A_set_larger_than_a_limit_that_was_lowered_is_refused_with_what_was_expected_and_works_again_after()
    {
        using PosixNetpoll poller = new();
        poller.Init();
        (Fd near, Fd far) = Fd.SocketPair();
        using (near)
        using (far)
        {
            Assert.Equal(Errno.None, poller.Open(near, new PollToken(1)));
            Assert.Equal(Errno.None, poller.Arm(near, PollMode.Write));
            PollEvent[] events = new PollEvent[4];
            NetpollException? error = null;
            using (DescriptorLimit.To(0))
            {
                try
                {
                    poller.Poll(events, 0);
                }
                catch (NetpollException e)
                {
                    error = e;
                }
            }

            Assert.Equal(Errno.EINVAL, error?.Error);
            Assert.Contains("RLIMIT_NOFILE", error!.Message, StringComparison.Ordinal);
            Assert.Equal(1, poller.Poll(events, 0));
        }
    }
}
