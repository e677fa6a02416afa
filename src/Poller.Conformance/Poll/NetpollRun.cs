namespace Poller.Conformance;

/// <summary>The result of a run of <see cref="NetpollCheck"/>.</summary>
public sealed class NetpollRun
{
    internal NetpollRun(int sequences, long commands, long polls, long events, NetpollFailure? failure) =>
        (Sequences, Commands, Polls, Events, Failure) = (sequences, commands, polls, events, failure);

    /// <summary>The number of sequences that it ran, including the failing one.</summary>
    public int Sequences { get; }

    /// <summary>The number of commands in these sequences, up to the one that failed.</summary>
    public long Commands { get; }

    /// <summary>The number of polls among the commands.</summary>
    public long Polls { get; }

    /// <summary>The number of events that the polls reported.</summary>
    public long Events { get; }

    /// <summary>The failure that ended the run; null if there was none.</summary>
    public NetpollFailure? Failure { get; }

    /// <summary>The figures, and the failure's report.</summary>
    public override string ToString() =>
        $"{Sequences} sequences, {Commands} commands, {Polls} polls, {Events} events" + (Failure is null ? "" : $"\n{Failure}");
}

/// <summary>A backend's breach of the contract.</summary>
public sealed class NetpollFailure
{
    internal NetpollFailure(SequenceFailure failure) =>
        (Seed, Fault, Commands, Report) = (failure.Seed, failure.Fault, failure.Commands, failure.Report);

    /// <summary>The seed of the failing sequence. With this seed and one sequence, <see cref="NetpollCheck"/> repeats it.</summary>
    public int Seed { get; }

    /// <summary>What was wrong, in a sentence.</summary>
    public string Fault { get; }

    /// <summary>The length of the sequence, after it was shrunk.</summary>
    public int Commands { get; }

    /// <summary>
    /// The whole report: the fault, what the model says must, may and must not be reported, the commands in order with the decoded events,
    /// and the seed that replays the sequence.
    /// </summary>
    public string Report { get; }

    /// <summary>The report.</summary>
    public override string ToString() => Report;
}
