using Poller.Net;

namespace Poller.Conformance;

/// <summary>Holds the connections of a net stack against the model of two byte queues with half closes and deadlines.</summary>
/// <remarks>
/// <see cref="NetStackConformance"/> calls it as one of its facts. It stands by itself for longer runs, other test frameworks and tools.
/// </remarks>
public static class NetStackCheck
{
    /// <summary>
    /// Runs random sequences of operations, up to 80 each, async and blocking, over a new connection for each sequence, until one fails.
    /// That one is shrunk. Blocks the caller; safe from any thread but those that run the stack's continuations.
    /// </summary>
    /// <param name="stack">The net stack. It is not disposed, and neither is its poller.</param>
    /// <param name="seed">The first sequence's seed; the next one's is greater by one. The same seed is the same sequence.</param>
    /// <param name="sequences">How many to run.</param>
    /// <param name="patience">
    /// How long is waited for what has to happen, before it counts as lost; 5 s when null. Only a failing run waits so long, so that it
    /// should be generous where the machine is busy. Shrinking ends after three times as long.
    /// </param>
    /// <returns>What ran, and the failure, if there was one.</returns>
    public static NetStackRun Run(NetStack stack, int seed, int sequences, TimeSpan? patience = null)
    {
        TimeSpan bound = patience ?? TimeSpan.FromSeconds(5);
        return Run(stack, seed, sequences, bound, shrinkFor: bound * 3);
    }

    internal static NetStackRun Run(NetStack stack, int seed, int sequences, TimeSpan patience, TimeSpan shrinkFor)
    {
        ArgumentNullException.ThrowIfNull(stack);
        ArgumentOutOfRangeException.ThrowIfNegative(sequences);
        long commands = 0, bytes = 0;
        SequenceCheck<ConnCommand, ConnHarness> check = new(
            "The net stack broke the contract of Conn",
            ConnCommand.Sequences,
            ConnCommand.MaxLength,
            patience,
            shrinkFor,
            brief => new ConnHarness(stack, brief),
            harness => (commands, bytes) = (commands + harness.Trace.Length, bytes + harness.Bytes));
        (int ran, SequenceFailure? failure) = check.Run(seed, sequences);
        return new NetStackRun(ran, commands, bytes, failure is null ? null : new NetStackFailure(failure));
    }
}
