using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Poller.Abstractions;

namespace Poller.Tests.Shared;

/// <summary>What a signal that finds a poll in its wait may end: a timed one.</summary>
public abstract class SignalTests<TPoller>(TPoller poller) : PollerTest<TPoller>(poller) where TPoller : INetpoll
{
    // SIGWINCH has no effect where nobody handles it; with a handler it interrupts, and neither epoll nor poll is restarted (signal(7)).
    private const int SIGWINCH = 28;

    [Fact, SupportedOSPlatform("linux")]
    public void A_signal_ends_a_timed_poll_with_nothing()
    {
        using PosixSignalRegistration handler = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => { });
        (Worker thread, List<PollEvent> events) = StartPoll(600 * Second);

        // A signal that finds the thread asleep on its way into the wait ends nothing; one of the next does.
        for (int i = 0; i < 2000 && !thread.HasFinishedWithin(TimeSpan.FromMilliseconds(5)); i++) thread.Interrupt(SIGWINCH);
        thread.Join();

        Assert.Empty(events);
    }

    [Fact, SupportedOSPlatform("linux")]
    public void A_signal_does_not_end_a_poll_without_a_time_out()
    {
        using PosixSignalRegistration handler = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => { });
        (Worker thread, List<PollEvent> events) = StartPoll(Blocking);

        for (int i = 0; i < 50; i++)
        {
            thread.Interrupt(SIGWINCH);
            Assert.False(thread.HasFinishedWithin(TimeSpan.FromMilliseconds(2)));
        }

        Poller.Break();
        thread.Join();
        Assert.Empty(events);
    }

    [Fact, SupportedOSPlatform("linux")]
    public void Signals_cost_no_event()
    {
        using PosixSignalRegistration handler = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => { });
        (Fd near, Fd far) = Own(Fd.SocketPair());
        OpenQuietly(near, 1);
        int received = 0;
        Worker thread = Worker.Start(() =>
        {
            while (received < 200)
            {
                if (Poller.Trigger == PollTrigger.Level) Assert.Equal(Errno.None, Poller.Arm(near, PollMode.Read));
                Poll(received % 2 == 0 ? Blocking : 10 * Second);
                received += near.Drain();
            }
        });

        for (int i = 0; i < 200; i++)
        {
            thread.Interrupt(SIGWINCH);
            far.Write();
        }

        thread.Join();
        Assert.Equal(200, received);
    }
}
