namespace Poller.Conformance;

/// <summary>The result of a run of <see cref="NetpollCheck"/>.</summary>
public sealed class NetpollRun
{
    internal NetpollRun(int sequences, long commands, long polls, long events, SequenceFailure? failure) =>
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
    public SequenceFailure? Failure { get; }

    /// <summary>The figures, and the failure's report.</summary>
    public override string ToString() =>
        $"{Sequences} sequences, {Commands} commands, {Polls} polls, {Events} events" + (Failure is null ? "" : $"\n{Failure}");
}
