using Poller.Net;
using Xunit.Abstractions;

namespace Poller.Interleaving.Tests;

/// <summary>Proves that the scenarios can fail: each fault that is put into the sources is found by the scenarios for it.</summary>
public sealed class MutationTests(ITestOutputHelper output)
{
    // The bound that the mutants need.
    internal const int Bound = 2;

    // The unchanged sources, compiled in the same way, must pass too; otherwise a mutant might fail only because of how it is compiled. One
    // preemption less shows that in a tenth of the time. ScenarioTests explores the same sources to the whole bound.
    private static readonly int UnmutatedBound = Environment.GetEnvironmentVariable("POLLER_TESTS") == "long" ? Bound : Bound - 1;

    public static TheoryData<string, string> Mutants
    {
        get
        {
            TheoryData<string, string> rows = [];
            foreach (Mutation mutation in Mutations.All) rows.Add(mutation.Name, string.Join(", ", mutation.CaughtBy));
            return rows;
        }
    }

    [Theory]
    [MemberData(nameof(Mutants))]
    public void A_mutation_is_caught_by_each_scenario_that_is_to_catch_it(string name, string scenarios)
    {
        Mutation mutation = Mutations.All.Single(mutation => mutation.Name == name);
        using Mutant mutant = new(mutation);
        foreach (string scenario in mutation.CaughtBy)
        {
            Exploration result = Explorer.Explore(mutant.Scenarios[scenario], AllScenarios.BoundOf(scenario, Bound));
            ScheduleFailure? failure = result.Failure;
            Assert.True(
                failure is not null,
                $"\"{name}\" was to be caught by each of {scenarios}; \"{scenario}\" passed all of its {result.Schedules} schedules.");
            string message = failure.Message.Split('\n')[0].TrimEnd();
            output.WriteLine($"| {name} | {scenario} | schedules: {result.Schedules} | preemptions: {failure.Preemptions} | {message} |");
            Assert.Equal(failure, Explorer.Replay(mutant.Scenarios[scenario], failure.Schedule));
        }
    }

    [Fact]
    public void The_sources_without_a_mutation_pass_when_compiled_the_same_way()
    {
        using Mutant none = new();
        Assert.All(none.Scenarios, scenario =>
        {
            Exploration result = Explorer.Explore(scenario.Value, AllScenarios.BoundOf(scenario.Key, UnmutatedBound));
            Assert.True(result.Failure is null, $"{scenario.Key}: {result.Failure}");
        });
    }

    [Theory]
    [InlineData("this stands nowhere", "is not there any more")]
    [InlineData("ref _state", "more than once")]
    public void A_mutation_that_no_longer_fits_the_source_says_so(string find, string words)
    {
        Mutation mutation = new("a test", "FdMutex.cs", find, "");
        Assert.Contains(words, Assert.Throws<InvalidOperationException>(() => new Mutant(mutation)).Message, StringComparison.Ordinal);
    }
}
