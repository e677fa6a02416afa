using Poller.Net;

namespace Poller.Conformance;

/// <summary>Checks the connections of a net stack against a model: two byte queues with half closes and deadlines.</summary>
/// <remarks>
/// <see cref="NetStackConformance"/> calls it as one of its facts. Call it directly for longer runs, from other test frameworks or from
/// tools.
/// </remarks>
public static class NetStackCheck
{
    /// <summary>
    /// Runs random sequences of at most 80 operations, async and blocking. Each sequence has a new connection. The run ends when one fails,
    /// and shrinks that one. It blocks the caller. It is safe from any thread, except those that run the stack's continuations.
    /// </summary>
    /// <param name="stack">The net stack. The check does not dispose its poller.</param>
    /// <param name="seed">The first sequence's seed; each next one is greater by one. The same seed gives the same sequence.</param>
    /// <param name="sequences">How many sequences to run.</param>
    /// <param name="patience">
    /// How long to wait for something that must happen before it counts as lost; null means 5 s. Only a failing run waits so long, so be
    /// generous on a busy machine. Shrinking ends after three times as long.
    /// </param>
    /// <param name="network">The network of the connections: <c>tcp</c> or <c>unix</c>.</param>
    /// <returns>What ran, and the failure if there was one.</returns>
    /// <exception cref="ArgumentException">The network is neither.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The number of sequences is below 0. Or the patience is not above zero, or is more than a day.
    /// </exception>
    /// <exception cref="InvalidOperationException">The model is wrong here: that is a fault of the kit.</exception>
    public static NetStackRun Run(NetStack stack, int seed, int sequences, TimeSpan? patience = null, string network = "tcp")
    {
        TimeSpan bound = Setting.Patience(patience);
        return Run(stack, seed, sequences, bound, shrinkFor: bound * 3, network);
    }

    internal static NetStackRun Run(NetStack stack, int seed, int sequences, TimeSpan patience, TimeSpan shrinkFor, string network = "tcp")
    {
        ArgumentNullException.ThrowIfNull(stack);
        ArgumentOutOfRangeException.ThrowIfNegative(sequences);
        if (network is not ("tcp" or "unix"))
        {
            throw new ArgumentException($"network \"{network}\": tcp or unix was expected.", nameof(network));
        }
        long commands = 0, bytes = 0;
        SequenceCheck<ConnCommand, ConnHarness> check = new(
            "The net stack broke the contract of Conn",
            ConnCommand.Sequences,
            ConnCommand.MaxLength,
            patience,
            shrinkFor,
            brief => new ConnHarness(stack, network, brief),
            harness => (commands, bytes) = (commands + harness.Trace.Length, bytes + harness.Bytes));
        (int ran, SequenceFailure? failure) = check.Run(seed, sequences);
        return new NetStackRun(ran, commands, bytes, failure);
    }
}
