using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of the deadlines of one loop.</summary>
internal static class PollTimersScenarios
{
    // A deadline is prolonged while its timer fires. The first or the second deadline must end the read.
    public static void SetDeadlineAndTimerFires(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetDeadline(socket.Desc, PollMode.Read, 10, out _, out _);
        bool isSet = false;
        run.Thread("reader", () => Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the read ended by something else."));
        run.Thread("setter", () =>
        {
            timers.SetDeadline(socket.Desc, PollMode.Read, 20, out PollWaiter? reader, out _);
            Socket.Wake(reader);
            isSet = true;
        });
        run.Thread("loop", () =>
        {
            Expire(timers, 12);
            ControlledThread.WaitUntil(() => isSet, new Site("Wait", "for the deadline", "", 0));
            Expire(timers, 22);
        });
        run.Finally(() =>
        {
            Invariant.Holds(socket.Desc.Check(Direction.Read) == IoResult.Timeout, "the second deadline passed and did not expire.");
            Invariant.Holds(socket.Waiter.IsIdle, "a wake-up is left over.");
            Invariant.Holds(timers.Next == PollTimers.Never, "a timer is left over.");
        });
    }

    // A deadline is prolonged without the lock while its timer fires. It must be prolonged or passed, and not both.
    public static void ProlongAndTimerFires(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetDeadline(socket.Desc, PollMode.Read, 10, out _, out _);
        bool? isProlonged = null;
        run.Thread("reader", () => Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the read ended by something else."));
        run.Thread("prolonger", () => isProlonged = socket.Desc.Deadlines!.TryProlong(PollMode.Read, 20));
        run.Thread("loop", () =>
        {
            Expire(timers, 12);
            bool hasPassed = socket.Desc.Check(Direction.Read) == IoResult.Timeout;
            ControlledThread.WaitUntil(() => isProlonged is not null, new Site("Wait", "for the deadline", "", 0));
            Invariant.Holds(hasPassed != isProlonged, hasPassed ? "a deadline was prolonged and passed." : "a deadline was neither.");
            Expire(timers, 22);
        });
        run.Finally(() =>
        {
            Invariant.Holds(socket.Desc.Check(Direction.Read) == IoResult.Timeout, "the second deadline passed and did not expire.");
            Invariant.Holds(socket.Waiter.IsIdle && timers.Next == PollTimers.Never, "a timer or a wake-up is left over.");
        });
    }

    // One thread prolongs a deadline without the lock, while another sets an earlier one. A timer must be set that is not later than the
    // deadline.
    public static void ProlongAndSetEarlierAndTimerFires(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetDeadline(socket.Desc, PollMode.Read, 10, out _, out _);
        int done = 0;
        run.Thread("prolonger", () =>
        {
            if (!socket.Desc.Deadlines!.TryProlong(PollMode.Read, 30)) Set(30);
            done++;
        });
        run.Thread("setter", () =>
        {
            Set(20);
            done++;
        });
        run.Thread("loop", () =>
        {
            Expire(timers, 12);
            ControlledThread.WaitUntil(() => done == 2, new Site("Wait", "for the deadlines", "", 0));
            long deadline = socket.Desc.Deadlines!.DeadlineOf(Direction.Read);
            Invariant.Holds(deadline is 20 or 30 && timers.Next <= deadline, $"the deadline is {deadline}, and the timer {timers.Next}.");
            Expire(timers, deadline + 1);
        });
        run.Finally(() => Invariant.Holds(
            socket.Desc.Check(Direction.Read) == IoResult.Timeout && timers.Next == PollTimers.Never, "a deadline did not pass."));

        void Set(long when)
        {
            timers.SetDeadline(socket.Desc, PollMode.Read, when, out PollWaiter? reader, out _);
            Socket.Wake(reader);
        }
    }

    // A deadline is prolonged without a reference, while the descriptor is closed and its desc recycled. The next life must have its own
    // deadlines.
    public static void ProlongAndReuse(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetDeadline(socket.Desc, PollMode.Read, 10, out _, out _);
        PollDeadlines old = socket.Desc.Deadlines!;
        bool isReused = false;
        run.Thread("prolonger", () => old.TryProlong(PollMode.Read, 20));
        run.Thread("owner", () =>
        {
            timers.Evict(socket.Desc, out PollWaiter? reader, out _);
            Socket.Wake(reader);
            socket.Desc.Free();
            socket.Desc.Open(4);
            timers.SetDeadline(socket.Desc, PollMode.Read, 1_000, out _, out _);
            isReused = true;
        });
        run.Thread("loop", () =>
        {
            Expire(timers, 12);
            ControlledThread.WaitUntil(() => isReused, new Site("Wait", "for the next life", "", 0));
            Expire(timers, 100);
        });
        run.Finally(() =>
        {
            Invariant.Holds(old.DeadlineOf(Direction.Read) == PollDeadlines.None, "a deadline outlived its descriptor.");
            bool isUntouched = socket.Desc.Check(Direction.Read) == 0 && timers.Next == 1_000;
            Invariant.Holds(isUntouched, "a deadline of the last life passed in the next.");
        });
    }

    // A deadline is cleared while its timer fires. Afterwards an operation must be able to wait in the side.
    public static void ClearDeadlineAndTimerFires(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetDeadline(socket.Desc, PollMode.Read, 10, out _, out _);
        run.Thread("setter", () =>
        {
            timers.SetDeadline(socket.Desc, PollMode.Read, 0, out PollWaiter? cleared, out _);
            Invariant.Holds(cleared is null, "clearing a deadline ended a wait.");
            Invariant.Holds(socket.Desc.Check(Direction.Read) == 0, "a deadline that was cleared expired.");
        });
        run.Thread("loop", () =>
        {
            Expire(timers, 12);
        });
        run.Finally(() => Invariant.Holds(
            socket.Desc.Check(Direction.Read) == 0 && timers.Next == PollTimers.Never, "a deadline that was cleared expired."));
    }

    // The time-out of an operation passes while its user prolongs the later deadline. The time-out must end this operation. The next one
    // has no time-out, and the deadline must end it.
    public static void TimeoutPassesAndProlong(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetDeadline(socket.Desc, PollMode.Read, 20, out _, out _);
        timers.SetTimeout(socket.Desc, Direction.Read, 10);
        PollDeadlines deadlines = socket.Desc.Deadlines!;
        bool isNext = false, isProlonged = false, isDue = false;
        run.Thread("reader", () =>
        {
            Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the read ended by something else.");
            Invariant.Holds(deadlines.DeadlineOf(Direction.Read) > PollDeadlines.Past, "the deadline passed with the time-out.");
            timers.SetTimeout(socket.Desc, Direction.Read, PollDeadlines.None);
            isNext = true;
            Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the read ended by something else.");
            Invariant.Holds(isDue, "the next read met the time-out of the one before.");
        });
        run.Thread("prolonger", () => isProlonged = deadlines.TryProlong(PollMode.Read, 30));
        run.Thread("loop", () =>
        {
            Expire(timers, 12);
            ControlledThread.WaitUntil(() => isNext && isProlonged, new Site("Wait", "for the next read", "", 0));
            Expire(timers, 29);
            isDue = true;
            Expire(timers, 30);
        });
        run.Finally(() => Invariant.Holds(socket.Waiter.IsIdle && timers.Next == PollTimers.Never, "a timer or a wake-up is left over."));
    }

    // An operation begins while the time-out that the last one left passes. It must have the whole of its own time-out.
    public static void OperationBeginsAndTimerFires(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetTimeout(socket.Desc, Direction.Read, 10);
        bool hasBegun = false, isDue = false;
        run.Thread("reader", () =>
        {
            BeginOperation(timers, socket.Desc, 20);
            hasBegun = true;
            Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the read ended by something else.");
            Invariant.Holds(isDue, "the read met the time-out of the one before.");
        });
        run.Thread("loop", () =>
        {
            Expire(timers, 12);
            ControlledThread.WaitUntil(() => hasBegun, new Site("Wait", "for the read", "", 0));
            Expire(timers, 19);
            isDue = true;
            Expire(timers, 20);
        });
        run.Finally(() => Invariant.Holds(socket.Waiter.IsIdle && timers.Next == PollTimers.Never, "a timer or a wake-up is left over."));
    }

    // While the timer fires, an operation begins, and its user sets a deadline that is earlier than the time-out. The deadline must hold,
    // for this operation and for the next.
    public static void OperationBeginsAndDeadlineIsSet(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetTimeout(socket.Desc, Direction.Read, 10);
        int done = 0;
        run.Thread("reader", () =>
        {
            BeginOperation(timers, socket.Desc, 30);
            done++;
            Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the read ended by something else.");
            BeginOperation(timers, socket.Desc, 25); // It is earlier than the last one, so it is set and not prolonged.
            Invariant.Holds(socket.Read(isDrained: true) == IoResult.Timeout, "the next read forgot that the deadline had passed.");
        });
        run.Thread("setter", () =>
        {
            timers.SetDeadline(socket.Desc, PollMode.Read, 20, out PollWaiter? reader, out _);
            Socket.Wake(reader);
            done++;
        });
        run.Thread("loop", () =>
        {
            Expire(timers, 12);
            ControlledThread.WaitUntil(() => done == 2, new Site("Wait", "for both", "", 0));
            Invariant.Holds(timers.Next <= 20, $"the timer fires at {timers.Next}, after the deadline.");
            Expire(timers, 21);
        });
        run.Finally(() => Invariant.Holds(
            socket.Desc.Check(Direction.Read) == IoResult.Timeout && socket.Waiter.IsIdle,
            "the deadline did not pass, or a wake-up is left over."));
    }

    // A close comes while the timer fires. One of the two must make the waiter runnable, and no timer of either direction may be left.
    public static void CloseAndTimerFires(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        timers.SetDeadline(socket.Desc, PollMode.Read, 10, out _, out _);
        timers.SetDeadline(socket.Desc, PollMode.Write, 1_000, out _, out _);
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
            Expire(timers, 12);
        });
        run.Finally(() => Invariant.Holds(socket.Waiter.IsIdle && timers.Next == PollTimers.Never, "a timer or a wake-up is left over."));
    }

    // PollFd does the same, under the lock of the direction.
    private static void BeginOperation(PollTimers timers, PollDesc desc, long timeout)
    {
        if (!desc.Deadlines!.TryProlongTimeout(Direction.Read, timeout)) timers.SetTimeout(desc, Direction.Read, timeout);
    }

    private static void Expire(PollTimers timers, long now)
    {
        PollWaiter? waiters = timers.Expire(now);
        while (PollWaiter.TryPop(ref waiters, out PollWaiter? waiter)) Socket.Wake(waiter);
    }
}
