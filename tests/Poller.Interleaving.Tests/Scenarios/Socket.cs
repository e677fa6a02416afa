using Poller.Abstractions;

namespace Poller.Net;

/// <summary>A socket, its kernel, and the protocol by which PollFd reads from it: prepare, try, wait, try again.</summary>
internal sealed class Socket
{
    private int _bytes;

    public int Received { get; private set; }

    public PollDesc Desc { get; init; } = Opened(new PollDesc(0));

    /// <summary>The cache that knows who watches for the hang-up; null if nobody does.</summary>
    public PollCache? Cache { get; init; }

    public SleepingWaiter Waiter { get; } = new();

    /// <summary>A byte comes in. The scenario must deliver its edge afterwards.</summary>
    public void Arrive() => Interlocked.Increment(ref _bytes);

    /// <summary>Takes what there is. It looks without a fence first, which is the least that a system call may do.</summary>
    public bool TryReceive()
    {
        if (Volatile.Read(ref _bytes) == 0) return false;
        int bytes = Interlocked.Exchange(ref _bytes, 0);
        Received += bytes;
        return bytes > 0;
    }

    /// <summary>
    /// Reads. If the socket is known to be drained, it waits at once, without a reset or a try. Returns why it ended without a byte, or 0.
    /// </summary>
    public IoResult Read(bool isDrained = false)
    {
        IoResult error = isDrained ? Desc.Check(Direction.Read) : Desc.Reset(Direction.Read);
        if (!error.IsSuccess) return error;
        while (isDrained || !TryReceive())
        {
            isDrained = false;
            if (Waiter.Wait(Desc, Direction.Read)) continue;
            if (Waiter.IsCanceled) return 0;
            error = Desc.Check(Direction.Read);
            if (!error.IsSuccess) return error;
        }
        return 0;
    }

    /// <summary>The poller found the desc ready.</summary>
    public void Notify(PollReadiness readiness) => Notify(new PollEvent(Desc.Token, readiness));

    /// <summary>The poller found an event, of this life of the desc or of an earlier one.</summary>
    public void Notify(PollEvent found)
    {
        Desc.Notify(found, out PollWaiter? reader, out PollWaiter? writer, out bool isFirstHangup);
        WakeReady(reader);
        WakeReady(writer);
        if (isFirstHangup) Cache?.TakeHangupWatch(Desc)?.Execute();
    }

    /// <summary>Wakes the waiter that a close, a deadline or a cancellation made runnable.</summary>
    public static void Wake(PollWaiter? waiter) => waiter?.TryWakeThread();

    private static void WakeReady(PollWaiter? waiter)
    {
        (waiter as SleepingWaiter)?.BecameReady();
        Wake(waiter);
    }

    private static PollDesc Opened(PollDesc desc)
    {
        desc.Open(3);
        return desc;
    }
}
