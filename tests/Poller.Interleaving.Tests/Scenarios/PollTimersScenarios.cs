using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of the deadlines of one loop.</summary>
internal static class PollTimersScenarios
{
    // A deadline is prolonged as its timer fires. The reader may time out by the first or by the second, and not never.
    public static void SetDeadlineAndTimerFires(Run run)
    {
        TimeProvider clock = TimeProvider.Reset();
        PollTimers timers = new(clock);
        Socket socket = new();
        timers.Set(socket.Desc, PollMode.Read, 10, out _, out _);
        bool isSet = false;
        run.Thread("reader", () => Invariant.Holds(socket.Read(isDrained: true) == PollError.Timeout, "the read ended by something else."));
        run.Thread("setter", () =>
        {
            timers.Set(socket.Desc, PollMode.Read, 20, out PollWaiter? reader, out _);
            Socket.Wake(reader);
            isSet = true;
        });
        run.Thread("loop", () =>
        {
            clock.Advance(12);
            Expire(timers);
            ControlledThread.WaitUntil(() => isSet, new Site("Wait", "for the deadline", "", 0));
            clock.Advance(22);
            Expire(timers);
        });
        run.Finally(() =>
        {
            Invariant.Holds(socket.Desc.Check(PollMode.Read) == PollError.Timeout, "the second deadline passed and did not expire.");
            Invariant.Holds(socket.Waiter.IsIdle, "a wake-up is left over.");
            Invariant.Holds(timers.Next == PollTimers.Never, "a timer is left over.");
        });
    }

    // A deadline is prolonged without the lock as its timer fires: it is either prolonged or passed.
    public static void ProlongAndTimerFires(Run run)
    {
        TimeProvider clock = TimeProvider.Reset();
        PollTimers timers = new(clock);
        Socket socket = new();
        timers.Set(socket.Desc, PollMode.Read, 10, out _, out _);
        bool? isProlonged = null;
        run.Thread("reader", () => Invariant.Holds(socket.Read(isDrained: true) == PollError.Timeout, "the read ended by something else."));
        run.Thread("prolonger", () => isProlonged = socket.Desc.Deadlines!.TryProlong(PollMode.Read, 20));
        run.Thread("loop", () =>
        {
            clock.Advance(12);
            Expire(timers);
            bool hasPassed = socket.Desc.Check(PollMode.Read) == PollError.Timeout;
            ControlledThread.WaitUntil(() => isProlonged is not null, new Site("Wait", "for the deadline", "", 0));
            Invariant.Holds(hasPassed != isProlonged, hasPassed ? "a deadline was prolonged and passed." : "a deadline was neither.");
            clock.Advance(22);
            Expire(timers);
        });
        run.Finally(() =>
        {
            Invariant.Holds(socket.Desc.Check(PollMode.Read) == PollError.Timeout, "the second deadline passed and did not expire.");
            Invariant.Holds(socket.Waiter.IsIdle && timers.Next == PollTimers.Never, "a timer or a wake-up is left over.");
        });
    }

    // A deadline is cleared as its timer fires: afterwards the side can be waited for.
    public static void ClearDeadlineAndTimerFires(Run run)
    {
        TimeProvider clock = TimeProvider.Reset();
        PollTimers timers = new(clock);
        Socket socket = new();
        timers.Set(socket.Desc, PollMode.Read, 10, out _, out _);
        run.Thread("setter", () =>
        {
            timers.Set(socket.Desc, PollMode.Read, 0, out PollWaiter? cleared, out _);
            Invariant.Holds(cleared is null, "clearing a deadline ended a wait.");
            Invariant.Holds(socket.Desc.Check(PollMode.Read) == PollError.None, "a deadline that was cleared expired.");
        });
        run.Thread("loop", () =>
        {
            clock.Advance(12);
            Expire(timers);
        });
        run.Finally(() => Invariant.Holds(
            socket.Desc.Check(PollMode.Read) == PollError.None && timers.Next == PollTimers.Never, "a deadline that was cleared expired."));
    }

    // A close as the timer fires: the waiter is made runnable by one of the two, and no timer of either direction is left.
    public static void CloseAndTimerFires(Run run)
    {
        TimeProvider clock = TimeProvider.Reset();
        PollTimers timers = new(clock);
        Socket socket = new();
        timers.Set(socket.Desc, PollMode.Read, 10, out _, out _);
        timers.Set(socket.Desc, PollMode.Write, 1_000, out _, out _);
        run.Thread("reader", () => Invariant.Holds(
            socket.Read(isDrained: true) is PollError.Timeout or PollError.Closing, "the read ended by something else."));
        run.Thread("closer", () =>
        {
            timers.Evict(socket.Desc, out PollWaiter? reader, out _);
            Socket.Wake(reader);
        });
        run.Thread("loop", () =>
        {
            clock.Advance(12);
            Expire(timers);
        });
        run.Finally(() => Invariant.Holds(socket.Waiter.IsIdle && timers.Next == PollTimers.Never, "a timer or a wake-up is left over."));
    }

    private static void Expire(PollTimers timers)
    {
        PollWaiter? waiters = timers.Expire(timers.Now);
        while (waiters is not null)
        {
            PollWaiter? next = waiters.Next;
            waiters.Next = null;
            Socket.Wake(waiters);
            waiters = next;
        }
    }
}
