using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;
using Poller.Posix;

namespace Poller.Conformance.Tests;

/// <summary>That the facts of a file can fail: each fault of a right backend makes the facts fail that are to find it.</summary>
public sealed class PolledFileFaultTests
{
    /// <summary>A fault, a backend that it is put into, and a fact that is to find it.</summary>
    public static TheoryData<string, PollTrigger, string> Faults => new()
    {
        { nameof(ReportsBytesOnce), PollTrigger.Edge, nameof(Kit.A_library_that_takes_one_record_of_two_is_woken_for_the_other) },
        { nameof(ReportsBytesOnce), PollTrigger.Edge, nameof(Kit.An_operation_that_takes_one_record_of_two_gets_the_other) },
        { nameof(ReportsBytesOnce), PollTrigger.Edge, nameof(Kit.Writers_of_a_FIFO_come_and_go) },
        { nameof(ReportsBytesOnce), PollTrigger.Edge, nameof(Kit.A_terminal_gives_its_lines_and_then_its_end) },
        { nameof(ReportsBytesOnce), PollTrigger.Edge, nameof(Kit.An_eventfd_gives_its_sum) },
        { nameof(ReportsBytesOnce), PollTrigger.Edge, nameof(Kit.Old_readiness_ends_no_wait) },
        { nameof(ReportsBytesOnce), PollTrigger.Edge, nameof(Kit.Any_sequence_of_operations_follows_the_model) },
        { nameof(ReportsRoomOnce), PollTrigger.Edge, nameof(Kit.Any_sequence_of_operations_follows_the_model) },
        { nameof(ArmsOnce), PollTrigger.Level, nameof(Kit.Any_sequence_of_operations_follows_the_model) },
        { nameof(ReportsRoomOnce), PollTrigger.Edge, nameof(Kit.A_wait_to_write_ends_while_there_is_room) },
        { nameof(ReportsRoomOnce), PollTrigger.Edge, nameof(Kit.Bytes_come_in_order_and_then_the_end) },
        { nameof(ArmsOnce), PollTrigger.Level, nameof(Kit.A_library_that_takes_one_record_of_two_is_woken_for_the_other) },
        { nameof(IgnoresBreak), PollTrigger.Edge, nameof(Kit.A_deadline_a_token_and_a_dispose_end_what_waits) },
        { nameof(DropsOneInTen), PollTrigger.Edge, nameof(Kit.Descriptors_that_are_used_again_get_their_own_events_alone) },
        { nameof(ForgetsToClose), PollTrigger.Level, nameof(Kit.Descriptors_that_are_used_again_get_their_own_events_alone) },
    };

    [Theory, MemberData(nameof(Faults))]
    public void A_fault_of_the_backend_is_caught(string fault, PollTrigger trigger, string fact)
    {
        INetpollFactory right = trigger == PollTrigger.Edge ? new EpollNetpollFactory() : new PosixNetpollFactory();
        FaultyFactory wrong = new(right, (inner, factory) => fault switch
        {
            nameof(ReportsBytesOnce) => new ReportsBytesOnce(inner),
            nameof(ReportsRoomOnce) => new ReportsRoomOnce(inner),
            nameof(ArmsOnce) => new ArmsOnce(inner),
            nameof(IgnoresBreak) => new IgnoresBreak(inner),
            nameof(DropsOneInTen) => new DropsOneInTen(inner, factory),
            _ => new ForgetsToClose(inner),
        });
        Exception? caught = Record.Exception(() => Kit.Run(wrong, fact));

        // A fault leaves an operation waiting. Or, if the backend still has a number, the number cannot be opened again.
        string said = caught?.ToString() ?? "nothing";
        string[] names = fault == nameof(ForgetsToClose) ? [nameof(TimeoutException), "already in the poller"]
            : fact == nameof(Kit.Any_sequence_of_operations_follows_the_model) ? ["has not come back"]
            : [nameof(TimeoutException)];
        Assert.True(names.Any(name => said.Contains(name, StringComparison.Ordinal)), $"{fact} said: {said}");
    }

    [Fact]
    public void A_backend_without_a_fault_passes_every_fact()
    {
        foreach (string fact in Faults.Select(static row => (string)row[2]).Distinct())
        {
            Kit.Run(new EpollNetpollFactory(), fact);
            Kit.Run(new PosixNetpollFactory(), fact);
        }
    }

    /// <summary>The facts over one poller. It is nested and private, so that no runner finds it.</summary>
    private sealed class Kit(INetpollFactory backend, TimeSpan patience) : PolledFileConformance(new Netpoller(backend))
    {
        protected override TimeSpan Patience => patience;

        // One time in four a reopening waits for an event that nothing repeats. Of one event in ten, some of those are always dropped.
        protected override int Reopenings => backend is FaultyFactory ? 1600 : 400;

        // More than enough for each fault: the rarest shows in one sequence of five.
        protected override int Sequences => backend is FaultyFactory ? 500 : base.Sequences;

        /// <summary>Runs one fact, in its async form if it has two.</summary>
        public static void Run(INetpollFactory backend, string fact)
        {
            // A fault shows by a wait in vain; what is right waits as long as it takes.
            using Kit kit = new(backend, backend is FaultyFactory ? TimeSpan.FromSeconds(1) : Worker.Bound);
            System.Reflection.MethodInfo method = typeof(PolledFileConformance).GetMethod(fact)!;
            object[] arguments = method.GetParameters().Length == 0 ? [] : [false];
            method.Invoke(kit, System.Reflection.BindingFlags.DoNotWrapExceptions, null, arguments, null);
        }

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            if (disposing) Poller.Dispose();
        }
    }

    /// <summary>Reports of each token once that it is readable, and no more.</summary>
    private sealed class ReportsBytesOnce(INetpoll inner) : FaultyPoller(inner)
    {
        private readonly HashSet<PollToken> _reported = [];

        public override int Poll(Span<PollEvent> events, long delay)
        {
            int count = Inner.Poll(events, delay), kept = 0;
            foreach (PollEvent e in events[..count])
            {
                bool isNews = (e.Readiness & PollReadiness.Readable) != 0 && _reported.Add(e.Token);
                PollReadiness left = isNews ? e.Readiness : e.Readiness & ~PollReadiness.Readable;
                if (left != PollReadiness.None) events[kept++] = e with { Readiness = left };
            }
            return kept;
        }
    }

    /// <summary>Arms each descriptor once, and no more.</summary>
    private sealed class ArmsOnce(INetpoll inner) : FaultyPoller(inner)
    {
        private readonly HashSet<nint> _armed = [];

        public override Errno Arm(nint fd, PollMode mode)
        {
            lock (_armed)
            {
                if (!_armed.Add(fd)) return Errno.None;
            }
            return base.Arm(fd, mode);
        }
    }

    /// <summary>Takes one event in ten for itself.</summary>
    private sealed class DropsOneInTen(INetpoll inner, FaultyFactory factory) : FaultyPoller(inner)
    {
        public override int Poll(Span<PollEvent> events, long delay)
        {
            int count = Inner.Poll(events, delay), kept = 0;
            for (int i = 0; i < count; i++)
            {
                if (factory.NextEvent() % 10 != 0) events[kept++] = events[i];
            }
            return kept;
        }
    }

    /// <summary>Keeps what is closed.</summary>
    private sealed class ForgetsToClose(INetpoll inner) : FaultyPoller(inner)
    {
        public override Errno Close(nint fd) => Errno.None;
    }
}
