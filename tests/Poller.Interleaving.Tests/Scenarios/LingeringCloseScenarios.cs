using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of a close that lingers. The loop may continue it while the stack that began it still runs.</summary>
internal static class LingeringCloseScenarios
{
    // The peer acknowledges all bytes and ends, while the close begins to wait for that.
    public static void LingerAndPeerEnds(Run run)
    {
        Loop loop = new(threads: 1);
        FakeSocket socket = Begin(run, loop);
        run.Thread("peer", socket.End);
        run.Finally(() =>
        {
            EndsClosed(loop, socket);
            Invariant.Holds(!socket.WasReset, "a connection was reset whose peer had everything.");
        });
    }

    // The seconds pass, and the peer acknowledges nothing.
    public static void LingerAndTimePasses(Run run)
    {
        Loop loop = new(threads: 1);
        FakeSocket socket = Begin(run, loop);
        run.Thread("clock", () =>
        {
            for (long now = 2_000_000_000; !socket.IsClosed; now += 2_000_000_000)
            {
                TimeProvider.System.Advance(now);
                ControlledThread.WaitUntil(() => socket.IsClosed || loop.Poll.WaitsForTime, new Site("Wait", "for the poll", "", 0));
            }
        });
        run.Finally(() =>
        {
            EndsClosed(loop, socket);
            Invariant.Holds(socket.WasReset, "bytes that nobody acknowledged were not dropped.");
        });
    }

    // The loop stops while the close begins to wait. Whichever comes second must close the descriptor.
    public static void LingerAndStop(Run run)
    {
        Loop loop = new(threads: 1);
        FakeSocket socket = Begin(run, loop);
        run.Thread("stopper", loop.It.Stop);
        run.Finally(() => EndsClosed(loop, socket));
    }

    private static FakeSocket Begin(Run run, Loop loop)
    {
        ThreadPool.Reset();
        FakeSocket socket = new(loop.Poll);
        run.Thread("closer", () =>
        {
            LingeringClose.Begin(socket, loop.It, FakeSocket.Fd, seconds: 1);
            ThreadPool.RunUntil(() => socket.IsClosed);
        });
        return socket;
    }

    private static void EndsClosed(Loop loop, FakeSocket socket) => Invariant.Holds(
        socket.IsClosed && loop.It.Timers.Next == PollTimers.Never && loop.It.Cache.Alloc(4).Slot == 0,
        "the descriptor is not closed, or its timer or its desc is left over.");
}
