namespace Poller.Conformance;

/// <summary>What a run of <see cref="NetpollCheck"/> did.</summary>
public sealed class NetpollRun
{
    internal NetpollRun(int sequences, long commands, long polls, long events, NetpollFailure? failure) =>
        (Sequences, Commands, Polls, Events, Failure) = (sequences, commands, polls, events, failure);

    /// <summary>The sequences it ran, the failing one with them.</summary>
    public int Sequences { get; }

    /// <summary>The commands of all of these, up to the one that failed.</summary>
    public long Commands { get; }

    /// <summary>The polls among them.</summary>
    public long Polls { get; }

    /// <summary>The events that the polls reported.</summary>
    public long Events { get; }

    /// <summary>The failure that ended the run, or null.</summary>
    public NetpollFailure? Failure { get; }

    /// <summary>The figures, and the failure's report.</summary>
    public override string ToString() =>
        $"{Sequences} sequences, {Commands} commands, {Polls} polls, {Events} events" + (Failure is null ? "" : $"\n{Failure}");
}

/// <summary>How a backend broke the contract.</summary>
public sealed class NetpollFailure
{
    internal NetpollFailure(SequenceFailure failure) =>
        (Seed, Fault, Commands, Report) = (failure.Seed, failure.Fault, failure.Commands, failure.Report);

    /// <summary>The seed of the sequence that failed: with it and one sequence, <see cref="NetpollCheck"/> repeats it.</summary>
    public int Seed { get; }

    /// <summary>What was wrong, in a sentence.</summary>
    public string Fault { get; }

    /// <summary>The length of the sequence, after it was shrunk.</summary>
    public int Commands { get; }

    /// <summary>
    /// All of it: the fault, what the model said must, may and must not be reported, the commands in order with the events that came,
    /// decoded, and the seed that replays it.
    /// </summary>
    public string Report { get; }

    /// <summary>The report.</summary>
    public override string ToString() => Report;
}
