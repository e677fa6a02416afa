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
        run.Thread("reader", () => Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the read ended by something else."));
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
            Invariant.Holds(socket.Desc.Check(PollMode.Read) == IoResult.Timeout, "the second deadline passed and did not expire.");
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
        run.Thread("reader", () => Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the read ended by something else."));
        run.Thread("prolonger", () => isProlonged = socket.Desc.Deadlines!.TryProlong(PollMode.Read, 20, long.MaxValue));
        run.Thread("loop", () =>
        {
            clock.Advance(12);
            Expire(timers);
            bool hasPassed = socket.Desc.Check(PollMode.Read) == IoResult.Timeout;
            ControlledThread.WaitUntil(() => isProlonged is not null, new Site("Wait", "for the deadline", "", 0));
            Invariant.Holds(hasPassed != isProlonged, hasPassed ? "a deadline was prolonged and passed." : "a deadline was neither.");
            clock.Advance(22);
            Expire(timers);
        });
        run.Finally(() =>
        {
            Invariant.Holds(socket.Desc.Check(PollMode.Read) == IoResult.Timeout, "the second deadline passed and did not expire.");
            Invariant.Holds(socket.Waiter.IsIdle && timers.Next == PollTimers.Never, "a timer or a wake-up is left over.");
        });
    }

    // It is prolonged without the lock as another sets an earlier one: a timer stands that is not later than the deadline.
    public static void ProlongAndSetEarlierAndTimerFires(Run run)
    {
        TimeProvider clock = TimeProvider.Reset();
        PollTimers timers = new(clock);
        Socket socket = new();
        timers.Set(socket.Desc, PollMode.Read, 10, out _, out _);
        int done = 0;
        run.Thread("prolonger", () =>
        {
            if (!socket.Desc.Deadlines!.TryProlong(PollMode.Read, 30, long.MaxValue)) Set(30);
            done++;
        });
        run.Thread("setter", () =>
        {
            Set(20);
            done++;
        });
        run.Thread("loop", () =>
        {
            clock.Advance(12);
            Expire(timers);
            ControlledThread.WaitUntil(() => done == 2, new Site("Wait", "for the deadlines", "", 0));
            long deadline = socket.Desc.Deadlines!.Of(PollMode.Read);
            Invariant.Holds(deadline is 20 or 30 && timers.Next <= deadline, $"the deadline is {deadline}, and the timer {timers.Next}.");
            clock.Advance(deadline + 1);
            Expire(timers);
        });
        run.Finally(() => Invariant.Holds(
            socket.Desc.Check(PollMode.Read) == IoResult.Timeout && timers.Next == PollTimers.Never, "a deadline did not pass."));

        void Set(long when)
        {
            timers.Set(socket.Desc, PollMode.Read, when, out PollWaiter? reader, out _);
            Socket.Wake(reader);
        }
    }

    // It is prolonged without a reference as the descriptor is closed and its desc recycled: the next life has its own deadlines.
    public static void ProlongAndReuse(Run run)
    {
        TimeProvider clock = TimeProvider.Reset();
        PollTimers timers = new(clock);
        Socket socket = new();
        timers.Set(socket.Desc, PollMode.Read, 10, out _, out _);
        PollDeadlines old = socket.Desc.Deadlines!;
        bool isReused = false;
        run.Thread("prolonger", () => old.TryProlong(PollMode.Read, 20, long.MaxValue));
        run.Thread("owner", () =>
        {
            timers.Evict(socket.Desc, out PollWaiter? reader, out _);
            Socket.Wake(reader);
            socket.Desc.Free();
            socket.Desc.Open(4);
            timers.Set(socket.Desc, PollMode.Read, 1_000, out _, out _);
            isReused = true;
        });
        run.Thread("loop", () =>
        {
            clock.Advance(12);
            Expire(timers);
            ControlledThread.WaitUntil(() => isReused, new Site("Wait", "for the next life", "", 0));
            clock.Advance(100);
            Expire(timers);
        });
        run.Finally(() =>
        {
            Invariant.Holds(old.Of(PollMode.Read) == PollDeadlines.None, "a deadline outlived its descriptor.");
            Invariant.Holds(socket.Desc.Check(PollMode.Read) == 0 && timers.Next == 1_000, "a deadline of the last life passed in the next.");
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
            Invariant.Holds(socket.Desc.Check(PollMode.Read) == 0, "a deadline that was cleared expired.");
        });
        run.Thread("loop", () =>
        {
            clock.Advance(12);
            Expire(timers);
        });
        run.Finally(() => Invariant.Holds(
            socket.Desc.Check(PollMode.Read) == 0 && timers.Next == PollTimers.Never, "a deadline that was cleared expired."));
    }

    // A close as the timer fires: the waiter is made runnable by one of the two, and no timer of either direction is left.
    public static void CloseAndTimerFires(Run run)
    {
        TimeProvider clock = TimeProvider.Reset();
        PollTimers timers = new(clock);
        Socket socket = new();
        timers.Set(socket.Desc, PollMode.Read, 10, out _, out _);
        timers.Set(socket.Desc, PollMode.Write, 1_000, out _, out _);
        run.Thread("reader", () =>
        {
            IoResult result = socket.Read(isDrained: true);
            Invariant.Holds(result == IoResult.Timeout || result == IoResult.Closing, "the read ended by something else.");
        });
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
