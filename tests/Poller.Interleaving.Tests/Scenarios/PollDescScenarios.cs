using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of one descriptor: its two sides, its flags, its lives.</summary>
internal static class PollDescScenarios
{
    // An edge comes while a read prepares, tries, or is about to wait. If the edge were lost, the reader would stay parked for ever.
    public static void ReadyAndWait(Run run)
    {
        Socket socket = new();
        run.Thread("reader", () =>
        {
            while (socket.Received < 2) Invariant.Holds(socket.Read() == 0, "a read failed.");
        });
        run.Thread("poller", () =>
        {
            for (int i = 0; i < 2; i++)
            {
                socket.Arrive();
                socket.Notify(PollReadiness.Readable);
            }
        });
        run.Finally(() => Invariant.Holds(socket.Received == 2 && socket.Waiter.IsIdle, $"{socket.Received} of 2 bytes came."));
    }

    // A read forgets the readiness that an earlier one left, while the edge of the next byte comes. An edge that finds the side ready
    // leaves it so.
    public static void ReadyAndRead(Run run)
    {
        Socket socket = new();
        socket.Notify(PollReadiness.Readable);
        run.Thread("reader", () => Invariant.Holds(socket.Read() == 0, "a read failed."));
        run.Thread("poller", () =>
        {
            socket.Arrive();
            socket.Notify(PollReadiness.Readable);
        });
        run.Finally(() => Invariant.Holds(socket.Received == 1 && socket.Waiter.IsIdle, $"{socket.Received} of 1 byte came."));
    }

    // A write does not reset its side, which has old readiness. The kernel reports room only after it has refused a write. That edge must
    // not be lost.
    public static void ReadyAndWrite(Run run)
    {
        const int Full = 0, Refused = 1, Room = 2;
        Socket socket = new();
        socket.Notify(PollReadiness.Readable | PollReadiness.Writable);
        int kernel = Full;
        int edges = 0;
        bool isSent = false;
        run.Thread("writer", () =>
        {
            while (Interlocked.CompareExchange(ref kernel, Refused, Full) != Room) socket.Waiter.Wait(socket.Desc, Direction.Write);
            isSent = true;
        });
        run.Thread("peer", () =>
        {
            if (Interlocked.Exchange(ref kernel, Room) == Refused) edges = 1;
        });
        run.Thread("poller", () =>
        {
            ControlledThread.WaitUntil(() => edges == 1 || isSent, new Site("Wait", "for the edge", "", 0));
            if (edges == 1) socket.Notify(PollReadiness.Writable);
        });
        run.Finally(() => Invariant.Holds(isSent && socket.Waiter.IsIdle, "a write waits though there is room."));
    }

    // The two directions are independent. One event must make both waiters runnable, each once.
    public static void ReadyAndTwoWaits(Run run)
    {
        PollDesc desc = new(0);
        desc.Open(3);
        Socket socket = new() { Desc = desc };
        SleepingWaiter writer = new();
        run.Thread("reader", () => Invariant.Holds(socket.Waiter.Wait(desc, Direction.Read), "the read side was not ready."));
        run.Thread("writer", () => Invariant.Holds(writer.Wait(desc, Direction.Write), "the write side was not ready."));
        run.Thread("poller", () => socket.Notify(PollReadiness.Readable | PollReadiness.Writable));
        run.Finally(() => Invariant.Holds(socket.Waiter.IsIdle && writer.IsIdle, "a wake-up is left over."));
    }

    // A read of a drained socket consumes the hang-up's readiness. It must see the hang-up, because no other edge comes.
    public static void HangupAndWait(Run run)
    {
        Socket socket = new();
        run.Thread("reader", () =>
        {
            Invariant.Holds(socket.Waiter.Wait(socket.Desc, Direction.Read), "the read side was not ready.");
            Invariant.Holds(socket.Desc.HangupSeen, "the readiness was consumed and its hang-up not seen.");
        });
        run.Thread("poller", () => socket.Notify(PollReadiness.Readable | PollReadiness.ReadHangup));
    }

