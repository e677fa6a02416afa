using Poller.Abstractions;

namespace Poller.Conformance;

/// <summary>Checks a backend against a model, which says what a poller must, may and must not report.</summary>
/// <remarks>
/// <see cref="NetpollConformance"/> calls it as one of its facts. Call it directly for longer runs, from other test frameworks or from
/// tools.
/// </remarks>
public static class NetpollCheck
{
    /// <summary>
    /// Runs random sequences of at most 200 commands over real descriptors. Each sequence has a new poller. The run ends when one fails,
    /// and shrinks that one. It blocks the caller. Safe from any thread.
    /// </summary>
    /// <param name="factory">The backend's factory.</param>
    /// <param name="seed">The first sequence's seed; each next one is greater by one. The same seed gives the same sequence.</param>
    /// <param name="sequences">How many sequences to run.</param>
    /// <param name="patience">
    /// How long to wait for something that must happen before it counts as lost; null means 5 s. Only a failing run waits so long, so be
    /// generous on a busy machine. Shrinking ends after three times as long.
    /// </param>
    /// <returns>What ran, and the failure if there was one.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The number of sequences is below 0. Or the patience is not above zero, or is more than a day.
    /// </exception>
    /// <exception cref="PlatformNotSupportedException">The backend does not work on this machine.</exception>
    /// <exception cref="InvalidOperationException">The model of the kernel is wrong here: that is a fault of the kit.</exception>
    public static NetpollRun Run(INetpollFactory factory, int seed, int sequences, TimeSpan? patience = null)
    {
        TimeSpan bound = Setting.Patience(patience);
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
        return new NetpollRun(ran, commands, polls, events, failure);
    }
}
