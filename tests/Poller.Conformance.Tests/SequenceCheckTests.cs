using FsCheck.Fluent;

namespace Poller.Conformance.Tests;

/// <summary>How a sequence that fails shrinks.</summary>
public sealed class SequenceCheckTests
{
    private static readonly int[] Commands = [.. Enumerable.Range(0, 100)], Cause = [20, 40, 60];

    [Fact]
    public void A_sequence_shrinks_to_its_cause_in_few_runs_that_fail()
    {
        // A run that fails may cost a second; taking single commands out would be 97 of them.
        int failed = 0;
        SequenceCheck<int, Harness> check = new(
            "The harness failed",
            Arb.From(Gen.Constant(Commands), Arb.Array(Arb.From(Gen.Constant(0))).Shrinker),
            Commands.Length,
            patience: TimeSpan.FromSeconds(5),
            shrinkFor: TimeSpan.FromMinutes(5),
            _ => new Harness(() => failed++),
            _ => { });

        (int sequences, SequenceFailure? failure) = check.Run(seed: 1, limit: 1);

        Assert.Equal(1, sequences);
        Assert.NotNull(failure);
        Assert.Equal(Cause.Length, failure.Commands);
        Assert.Contains($"\n{string.Join('\n', Cause)}\n", failure.Report, StringComparison.Ordinal);
        Assert.InRange(failed, 2, 12);
    }

    [Fact]
    public void What_had_no_effect_and_what_was_not_reached_goes_in_one_run()
    {
        List<int> lengths = [];
        SequenceCheck<int, Harness> check = new(
            "The harness failed",
            Arb.From(Gen.Constant(Commands), _ => []),
            Commands.Length,
            patience: TimeSpan.FromSeconds(5),
            shrinkFor: TimeSpan.FromMinutes(5),
            _ => new Harness(() => { }, lengths.Add),
            _ => { });

        check.Run(seed: 1, limit: 1);

        Assert.Equal([100, 31], lengths[..2]);
    }

    /// <summary>Odd commands have no effect, and the last one of the cause fails when the others came before it.</summary>
    private sealed class Harness(Action failed, Action<int>? ran = null) : ISequenceHarness<int>
    {
        private readonly List<int> _done = [], _effective = [];

        public string[] Trace => [.. _done.Select(static command => $"{command}")];
        public int[] Effective => [.. _effective];
        public TimeSpan Standstill => TimeSpan.Zero;
        public string Expectation => "none";

        public void Run(IReadOnlyList<int> commands)
        {
            ran?.Invoke(commands.Count);
            foreach (int command in commands)
            {
                _done.Add(command);
                if (command % 2 == 0) _effective.Add(command);
                if (command != Cause[^1] || !Cause.All(_done.Contains)) continue;
                failed();
                throw new ModelViolation("it failed", Expectation);
            }
        }

        public void Dispose() { }
    }
}
