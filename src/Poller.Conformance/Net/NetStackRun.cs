namespace Poller.Conformance;

/// <summary>The result of a run of <see cref="NetStackCheck"/>.</summary>
public sealed class NetStackRun
{
    internal NetStackRun(int sequences, long commands, long bytes, SequenceFailure? failure) =>
        (Sequences, Commands, Bytes, Failure) = (sequences, commands, bytes, failure);

    /// <summary>The number of sequences that it ran, including the failing one.</summary>
    public int Sequences { get; }

    /// <summary>The number of commands in these sequences, up to the one that failed.</summary>
    public long Commands { get; }

    /// <summary>The number of bytes that arrived.</summary>
    public long Bytes { get; }

    /// <summary>The failure that ended the run; null if there was none.</summary>
    public SequenceFailure? Failure { get; }

    /// <summary>The figures, and the failure's report.</summary>
    public override string ToString() =>
        $"{Sequences} sequences, {Commands} commands, {Bytes} bytes" + (Failure is null ? "" : $"\n{Failure}");
}
