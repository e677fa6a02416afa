namespace Poller.Conformance;

/// <summary>The result of a run of <see cref="NetStackCheck"/>.</summary>
public sealed class NetStackRun
{
    internal NetStackRun(int sequences, long commands, long bytes, NetStackFailure? failure) =>
        (Sequences, Commands, Bytes, Failure) = (sequences, commands, bytes, failure);

    /// <summary>The number of sequences that it ran, including the failing one.</summary>
    public int Sequences { get; }

    /// <summary>The number of commands in these sequences, up to the one that failed.</summary>
    public long Commands { get; }

    /// <summary>The number of bytes that arrived.</summary>
    public long Bytes { get; }

    /// <summary>The failure that ended the run; null if there was none.</summary>
    public NetStackFailure? Failure { get; }

    /// <summary>The figures, and the failure's report.</summary>
    public override string ToString() =>
        $"{Sequences} sequences, {Commands} commands, {Bytes} bytes" + (Failure is null ? "" : $"\n{Failure}");
}

/// <summary>A connection's breach of the contract.</summary>
public sealed class NetStackFailure
{
    internal NetStackFailure(SequenceFailure failure) =>
        (Seed, Fault, Commands, Report) = (failure.Seed, failure.Fault, failure.Commands, failure.Report);

    /// <summary>The seed of the failing sequence. With this seed and one sequence, <see cref="NetStackCheck"/> repeats it.</summary>
    public int Seed { get; }

    /// <summary>What was wrong, in a sentence.</summary>
    public string Fault { get; }

    /// <summary>The length of the sequence, after it was shrunk.</summary>
    public int Commands { get; }

    /// <summary>
    /// The whole report: the fault, how the model says that each operation must or may end, the commands in order with their results, and
    /// the seed that replays the sequence.
    /// </summary>
    public string Report { get; }

    /// <summary>The report.</summary>
    public override string ToString() => Report;
}