    // A hang-up comes, and the loop stops, while somebody begins to watch for either. What watches runs, once.
    public static void HangupAndStopAndWatch(Run run)
    {
        Socket socket = Watched(out PollCache cache);
        Watch watch = new();
        run.Thread("watcher", () => cache.WatchHangup(socket.Desc, watch)?.Execute());
        run.Thread("poller", () => socket.Notify(PollReadiness.Readable | PollReadiness.ReadHangup));
        run.Thread("stopper", () => Stop(cache, socket.Desc));
        run.Finally(() => Invariant.Holds(watch.Runs == 1, $"the watch ran {watch.Runs} times."));
    }

    public static void HangupAndWatch(Run run)
    {
        Socket socket = Watched(out PollCache cache);
        Watch watch = new();
        run.Thread("watcher", () => cache.WatchHangup(socket.Desc, watch)?.Execute());
        run.Thread("poller", () => socket.Notify(PollReadiness.Readable | PollReadiness.ReadHangup));
        run.Finally(() => Invariant.Holds(watch.Runs == 1, $"the watch ran {watch.Runs} times."));
    }

    public static void StopAndWatch(Run run)
    {
        Socket socket = Watched(out PollCache cache);
        Watch watch = new();
        run.Thread("watcher", () => cache.WatchHangup(socket.Desc, watch)?.Execute());
        run.Thread("stopper", () => Stop(cache, socket.Desc));
        run.Finally(() => Invariant.Holds(watch.Runs == 1, $"the watch ran {watch.Runs} times."));
    }

    // A deadline passes while the edge comes. Either may end the read. If the deadline does, the next read must find the edge.
    public static void ReadyAndWaitAndDeadline(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        run.Thread("reader", () =>
        {
            IoResult error = socket.Read(isDrained: true);
            if (error == 0) return;
            Invariant.Holds(error == IoResult.Timeout, $"the read ended with {error}.");
            timers.SetDeadline(socket.Desc, PollMode.Read, 0, out _, out _);
            Invariant.Holds(socket.Read(isDrained: true) == 0, "a read without a deadline timed out.");
        });
        run.Thread("poller", () =>
        {
            socket.Arrive();
            socket.Notify(PollReadiness.Readable);
        });
        run.Thread("setter", () =>
        {
            timers.SetDeadline(socket.Desc, PollMode.Read, 1, out PollWaiter? reader, out _);
            Socket.Wake(reader);
        });
        run.Finally(() => Invariant.Holds(socket.Received == 1 && socket.Waiter.IsIdle, "the byte did not come."));
    }

    // A close must end the waits under way, and those that begin.
    public static void WaitAndClose(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        SleepingWaiter writer = new();
        run.Thread("reader", () => Invariant.Holds(socket.Read() == IoResult.Closing, "a read of a closed descriptor did not say so."));
        run.Thread("writer", () =>
        {
            while (socket.Desc.Check(Direction.Write) == 0) writer.Wait(socket.Desc, Direction.Write);
        });
        run.Thread("closer", () =>
        {
            timers.Evict(socket.Desc, out PollWaiter? evictedReader, out PollWaiter? evictedWriter);
            Socket.Wake(evictedReader);
            Socket.Wake(evictedWriter);
        });
        run.Finally(() => Invariant.Holds(socket.Waiter.IsIdle && writer.IsIdle, "a wake-up is left over."));
    }

    // Readiness that came before the close survives it. A waiter that it woke must find it.
    public static void ReadyAndWaitAndClose(Run run)
    {
        PollTimers timers = new();
        Socket socket = new();
        run.Thread("reader", () => Invariant.Holds(IsReadOrClosed(socket.Read(isDrained: true)), "a read failed."));
        run.Thread("poller", () =>
        {
            socket.Arrive();
            socket.Notify(PollReadiness.Readable);
        });
        run.Thread("closer", () =>
        {
            timers.Evict(socket.Desc, out PollWaiter? reader, out _);
            Socket.Wake(reader);
        });
        run.Finally(() => Invariant.Holds(
            socket.Waiter.IsIdle && socket.Desc.Check(Direction.Read) == IoResult.Closing, "a wake-up is left over."));
    }

