using System.Diagnostics;
using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
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
        return new Session(factory, one.Trigger, patience, shrinkFor).Run(seed, sequences);
    }

    private sealed class Session(INetpollFactory factory, PollTrigger trigger, TimeSpan patience, TimeSpan shrinkFor)
    {
        private readonly Arbitrary<NetpollCommand[]> _sequences = NetpollCommand.Sequences(trigger);

        // What a sequence may hang in without a time-out of its own is the backend.
        private readonly TimeSpan _stuck = patience * 12;

        // Atomic: written by the thread that runs the sequences, read by the one that watches it.
        private NetpollHarness? _harness;

        // Touched by the thread that runs the sequences; the watching one reads them when the other has ended, or is taken to be stuck.
        private int _seed, _sequence;
        private long _commands, _polls, _events;

        public NetpollRun Run(int seed, int sequences)
        {
            NetpollFailure? failure = null;

            // No signal may end a timed poll with nothing: the model takes that for an early return.
            Worker thread = Worker.StartUninterrupted(() =>
            {
                for (_sequence = 0; _sequence < sequences && failure is null; _sequence++)
                {
                    _seed = unchecked(seed + _sequence);
                    NetpollCommand[] commands = _sequences.Generator.Sample(1, new Rnd((ulong)(uint)_seed), NetpollCommand.MaxLength).Single();
                    if (TryRun(commands, patience, counts: true) is { } fault) failure = Shrink(commands, fault);
                }
            });
            while (!thread.HasFinishedWithin(TimeSpan.FromMilliseconds(100)))
            {
                if (Volatile.Read(ref _harness) is not { } harness || harness.Standstill < _stuck) continue;
                Fault stuck = new($"a call has not returned for {_stuck.TotalSeconds} s", harness.Expectation, harness.Trace);
                return Result(_sequence + 1, Report(stuck, "not shrunk", stuck.Trace.Length));
            }
            thread.Join();
            return Result(_sequence, failure);
        }

        private NetpollRun Result(int sequences, NetpollFailure? failure) => new(sequences, _commands, _polls, _events, failure);

        private Fault? TryRun(NetpollCommand[] commands, TimeSpan patience, bool counts)
        {
            using NetpollHarness harness = new(factory, patience);
            Volatile.Write(ref _harness, harness);
            try
            {
                harness.Run(commands);
                return null;
            }
            catch (NetpollViolation violation)
            {
                return new Fault(violation.Message, violation.Expectation, harness.Trace);
            }
            catch (InvalidOperationException error)
            {
                throw new InvalidOperationException(
                    $"The kit's model of the kernel is wrong here, POLLER_SEED={_seed}: {error.Message}.\n{string.Join('\n', harness.Trace)}", error);
            }
            finally
            {
                Volatile.Write(ref _harness, null);
                if (counts)
                {
                    _commands += harness.Trace.Length;
                    _polls += harness.Polls;
                    _events += harness.Events;
                }
            }
        }

        private NetpollFailure Shrink(NetpollCommand[] commands, Fault fault)
        {
            long start = Stopwatch.GetTimestamp();
            int length = commands.Length, runs = 0;

            // A second is plenty to tell that a shorter sequence fails too; should the machine be slower, the longer one is reported.
            TimeSpan brief = patience < TimeSpan.FromSeconds(1) ? patience : TimeSpan.FromSeconds(1);
            for (bool shrunk = true; shrunk;)
            {
                shrunk = false;
                foreach (NetpollCommand[] candidate in _sequences.Shrinker(commands))
                {
                    if (Stopwatch.GetElapsedTime(start) > shrinkFor) break;
                    runs++;
                    if (TryRun(candidate, brief, counts: false) is not { } same) continue;
                    (commands, fault, shrunk) = (candidate, same, true);
                    break;
                }
            }
            string how = commands.Length == length
                ? $"none of {runs} shorter sequences failed"
                : $"shrunk from {length} commands in {runs} runs";
            return Report(fault, how, commands.Length);
        }

        private NetpollFailure Report(Fault fault, string how, int commands)
        {
            string text = string.Create(CultureInfo.InvariantCulture,
                $"""
                {factory.Name} ({trigger}) broke the contract of INetpoll at command {fault.Trace.Length}: {fault.Message}.
                The model's expectation at that point:
                  {fault.Expectation.Replace("\n", "\n  ", StringComparison.Ordinal)}
                The commands in order, with what came of each ({how}):
                {string.Join('\n', fault.Trace)}
                To replay it: POLLER_SEED={_seed} POLLER_CONFORMANCE_SEQUENCES=1
                """);
            return new NetpollFailure(_seed, fault.Message, commands, text);
        }
    }

    private sealed record Fault(string Message, string Expectation, string[] Trace);
}
