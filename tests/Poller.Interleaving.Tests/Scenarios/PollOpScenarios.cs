using System.Threading.Tasks.Sources;
using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of an operation that waits: who completes it and who awaits it.</summary>
internal static class PollOpScenarios
{
    /// <summary>A read of the number that is there. It may first have to pause, as an accept does.</summary>
    private sealed class Reading(PollFd fd) : PollOp(fd, Direction.Read), IValueTaskSource<int>
    {
        private readonly PollFd _fd = fd;
        private int _taken;

        public int There { get; set; }

        /// <summary>How many tries are to find a shortage, and to pause.</summary>
        public int Pauses { get; set; }

        /// <summary>Why it ended without a number.</summary>
        public Exception? Error { get; private set; }

        public int Result { get; private set; } = -1;

        protected override string Name => "read";

        /// <summary>
        /// Does what the awaiter of an async method does: it asks, and attaches if the operation is not done. True if it was done.
        /// </summary>
        public bool Await()
        {
            short token = Version;
            if (GetStatus(token) != ValueTaskSourceStatus.Pending)
            {
                Take(token);
                return true;
            }
            OnCompleted(_ => TakeOnLoop(token), null, token, ValueTaskSourceOnCompletedFlags.None);
            return false;
        }

        /// <summary>Forgets the result of a read, before the next one.</summary>
        public void Forget()
        {
            There = 0;
            Result = -1;
        }

        /// <summary>What the registration of its token does.</summary>
        public void Cancel()
        {
            SetCanceled(true);
            Fd.Cancel(Direction, this);
        }

        int IValueTaskSource<int>.GetResult(short token) => TakeResult(token, out _).Value;

        protected override IoResult Try(ref object? made)
        {
            Fd.EndPause();
            if (Pauses == 0) return There == 0 ? Errno.EAGAIN : There;
            Pauses--;
            Fd.Pause();
            return Errno.EAGAIN;
        }

        private void TakeOnLoop(short token)
        {
            Invariant.Holds(PollFd.IsOnLoop, $"a continuation ran on {ControlledThread.Current?.Name}.");
            Take(token);
        }

        private void Take(short token)
        {
            Invariant.Holds(Result < 0, "an awaiter went on twice.");
            try
            {
                Result = ((IValueTaskSource<int>)this).GetResult(token);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                Error = e;
                Result = 0;
            }
            Invariant.Holds(_fd.Returned == ++_taken, "an operation was not returned.");
        }
    }

    // The operation completes before the awaiter asks, between its question and its attaching, or after both.
    public static void CompleteAndAwait(Run run)
    {
        AnyFd fd = new();
        Reading reading = new(fd);
        run.Service("loop", fd.RunLoop);
        run.Thread("awaiter", () =>
        {
            Invariant.Holds(fd.TryLock(Direction.Read) == FdLock.Acquired, "the lock was not free.");
            reading.StartWaiting(CancellationToken.None);
            reading.Await();
            ControlledThread.WaitUntil(() => reading.Result > 0, new Site("Wait", "for the result", "", 0));
        });
        run.Thread("poller", () =>
        {
            reading.There = 7;
            fd.Desc.Notify(new PollEvent(fd.Desc.Token, PollReadiness.Readable), out PollWaiter? reader, out _, out _);
            if (reader is not null) fd.Schedule(reader);
        });
        run.Finally(() => Invariant.Holds(reading.Result == 7, $"the read came to {reading.Result}."));
    }

