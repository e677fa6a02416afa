using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;
using Xunit.Abstractions;

namespace Poller.Conformance.Tests;

/// <summary>That the kit can fail: each fault makes it, and the report names the fault.</summary>
public sealed class FaultTests(ITestOutputHelper output)
{
    private const PollTrigger Edge = PollTrigger.Edge, Level = PollTrigger.Level;

    // More than enough for each: the most any took is some tens.
    private const int Sequences = 2000;

    private static readonly Dictionary<string, Func<INetpoll, FaultyFactory, FaultyPoller>> Faults = new()
    {
        [nameof(DropsOneInAThousand)] = (inner, factory) => new DropsOneInAThousand(inner, factory),
        [nameof(DropsWhatFindsNoRoom)] = (inner, _) => new DropsWhatFindsNoRoom(inner),
        [nameof(DeliversAStaleToken)] = (inner, _) => new DeliversAStaleToken(inner),
        [nameof(IgnoresBreak)] = (inner, _) => new IgnoresBreak(inner),
        [nameof(WastesABreak)] = (inner, _) => new WastesABreak(inner),
        [nameof(BreaksTwice)] = (inner, _) => new BreaksTwice(inner),
        [nameof(ReturnsEarly)] = (inner, _) => new ReturnsEarly(inner),
        [nameof(NeverReturns)] = (inner, _) => new NeverReturns(inner),
        [nameof(HidesTheHangup)] = (inner, _) => new HidesTheHangup(inner),
        [nameof(RepeatsItself)] = (inner, _) => new RepeatsItself(inner),
        [nameof(OpensTwice)] = (inner, _) => new OpensTwice(inner),
        [nameof(ArmsBoth)] = (inner, _) => new ArmsBoth(inner),
        [nameof(ReportsWhatIsNotReady)] = (inner, _) => new ReportsWhatIsNotReady(inner),
        [nameof(Throws)] = (inner, _) => new Throws(inner),
        [nameof(CountsWrong)] = (inner, _) => new CountsWrong(inner),
    };

    [Theory]
    [InlineData(nameof(DropsOneInAThousand), Edge, "must be reported, an edge since command |a poll returned nothing before its time-out")]
    [InlineData(nameof(DropsOneInAThousand), Level,
        "must be reported, ready, and armed since command |a poll returned nothing before its time-out")]
    [InlineData(nameof(DropsWhatFindsNoRoom), Edge, "must be reported, an edge since command ")]
    [InlineData(nameof(DropsWhatFindsNoRoom), Level, "must be reported, ready, and armed since command ")]
    [InlineData(nameof(DeliversAStaleToken), Edge, "closed it at command ")]
    [InlineData(nameof(DeliversAStaleToken), Level, "closed it at command ")]
    [InlineData(nameof(IgnoresBreak), Edge, "for a Break that was called")]
    [InlineData(nameof(IgnoresBreak), Level, "for a Break that was called")]
    [InlineData(nameof(WastesABreak), Edge, "for a Break that was called")]
    [InlineData(nameof(WastesABreak), Level, "for a Break that was called")]
    [InlineData(nameof(BreaksTwice), Edge, "returned nothing before its time-out")]
    [InlineData(nameof(BreaksTwice), Level, "returned nothing before its time-out")]
    [InlineData(nameof(ReturnsEarly), Edge, "returned nothing before its time-out")]
    [InlineData(nameof(ReturnsEarly), Level, "returned nothing before its time-out")]
    [InlineData(nameof(NeverReturns), Edge, "a call has not returned for 6 s")]
    [InlineData(nameof(NeverReturns), Level, "a call has not returned for 6 s")]
    [InlineData(nameof(HidesTheHangup), Edge, "with ReadHangup of ")]
    [InlineData(nameof(RepeatsItself), Edge, "times without a new edge")]
    [InlineData(nameof(RepeatsItself), Level, "must not be reported: it is not armed")]
    [InlineData(nameof(OpensTwice), Edge, "answered none; EEXIST (17) was expected")]
    [InlineData(nameof(OpensTwice), Level, "answered none; EEXIST (17) was expected")]
    [InlineData(nameof(ArmsBoth), Level, "must not be reported: it is not armed")]
    [InlineData(nameof(ReportsWhatIsNotReady), Level, "must not be reported: it is not ready")]
    [InlineData(nameof(Throws), Edge, "Poll threw Poller.Abstractions.NetpollException")]
    [InlineData(nameof(Throws), Level, "Poll threw Poller.Abstractions.NetpollException")]
    [InlineData(nameof(CountsWrong), Edge, "with room for ")]
    [InlineData(nameof(CountsWrong), Level, "with room for ")]
    public void A_fault_is_caught_and_named(string fault, PollTrigger trigger, string names)
    {
        INetpollFactory right = trigger == Edge ? new EpollNetpollFactory() : new ReferencePollerFactory();
        FaultyFactory wrong = new(right, Faults[fault]);
        int seed = Seed.Next();

        // A fault that is told by a poll's waiting in vain costs the wait, in each run that shrinks it too; one that hangs, twelve of them.
        // The others are not to be taken for one of these.
        TimeSpan patience = TimeSpan.FromSeconds(fault switch
        {
            nameof(NeverReturns) => 0.5,
            nameof(DropsOneInAThousand) or nameof(DropsWhatFindsNoRoom) or nameof(IgnoresBreak) or nameof(WastesABreak) => 1,
            _ => 5,
        });
        NetpollRun run = NetpollCheck.Run(wrong, seed, Sequences, patience, shrinkFor: TimeSpan.FromSeconds(1));

        output.WriteLine($"{fault}, {trigger}, POLLER_SEED={seed}: {run}");
        Assert.NotNull(run.Failure);
        Assert.Contains(names.Split('|'), name => run.Failure.Fault.Contains(name, StringComparison.Ordinal));
        Assert.InRange(run.Failure.Commands, 0, NetpollCommand.MaxLength); // None, if a poll after the last command is enough.
        string report = run.Failure.Report;
        Assert.StartsWith($"{right.Name} ({trigger}) broke the contract of INetpoll at command ", report, StringComparison.Ordinal);
        Assert.Contains(run.Failure.Fault, report, StringComparison.Ordinal);
        Assert.Contains("must:     ", report, StringComparison.Ordinal);
        Assert.Contains("must not: ", report, StringComparison.Ordinal);
        Assert.Contains("\n   1  ", report, StringComparison.Ordinal);
        Assert.Contains($"POLLER_SEED={run.Failure.Seed} POLLER_CONFORMANCE_SEQUENCES=1", report, StringComparison.Ordinal);
    }

