using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of what the net layer adds to a descriptor: a limit, an idle time-out, and two ways to end.</summary>
internal static class NetScenarios
{
    // The limit is reached. A connection leaves while an accept looks and parks.
    public static void AcceptAndLeave(Run run)
    {
        const int Max = 2;
        NetListenFd listener = new();
        ConnLimit limit = new(listener, Max);
        for (int i = 0; i < Max; i++) limit.Enter();
        run.Thread("accept", () =>
        {
            while (limit.IsReached) listener.Socket.Waiter.Wait(listener.Socket.Desc, Direction.Write);
            limit.Enter();
        });
        run.Thread("connection", limit.Leave);
        run.Finally(() => Invariant.Holds(limit.IsReached, "the accept has not taken the place."));
    }

    // A connection that is quiet ends, while its user sets a deadline.
    public static void EndIdleAndSetDeadline(Run run)
    {
        AnyFd fd = Quiet();
        run.Thread("sweep", () => Invariant.Holds(fd.TryEndIdle(), "a quiet connection did not end."));
        run.Thread("user", () => fd.SetDeadline(PollTimers.Never - 1));
        run.Finally(() => EndsForGood(fd));
    }

    // Something happens on a connection, while the time-out finds that it was quiet for long.
    public static void EndIdleAndActivity(Run run)
    {
        AnyFd fd = Quiet();
        bool isNoted = false;
        bool isEnded = false;
        run.Thread("sweep", () =>
        {
            bool wasNoted = Volatile.Read(ref isNoted);
            isEnded = fd.TryEndIdle();
            Invariant.Holds(!wasNoted || !isEnded, "a connection ended that was active.");
        });
        run.Thread("operation", () =>
        {
            Volatile.Read(ref isNoted); // A step of its own, so that the sweep may come between the look and the swap of NoteActivity.
            fd.NoteActivity();
            Interlocked.Exchange(ref isNoted, true);
        });
        run.Finally(() =>
        {
            if (isEnded) EndsForGood(fd);
            else Invariant.Holds(fd.TakeActivity(), "the activity is lost.");
        });
    }

    // A send pauses, and the pause ends while an edge comes. The send must end, and not before the pause.
    public static void PauseAndEdgeAndEndOfPause(Run run)
    {
        AnyFd fd = new();
        RoomPause pause = new(fd);
        bool isOver = false;
        run.Thread("send", () =>
        {
            pause.Begin(TimeSpan.FromTicks(10));
            Wait(fd, pause, new SleepingWaiter());
            Invariant.Holds(isOver, "a send went on before its pause was over.");
        });
        run.Thread("edge", () => fd.MakeReady(Direction.Write));
        run.Thread("timer", () =>
        {
            ControlledThread.WaitUntil(() => fd.LastDeadline == 10, new Site("Wait", "for the pause", "", 0));
            isOver = true;
            fd.Expire(12);
        });
        run.Finally(() => Invariant.Holds(fd.Timers.Next == PollTimers.Never && !pause.IsOn, "a timer or a pause is left over."));
    }

    // A send has been cancelled in its pause, and that ends while the next send pauses. The next send may try early, but must end.
    public static void NextPauseAndEndOfPause(Run run)
    {
        AnyFd fd = new();
        RoomPause pause = new(fd);
        int begun = 0;
        pause.Begin(TimeSpan.FromTicks(10));
        run.Thread("send", () =>
        {
            SleepingWaiter waiter = new();
            pause.Begin(TimeSpan.FromTicks(20));
            begun++;
            Wait(fd, pause, waiter);
            pause.Begin(TimeSpan.FromTicks(30)); // There was no room.
            begun++;
            Wait(fd, pause, waiter);
        });
        run.Thread("timer", () =>
        {
            fd.Expire(12);
            ControlledThread.WaitUntil(() => begun > 0, new Site("Wait", "for the pause", "", 0));
            fd.Expire(22);
            ControlledThread.WaitUntil(() => begun > 1, new Site("Wait", "for the next pause", "", 0));
            fd.Expire(32);
        });
        run.Finally(() => Invariant.Holds(!pause.IsOn, "a pause is left over."));
    }

    // A detach, and a close whose last user leaves meanwhile.
    public static void DetachAndClose(Run run) => DetachAnd(run, static ending => ending.Close());

    // A detach, and an end in order with its close.
    public static void DetachAndEnd(Run run) => DetachAnd(run, static ending =>
    {
        ending.End.Empty();
        ending.Close();
    });

    private static void DetachAnd(Run run, Action<Ending> close)
    {
        Ending ending = new();
        bool isDetached = false;
        run.Thread("detach", () =>
        {
            if (!ending.End.TryDetach()) return;
            ending.Close();
            isDetached = true;
        });
        run.Thread("close", () => close(ending));
        run.Finally(() =>
        {
            Invariant.Holds(ending.Destroyed == 1, $"the descriptor left its poller {ending.Destroyed} times.");
            Invariant.Holds(ending.IsClosed != isDetached, isDetached ? "it is detached and closed." : "nobody has closed it.");
        });
    }

    // What a send does after a try that found no room.
    private static void Wait(AnyFd fd, RoomPause pause, SleepingWaiter waiter)
    {
        while (pause.IsOn) waiter.Wait(fd.Desc, Direction.Write);
    }

    private static AnyFd Quiet()
    {
        AnyFd fd = new();
        fd.TrackIdle();
        Invariant.Holds(fd.TakeActivity() && !fd.TakeActivity(), "a new connection is active until the first look.");
        return fd;
    }

    private static void EndsForGood(AnyFd fd)
    {
        fd.NoteActivity();
        Invariant.Holds(fd.IsEnded && !fd.TakeActivity() && !fd.TryEndIdle(), "the end was undone.");
        Invariant.Holds(fd.Check(Direction.Read) == IoResult.Timeout, "a read of a connection that has ended may wait.");
        Invariant.Holds(fd.Check(Direction.Write) == IoResult.Timeout, "a write of a connection that has ended may wait.");
    }

    /// <summary>A descriptor as NetFd ends it.</summary>
    private sealed class Ending
    {
        private FdMutex _mutex;
        private SocketEnd _end;

        public ref SocketEnd End => ref _end;

        public int Destroyed { get; private set; }

        public bool IsClosed { get; private set; }

        public void Close()
        {
            if (_mutex.IncrefAndClose(out _) && _mutex.Decref()) Destroy();
        }

        // A listener and a Unix socket ask first whether to remove their file; then the descriptor is closed or not.
        private void Destroy()
        {
            Destroyed++;
            bool closes = _end.TryClose();
            IsClosed = _end.TryClose();
            Invariant.Holds(closes == IsClosed, "who ends the descriptor has changed.");
        }
    }
}