    // A cancellation ends a wait. It must not take an edge with it, because the next read needs the edge.
    public static void CancelAndReadyAndWait(Run run)
    {
        Socket socket = new();
        run.Thread("reader", () => socket.Read(isDrained: true));
        run.Thread("poller", () =>
        {
            socket.Arrive();
            socket.Notify(PollReadiness.Readable);
        });
        run.Thread("canceler", () =>
        {
            socket.Waiter.Cancel();
            Socket.Wake(socket.Desc.Cancel(Direction.Read));
        });
        run.Finally(() => Invariant.Holds(
            socket.Waiter.IsIdle && (socket.Received == 1 || new SleepingWaiter().Wait(socket.Desc, Direction.Read)),
            "the edge was lost."));
    }

    // Only the cancellation can end this wait.
    public static void CancelAndWait(Run run)
    {
        Socket socket = new();
        run.Thread("reader", () => Invariant.Holds(
            !socket.Waiter.Wait(socket.Desc, Direction.Read), "a side was ready of which nobody said so."));
        run.Thread("canceler", () =>
        {
            socket.Waiter.Cancel();
            Socket.Wake(socket.Desc.Cancel(Direction.Read));
        });
        run.Finally(() => Invariant.Holds(socket.Waiter.IsIdle, "a wake-up is left over."));
    }

    // An event of the last life is on its way while the desc begins its next life. It may wake a waiter of the new life, but must set none
    // of its flags.
    public static void ReuseAndStaleEvent(Run run)
    {
        PollTimers timers = new();
        PollCache cache = new();
        Socket socket = new() { Desc = cache.Alloc(3) };
        PollToken old = socket.Desc.Token;
        bool isReused = false;
        run.Thread("poller", () =>
        {
            PollDesc? found = cache.Find(old);
            Invariant.Holds(found == socket.Desc, "a token's slot holds another desc.");
            socket.Notify(new PollEvent(old, PollReadiness.Readable | PollReadiness.ReadHangup | PollReadiness.Error));
            ControlledThread.WaitUntil(() => isReused, new Site("Wait", "for the next life", "", 0));
            socket.Arrive();
            socket.Notify(PollReadiness.Readable);
        });
        run.Thread("owner", () =>
        {
            timers.Evict(socket.Desc, out _, out _);
            cache.Free(socket.Desc);
            Invariant.Holds(cache.Alloc(3) == socket.Desc, "a desc that was free was not recycled.");
            isReused = true;
            HasNoFlag(socket.Desc);
            socket.Read();
        });
        run.Finally(() =>
        {
            HasNoFlag(socket.Desc);
            Invariant.Holds(socket.Received == 1 && socket.Waiter.IsIdle, "a wake-up is left over.");
        });
    }

    // A socket of packets enters its poller while an event comes that reports only an error. Its reads must be able to wait afterwards.
    public static void ErrorAndLetPass(Run run)
    {
        Socket socket = new();
        run.Thread("owner", () =>
        {
            socket.Desc.LetErrorsPass();
            Invariant.Holds(socket.Read() == 0, "an error that has passed keeps a read from waiting.");
        });
        run.Thread("poller", () =>
        {
            socket.Notify(PollReadiness.Readable | PollReadiness.Writable | PollReadiness.Error);
            socket.Arrive();
            socket.Notify(PollReadiness.Readable);
        });
        run.Finally(() => Invariant.Holds(socket.Received == 1 && socket.Waiter.IsIdle, $"{socket.Received} of 1 byte came."));
    }

    private static bool IsReadOrClosed(IoResult result) => result == 0 || result == IoResult.Closing;

    private static void HasNoFlag(PollDesc desc) =>
        Invariant.Holds(desc.Check(Direction.Read) == 0 && !desc.HangupSeen, "a flag of the last life is set in the next.");

    private static Socket Watched(out PollCache cache)
    {
        cache = new PollCache();
        return new Socket { Desc = cache.Alloc(3), Cache = cache };
    }

    // What the stop of a loop does with a desc.
    private static void Stop(PollCache cache, PollDesc desc)
    {
        desc.Evict(out PollWaiter? reader, out PollWaiter? writer);
        Socket.Wake(reader);
        Socket.Wake(writer);
        cache.TakeHangupWatch(desc)?.Execute();
    }

    private sealed class Watch : IThreadPoolWorkItem
    {
        private int _runs;

        public int Runs => _runs;

        public void Execute() => Interlocked.Increment(ref _runs);
    }
}
