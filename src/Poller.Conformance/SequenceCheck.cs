using System.Diagnostics;
using System.Globalization;
using FsCheck;
using FsCheck.Fluent;

namespace Poller.Conformance;

/// <summary>The tested code did something that the contract forbids.</summary>
internal sealed class ModelViolation(string fault, string expectation) : Exception(fault)
{
    /// <summary>What the model expected when it happened.</summary>
    public string Expectation => expectation;
}

/// <summary>
/// Runs the commands of one sequence, and has the model check the results. One thread runs it. Another thread may read the other
/// members.
/// </summary>
internal interface ISequenceHarness<TCommand> : IDisposable
{
    /// <summary>What was done so far, with the results.</summary>
    string[] Trace { get; }

    /// <summary>The commands so far, except those that had no effect. For the thread that runs the sequence.</summary>
    TCommand[] Effective { get; }

    /// <summary>How long the current command has taken.</summary>
    TimeSpan Standstill { get; }

    /// <summary>What the model expects at this point.</summary>
    string Expectation { get; }

    /// <exception cref="ModelViolation">The contract was broken.</exception>
    void Run(IReadOnlyList<TCommand> commands);
}

/// <summary>Runs random sequences of commands until one breaks the contract, and shrinks that one.</summary>
/// <param name="contract">The first words of a report: who broke which contract.</param>
/// <param name="sequences">The sequences, and how they shrink.</param>
/// <param name="maxLength">The length of the longest sequence.</param>
/// <param name="patience">How long to wait for something that must happen.</param>
/// <param name="shrinkFor">How long to search for a shorter sequence.</param>
/// <param name="make">Creates a harness for one sequence, with a patience.</param>
/// <param name="count">Counts what a sequence did, unless it is a shrunk one.</param>
internal sealed class SequenceCheck<TCommand, THarness>(
    string contract,
    Arbitrary<TCommand[]> sequences,
    int maxLength,
    TimeSpan patience,
    TimeSpan shrinkFor,
    Func<TimeSpan, THarness> make,
    Action<THarness> count)
    where THarness : class, ISequenceHarness<TCommand>
{
    // A sequence that takes so long has hung in the code under test, because every wait of the harness ends.
    private readonly TimeSpan _stuck = patience * 12;

    // Atomic: the thread that runs the sequences writes it, and the watching thread reads it.
    private THarness? _harness;

    // Touched by the thread that runs the sequences. The watching thread reads them when that thread has ended, or counts as stuck.
    private int _seed, _sequence;

    /// <summary>Runs sequences as the environment says, and fails a test if one breaks the contract.</summary>
    /// <param name="limit">How many, if the environment does not say.</param>
    public void Run(int limit)
    {
        int seed = Setting.FromEnvironment("POLLER_SEED") ?? Random.Shared.Next();
        limit = Setting.FromEnvironment("POLLER_CONFORMANCE_SEQUENCES") ?? limit;
        (int ran, SequenceFailure? failure) = Run(seed, limit);
        Assert.True(failure is null, failure?.Report);
        Assert.Equal(limit, ran);
    }

    /// <summary>Returns how many sequences it ran, including the failing one, and how that one failed.</summary>
    public (int Sequences, SequenceFailure? Failure) Run(int seed, int limit)
    {
        SequenceFailure? failure = null;

        // No signal may end a timed wait early, because the model would take that for a fault.
        Worker thread = Worker.StartUninterrupted("run the sequences", () =>
        {
            for (_sequence = 0; _sequence < limit && failure is null; _sequence++)
            {
                _seed = unchecked(seed + _sequence);
                TCommand[] commands = sequences.Generator.Sample(1, new Rnd((ulong)(uint)_seed), maxLength).Single();
                if (TryRun(commands, patience, counts: true) is { } fault) failure = Shrink(commands, fault);
            }
        });
        while (!thread.HasFinishedWithin(TimeSpan.FromMilliseconds(100)))
        {
            if (Volatile.Read(ref _harness) is not { } harness || harness.Standstill < _stuck) continue;
            Fault stuck = new($"a call has not returned for {_stuck.TotalSeconds} s", harness.Expectation, harness.Trace, []);
            return (_sequence + 1, Report(stuck, "not shrunk", stuck.Trace.Length));
        }
        thread.Join();
        return (_sequence, failure);
    }

    private Fault? TryRun(TCommand[] commands, TimeSpan patience, bool counts)
    {
        using THarness harness = make(patience);
        Volatile.Write(ref _harness, harness);
        try
        {
            harness.Run(commands);
            return null;
        }
        catch (ModelViolation violation)
        {
            return new Fault(violation.Message, violation.Expectation, harness.Trace, harness.Effective);
        }
        catch (InvalidOperationException error)
        {
            string trace = string.Join('\n', harness.Trace);
            throw new InvalidOperationException(
                $"The kit's model of the kernel is wrong here, POLLER_SEED={_seed}: {error.Message}.\n{trace}", error);
        }
        finally
        {
            Volatile.Write(ref _harness, null);
            if (counts) count(harness);
        }
    }

    private SequenceFailure Shrink(TCommand[] commands, Fault fault)
    {
        long start = Stopwatch.GetTimestamp();
        int length = commands.Length, runs = 0;

        // A second is enough to see that a shorter sequence fails too. If the machine is slower, the longer one is reported.
        TimeSpan brief = patience < TimeSpan.FromSeconds(1) ? patience : TimeSpan.FromSeconds(1);

        // A run that fails by waiting for something that never comes takes long. So each run removes as much as it can: first all commands
        // that had no effect, then the largest possible piece at each place, and single commands last.
        StillFails(fault.Effective);
        for (int at = 0; at < commands.Length;)
        {
            int size = commands.Length - at;
            while (size > 0 && !StillFails([.. commands[..at], .. commands[(at + size)..]])) size /= 2;
            if (size == 0) at++;
        }
        while (sequences.Shrinker(commands).Any(StillFails)) { }

        string how = commands.Length == length
            ? $"none of {runs} shorter sequences failed"
            : $"shrunk from {length} commands in {runs} runs";
        return Report(fault, how, commands.Length);

        bool StillFails(TCommand[] candidate)
        {
            if (Stopwatch.GetElapsedTime(start) > shrinkFor) return false;
            runs++;
            if (TryRun(candidate, brief, counts: false) is not { } same) return false;
            (commands, fault) = (candidate, same);
            return true;
        }
    }

    private SequenceFailure Report(Fault fault, string how, int commands)
    {
        string text = string.Create(CultureInfo.InvariantCulture,
            $"""
            {contract} at command {fault.Trace.Length}: {fault.Message}.
            The model's expectation at that point:
              {fault.Expectation.Replace("\n", "\n  ", StringComparison.Ordinal)}
            The commands in order, with the result of each ({how}):
            {string.Join('\n', fault.Trace)}
            To replay it: POLLER_SEED={_seed} POLLER_CONFORMANCE_SEQUENCES=1
            """);
        return new SequenceFailure(_seed, fault.Message, commands, text);
    }

    private sealed record Fault(string Message, string Expectation, string[] Trace, TCommand[] Effective);
}
