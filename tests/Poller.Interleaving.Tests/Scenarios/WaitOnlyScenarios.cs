using System.Threading.Tasks.Sources;
using Poller.Abstractions;
using Poller.Interleaving.Tests;

namespace Poller.Net;

/// <summary>Scenarios of a wait for a native library, which reads by itself: FileFd's wait-only form.</summary>
internal static class WaitOnlyScenarios
{
    /// <summary>What the library has not read yet, and what it has.</summary>
    private sealed class Records
    {
        private int _left;

        public int Taken { get; private set; }

        /// <summary>Records come in. The scenario must deliver one edge for them afterwards.</summary>
        public void Arrive(int count) => Add(count);

        /// <summary>poll(2). It looks without a fence, which is the least that a system call may do.</summary>
        public IoResult Look() => Volatile.Read(ref _left) == 0 ? Errno.EAGAIN : 0;

        /// <summary>The library takes one record, and leaves the others.</summary>
        public void TakeOne()
        {
            Invariant.Holds(Add(-1) >= 0, "a wait ended, and there was nothing to read.");
            Taken++;
        }

        private int Add(int count)
        {
            int left;
            do left = Volatile.Read(ref _left);
            while (Interlocked.CompareExchange(ref _left, left + count, left) != left);
            return left + count;
        }
    }

    /// <summary>A wait: an operation whose try is a look.</summary>
    private sealed class Wait(PollFd fd, Records records) : PollOp(fd, Direction.Read)
    {
        private bool _isOver;

        protected override string Name => "wait to read";

        /// <summary>Waits as an async method does.</summary>
        public void Once()
        {
            _isOver = false;
            Start(CancellationToken.None);
            short token = Version;
            if (GetStatus(token) == ValueTaskSourceStatus.Pending)
            {
                OnCompleted(_ => Take(token), null, token, ValueTaskSourceOnCompletedFlags.None);
                ControlledThread.WaitUntil(() => _isOver, new Site("Wait", "for something to read", "", 0));
            }
            else Take(token);
        }

        protected override IoResult Try(ref object? made) => records.Look();

        private void Take(short token)
        {
            ((IValueTaskSource)this).GetResult(token);
            _isOver = true;
        }
    }

    // Two records come with one edge, and later a third one. The library takes one after each wait. So one wait must find what was left,
    // another one must not take the old readiness for news, and no edge may be lost while a wait begins.
    public static void WaitAndLibraryLeavesARecord(Run run)
    {
        AnyFd fd = new();
        Records records = new();
        Wait wait = new(fd, records);
        run.Service("loop", fd.RunLoop);
        run.Thread("library", () =>
        {
            while (records.Taken < 3)
            {
                wait.Once();
                records.TakeOne();
            }
        });
        run.Thread("poller", () =>
        {
            Arrive(2);
            Arrive(1);
        });
        run.Finally(() => Invariant.Holds(records.Taken == 3, $"{records.Taken} of 3 records were read."));

        void Arrive(int count)
        {
            records.Arrive(count);
            fd.Desc.Notify(new PollEvent(fd.Desc.Token, PollReadiness.Readable), out PollWaiter? reader, out _, out _);
            if (reader is not null) fd.Schedule(reader);
        }
    }
}
