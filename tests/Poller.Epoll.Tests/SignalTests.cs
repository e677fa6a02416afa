using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Poller.Abstractions;

namespace Poller.Epoll.Tests;

[SupportedOSPlatform("linux")]
public sealed class SignalTests : EpollTest
{
    // SIGWINCH has no effect where nobody handles it; with a handler it interrupts, and epoll waits are never restarted (signal(7)).
    private const int SIGWINCH = 28;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_signal_ends_a_timed_poll_with_nothing(bool nanoseconds)
    {
        using PosixSignalRegistration handler = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => { });
        Poller.HasPwait2 = nanoseconds;
        (Worker thread, List<PollEvent> events) = StartPoll(600 * Second);

        // A signal that finds the thread asleep on its way into the wait ends nothing; one of the next does.
        for (int i = 0; i < 2000 && !thread.HasFinishedWithin(TimeSpan.FromMilliseconds(5)); i++) thread.Interrupt(SIGWINCH);
        thread.Join();

        Assert.Empty(events);
    }
}
