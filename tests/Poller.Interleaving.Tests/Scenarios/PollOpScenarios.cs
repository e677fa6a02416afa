using System.Threading.Tasks.Sources;
using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of an operation that waits: who completes it and who awaits it.</summary>
internal static class PollOpScenarios
{
    /// <summary>A read of the number that is there.</summary>
    private sealed class Reading(PollFd fd) : PollOp(fd, Direction.Read), IValueTaskSource<int>
    {
        private readonly PollFd _fd = fd;
        private int _taken;

        public int There { get; set; }

        public int Result { get; private set; } = -1;

        protected override string Name => "read";

        /// <summary>
        /// What the awaiter of an async method does: asks, and attaches when it is not done. True when it went on at once.
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

        int IValueTaskSource<int>.GetResult(short token) => TakeResult(token, out _).Value;

        protected override IoResult Try(ref object? made) => There == 0 ? Errno.EAGAIN : There;

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
            catch (IOException)
            {
                Result = 0;
            }
            Invariant.Holds(_fd.Returned == ++_taken, "an operation was not returned.");
        }
    }

    // The operation completes between the awaiter's question and its attaching, before both, or after.
    public static void CompleteAndAwait(Run run)
    {
        PollFd fd = new();
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
            fd.Desc.Notify(new PollEvent(fd.Desc.Token, PollReadiness.Readable), out PollWaiter? reader, out _);
            if (reader is not null) fd.Schedule(reader);
        });
        run.Finally(() => Invariant.Holds(reading.Result == 7, $"the read came to {reading.Result}."));
    }

    // An awaiter that asks, and finds it done, uses the same operation again at once: whoever completes the first must be done with it.
    public static void CompleteAndBeginAnew(Run run)
    {
        PollFd fd = new();
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
            fd.Desc.Notify(new PollEvent(fd.Desc.Token, PollReadiness.Readable), out PollWaiter? reader, out _);
            if (reader is not null) fd.Schedule(reader);
        }
    }

    // One queues behind the lock's holder as that gives it back and the descriptor is closed: it ends, and its awaiter goes on.
    public static void QueueAndUnlockAndClose(Run run)
    {
        PollFd fd = new();
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
}
