namespace Poller.Conformance;

/// <summary>A sequence of commands in which the tested code broke its contract.</summary>
public sealed class SequenceFailure
{
    internal SequenceFailure(int seed, string fault, int commands, string report) =>
        (Seed, Fault, Commands, Report) = (seed, fault, commands, report);

    /// <summary>The seed of the sequence. With this seed and one sequence, the same check repeats it.</summary>
    public int Seed { get; }

    /// <summary>What was wrong, in a sentence.</summary>
    public string Fault { get; }

    /// <summary>The length of the sequence, after it was shrunk. One that hung is not shrunk.</summary>
    public int Commands { get; }

    /// <summary>
    /// The whole report: the fault, what the model expected, the commands in order with their results, and the seed that replays the
    /// sequence.
    /// </summary>
    public string Report { get; }

    /// <summary>The report.</summary>
    public override string ToString() => Report;
}
