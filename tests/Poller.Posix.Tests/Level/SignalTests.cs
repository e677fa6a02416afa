using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Poller.Abstractions;

namespace Poller.Level.Tests;

[SupportedOSPlatform("linux")]
public sealed class SignalTests : LevelTest
{
    // SIGWINCH has no effect where nobody handles it; with a handler it interrupts, and neither epoll nor poll is restarted (signal(7)).
    private const int SIGWINCH = 28;

    [Fact]
    public void A_signal_ends_a_timed_poll_with_nothing()
    {
        using PosixSignalRegistration handler = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => { });
        (Worker thread, List<PollEvent> events) = StartPoll(600 * Second);

        // A signal that finds the thread asleep on its way into the wait ends nothing; one of the next does.
        for (int i = 0; i < 2000 && !thread.HasFinishedWithin(TimeSpan.FromMilliseconds(5)); i++) thread.Interrupt(SIGWINCH);
        thread.Join();

        Assert.Empty(events);
    }
}
