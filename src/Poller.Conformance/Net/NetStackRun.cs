namespace Poller.Conformance;

/// <summary>What a run of <see cref="NetStackCheck"/> did.</summary>
public sealed class NetStackRun
{
    internal NetStackRun(int sequences, long commands, long bytes, NetStackFailure? failure) =>
        (Sequences, Commands, Bytes, Failure) = (sequences, commands, bytes, failure);

    /// <summary>The sequences it ran, the failing one with them.</summary>
    public int Sequences { get; }

    /// <summary>The commands of all of these, up to the one that failed.</summary>
    public long Commands { get; }

    /// <summary>The bytes that arrived.</summary>
    public long Bytes { get; }

    /// <summary>The failure that ended the run, or null.</summary>
    public NetStackFailure? Failure { get; }

    /// <summary>The figures, and the failure's report.</summary>
    public override string ToString() =>
        $"{Sequences} sequences, {Commands} commands, {Bytes} bytes" + (Failure is null ? "" : $"\n{Failure}");
}

/// <summary>How a connection broke the contract.</summary>
public sealed class NetStackFailure
{
    internal NetStackFailure(SequenceFailure failure) =>
        (Seed, Fault, Commands, Report) = (failure.Seed, failure.Fault, failure.Commands, failure.Report);

    /// <summary>The seed of the sequence that failed: with it and one sequence, <see cref="NetStackCheck"/> repeats it.</summary>
    public int Seed { get; }

    /// <summary>What was wrong, in a sentence.</summary>
    public string Fault { get; }

    /// <summary>The length of the sequence, after it was shrunk.</summary>
    public int Commands { get; }

    /// <summary>
    /// All of it: the fault, what the model said each operation must and may come to, the commands in order with what came of them, and the
    /// seed that replays it.
    /// </summary>
    public string Report { get; }

    /// <summary>The report.</summary>
    public override string ToString() => Report;
}
