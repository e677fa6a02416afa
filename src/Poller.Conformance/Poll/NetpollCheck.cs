using Poller.Abstractions;

namespace Poller.Conformance;

/// <summary>Holds a backend against the model of what a poller must, may and must not report.</summary>
/// <remarks>
/// <see cref="NetpollConformance"/> calls it as one of its facts. It stands by itself for longer runs, other test frameworks and tools.
/// </remarks>
public static class NetpollCheck
{
    /// <summary>
    /// Runs random sequences of commands, up to 200 each, over real descriptors and a new poller for each sequence, until one fails. That
    /// one is shrunk. Blocks the caller; safe from any thread.
    /// </summary>
    /// <param name="factory">The backend.</param>
    /// <param name="seed">The first sequence's seed; the next one's is greater by one. The same seed is the same sequence.</param>
    /// <param name="sequences">How many to run.</param>
    /// <param name="patience">
    /// How long is waited for what has to happen, before it counts as lost; 5 s when null. Only a failing run waits so long, so that it
    /// should be generous where the machine is busy. Shrinking ends after three times as long.
    /// </param>
    /// <returns>What ran, and the failure, if there was one.</returns>
    public static NetpollRun Run(INetpollFactory factory, int seed, int sequences, TimeSpan? patience = null)
    {
        TimeSpan bound = patience ?? TimeSpan.FromSeconds(5);
        return Run(factory, seed, sequences, bound, shrinkFor: bound * 3);
    }

    internal static NetpollRun Run(INetpollFactory factory, int seed, int sequences, TimeSpan patience, TimeSpan shrinkFor)
    {
        ArgumentNullException.ThrowIfNull(factory);
        ArgumentOutOfRangeException.ThrowIfNegative(sequences);
        using INetpoll one = factory.Create();
        long commands = 0, polls = 0, events = 0;
        SequenceCheck<NetpollCommand, NetpollHarness> check = new(
            $"{factory.Name} ({one.Trigger}) broke the contract of INetpoll",
            NetpollCommand.Sequences(one.Trigger),
            NetpollCommand.MaxLength,
            patience,
            shrinkFor,
            brief => new NetpollHarness(factory, brief),
            harness => (commands, polls, events) = (commands + harness.Trace.Length, polls + harness.Polls, events + harness.Events));
        (int ran, SequenceFailure? failure) = check.Run(seed, sequences);
        return new NetpollRun(ran, commands, polls, events, failure is null ? null : new NetpollFailure(failure));
    }
}
