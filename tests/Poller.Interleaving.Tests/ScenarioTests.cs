using Poller.Net;
using Xunit.Abstractions;

namespace Poller.Interleaving.Tests;

/// <summary>Runs every interleaving of every scenario, or the one schedule that POLLER_SCHEDULE holds.</summary>
public sealed class ScenarioTests(ITestOutputHelper output)
{
    // The mutants' bound catches every mutation. One more preemption takes ten times as long.
    private static readonly int Bound =
        Environment.GetEnvironmentVariable("POLLER_TESTS") == "long" ? Explorer.Bound : MutationTests.Bound;

    public static TheoryData<string> Names => [.. AllScenarios.ByName.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    [Trait("Tests", "long")]
    public void Every_interleaving_keeps_the_invariants(string name)
    {
        if (Environment.GetEnvironmentVariable("POLLER_SCHEDULE") is { } schedule)
        {
            ScheduleFailure? failure = Explorer.Replay(AllScenarios.ByName[name], schedule);
            Assert.True(failure is null, $"{name}: {failure}");
            return;
        }
        int bound = AllScenarios.BoundOf(name, Bound);
        Exploration result = Explorer.Explore(AllScenarios.ByName[name], bound);
        output.WriteLine($"{name}: {result.Schedules} schedules of at most {bound} preemptions in {result.Elapsed.TotalSeconds:F2} s");
        Assert.True(
            result.Failure is null,
            $"{name}: {result.Failure}{Environment.NewLine}" +
            $"POLLER_SCHEDULE=\"{result.Failure?.Schedule}\" replays it, for this scenario alone.");
    }
}