    // An awaiter that asks and finds the operation done uses it again at once. So the thread that completed it must no longer touch it.
    public static void CompleteAndBeginAnew(Run run)
    {
        AnyFd fd = new();
        Reading reading = new(fd);
        bool begunAnew = false;
        int sum = 0;
        run.Service("loop", fd.RunLoop);
        run.Thread("awaiter", () =>
        {
            for (int i = 0; i < 2; i++)
            {
                Invariant.Holds(fd.TryLock(Direction.Read) == FdLock.Acquired, "the lock was not free.");
                reading.StartWaiting(CancellationToken.None);
                begunAnew = i > 0;
                reading.Await();
                ControlledThread.WaitUntil(() => reading.Result > 0, new Site("Wait", "for the result", "", 0));
                sum += reading.Result;
                reading.Forget();
            }
        });
        run.Thread("poller", () =>
        {
            Notify(7);
            ControlledThread.WaitUntil(() => begunAnew, new Site("Wait", "for the second read", "", 0));
            Notify(8);
        });
        run.Finally(() => Invariant.Holds(sum == 15, $"the two reads came to {sum}."));

        void Notify(int there)
        {
            reading.There = there;
            fd.Desc.Notify(new PollEvent(fd.Desc.Token, PollReadiness.Readable), out PollWaiter? reader, out _, out _);
            if (reader is not null) fd.Schedule(reader);
        }
    }

    // An operation queues behind the lock's holder. Meanwhile the holder gives the lock back, and the descriptor is closed. The operation
    // must end, and its awaiter must continue.
    public static void QueueAndUnlockAndClose(Run run)
    {
        AnyFd fd = new();
        Reading reading = new(fd);
        Invariant.Holds(fd.TryLock(Direction.Read) == FdLock.Acquired, "the lock was not free.");
        run.Service("loop", fd.RunLoop);
        run.Thread("awaiter", () =>
        {
            reading.Start(CancellationToken.None);
            reading.Await();
            ControlledThread.WaitUntil(() => reading.Result >= 0, new Site("Wait", "for the result", "", 0));
        });
        run.Thread("holder", () => fd.Unlock(Direction.Read));
        run.Thread("closer", fd.Close);
        run.Finally(() => Invariant.Holds(reading.Result == 0, $"the read came to {reading.Result}."));
    }

    // An accept begins a pause, which is a wait in the other side. Meanwhile its token is cancelled. Here the pause does not end by itself.
    public static void PauseAndCancel(Run run)
    {
        Reading accept = PauseOnce(run, new AnyFd());
        run.Thread("canceler", accept.Cancel);
        run.Finally(() => Invariant.Holds(accept.Error is OperationCanceledException, $"the accept ended with {accept.Error}."));
    }

    // The same with a close of the descriptor.
    public static void PauseAndClose(Run run)
    {
        AnyFd fd = new();
        Reading accept = PauseOnce(run, fd);
        run.Thread("closer", fd.Close);
        run.Finally(() => Invariant.Holds(
            accept.Error is IOException && fd.Timers.Next == PollTimers.Never, $"the accept ended with {accept.Error}, or left a timer."));
    }

    // The same with a deadline of both sides that passes.
    public static void PauseAndDeadline(Run run)
    {
        AnyFd fd = new();
        Reading accept = PauseOnce(run, fd);
        run.Thread("setter", fd.SetDeadlinePast);
        run.Finally(() => Invariant.Holds(accept.Error is IOException, $"the accept ended with {accept.Error}."));
    }

    // The pause ends while the accept begins to wait. The accept must try again.
    public static void PauseAndEndOfPause(Run run)
    {
        AnyFd fd = new();
        Reading accept = PauseOnce(run, fd);
        run.Thread("timer", () =>
        {
            ControlledThread.WaitUntil(() => fd.IsPausing, new Site("Wait", "for the pause", "", 0));
            fd.Expire(12);
        });
        run.Finally(() => Invariant.Holds(
            accept.Result == 7 && fd.Timers.Next == PollTimers.Never, $"the accept came to {accept.Result}, or left its timer."));
    }

    private static Reading PauseOnce(Run run, PollFd fd)
    {
        Reading accept = new(fd) { There = 7, Pauses = 1 };
        run.Service("loop", fd.RunLoop);
        run.Thread("awaiter", () =>
        {
            accept.Start(CancellationToken.None);
            accept.Await();
            ControlledThread.WaitUntil(() => accept.Result >= 0, new Site("Wait", "for the result", "", 0));
        });
        return accept;
    }
}