    [Fact]
    public void A_fault_that_always_shows_shrinks_to_a_few_commands_and_comes_again_with_its_seed()
    {
        FaultyFactory wrong = new(new ReferencePollerFactory(), Faults[nameof(ArmsBoth)]);
        int seed = Seed.Next();

        SequenceFailure? failure = NetpollCheck.Run(wrong, seed, Sequences,
            TimeSpan.FromSeconds(5), shrinkFor: TimeSpan.FromMinutes(5)).Failure;

        output.WriteLine($"POLLER_SEED={seed}\n{failure}");
        Assert.NotNull(failure);

        // Open, Arm, what makes the other direction ready, and a poll, unless the one at the end does.
        Assert.InRange(failure.Commands, 2, 8);
        NetpollRun again = NetpollCheck.Run(wrong, failure.Seed, 1);
        Assert.NotNull(again.Failure);
        Assert.Equal(1, again.Sequences);
        Assert.Equal(failure.Seed, again.Failure.Seed);
    }

    [Fact]
    public void A_backend_without_a_fault_passes_and_the_run_counts_what_it_did()
    {
        NetpollRun run = NetpollCheck.Run(new EpollNetpollFactory(), 1, 20);

        Assert.Null(run.Failure);
        Assert.Equal(20, run.Sequences);
        Assert.InRange(run.Commands, 20, 20 * (NetpollCommand.MaxLength + 1));
        Assert.InRange(run.Polls, 20, long.MaxValue);
        Assert.InRange(run.Events, 1, long.MaxValue);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(long.MaxValue)]
    public void A_patience_that_is_out_of_range_is_refused(long ticks)
    {
        EpollNetpollFactory backend = new();
        using Netpoller poller = new(backend);
        TimeSpan patience = TimeSpan.FromTicks(ticks);

        Assert.Throws<ArgumentOutOfRangeException>("patience", () => NetpollCheck.Run(backend, 1, 1, patience));
        Assert.Throws<ArgumentOutOfRangeException>("patience", () => NetStackCheck.Run(new NetStack(poller), 1, 1, patience));
    }
}
