using System.Diagnostics;
using Poller.Abstractions;
using Poller.Epoll;
using Poller.Net;
using Xunit.Abstractions;

namespace Poller.Conformance.Tests;

/// <summary>That the net kit can fail: each fault under or beside a right net layer makes it, and the report names what is wrong.</summary>
public sealed class NetStackFaultTests(ITestOutputHelper output)
{
    // More than enough for each.
    private const int Sequences = 1000;

    // What an operation that waits in vain is called. A read waits in vain, for example, if a fault makes it short of its buffer: a short
    // read says that the socket is drained.
    private const string Hangs = "has not come back for|waits to read, and";

    // What a fault that loses, adds or hides bytes is called. A wrong byte is found by its number, or because an operation waits in vain,
    // ends where the stream goes on, or is done where it has to wait.
    private const string Bytes = "was expected, byte |nothing more was sent|wrote more into its buffer than that| bytes were to come"
        + "| came to End; | came to Done; it was expected to wait|" + Hangs;

    private static readonly Dictionary<string, Func<FaultySockets>> Sockets = new()
    {
        [nameof(LosesAByte)] = () => new LosesAByte(),
        [nameof(RepeatsAByte)] = () => new RepeatsAByte(),
        [nameof(SwapsTwoBytes)] = () => new SwapsTwoBytes(),
        [nameof(WritesPastTheCount)] = () => new WritesPastTheCount(),
        [nameof(EndsTooEarly)] = () => new EndsTooEarly(),
        [nameof(PeeksTheEnd)] = () => new PeeksTheEnd(),
        [nameof(TakesWhatItPeeks)] = () => new TakesWhatItPeeks(),
        [nameof(ClaimsAShortWrite)] = () => new ClaimsAShortWrite(),
        [nameof(SendsAByteAgain)] = () => new SendsAByteAgain(),
        [nameof(IgnoresShutdown)] = () => new IgnoresShutdown(),
        [nameof(ShutsTheWrongSide)] = () => new ShutsTheWrongSide(),
        [nameof(WritesAfterTheEnd)] = () => new WritesAfterTheEnd(),
        [nameof(ClosesLate)] = () => new ClosesLate(),
    };

    private static readonly Dictionary<string, Func<INetpoll, FaultyFactory, FaultyPoller>> Pollers = new()
    {
        [nameof(DropsOneInAThousand)] = (inner, factory) => new DropsOneInAThousand(inner, factory),
        [nameof(ReportsRoomOnce)] = (inner, _) => new ReportsRoomOnce(inner),
        [nameof(HidesTheHangup)] = (inner, _) => new HidesTheHangup(inner),
        [nameof(IgnoresBreak)] = (inner, _) => new IgnoresBreak(inner),
        [nameof(NeverReturns)] = (inner, _) => new NeverReturns(inner),
    };

    // A fault shows in the first operation that meets it, so most have many names, and which one a run meets is up to its seed.
    [Theory]
    [InlineData(nameof(LosesAByte), Bytes)]
    [InlineData(nameof(RepeatsAByte), Bytes)]
    [InlineData(nameof(SwapsTwoBytes), "was expected, byte ")]
    [InlineData(nameof(WritesPastTheCount), Bytes)]
    [InlineData(nameof(EndsTooEarly), Bytes)]
    [InlineData(nameof(PeeksTheEnd), Bytes)]
    [InlineData(nameof(TakesWhatItPeeks), Bytes)]
    [InlineData(nameof(ClaimsAShortWrite), Bytes)]
    [InlineData(nameof(SendsAByteAgain), Bytes)]
    [InlineData(nameof(IgnoresShutdown), Hangs + "|Shutdown was expected")]
    [InlineData(nameof(ShutsTheWrongSide), Hangs + "|Shutdown was expected| came to End; | came to Shutdown; ")]
    [InlineData(nameof(WritesAfterTheEnd), "Shutdown was expected| came to Done; Shutdown | bytes were to come|" + Hangs + "| came to End; ")]
    [InlineData(nameof(ClosesLate), Hangs)]
    public void A_fault_of_the_sockets_is_caught_and_named(string fault, string names) =>
        AssertCaught(fault, new EpollNetpollFactory(), poller => new NetStack(poller, Sockets[fault]()), names);

    [Theory]
    [InlineData(nameof(DropsOneInAThousand), PollTrigger.Edge, Hangs + "|was not made")]
    [InlineData(nameof(DropsOneInAThousand), PollTrigger.Level, Hangs + "|was not made")]
    [InlineData(nameof(ReportsRoomOnce), PollTrigger.Edge, Hangs + "|was not made")]
    [InlineData(nameof(HidesTheHangup), PollTrigger.Edge, Hangs)]
    [InlineData(nameof(IgnoresBreak), PollTrigger.Edge, Hangs + "|was not made")]
    [InlineData(nameof(NeverReturns), PollTrigger.Edge, Hangs + "|was not made")]
    public void A_fault_of_the_backend_is_caught_and_named(string fault, PollTrigger trigger, string names)
    {
        EpollNetpollFactory right = new(new() { Trigger = trigger });
        AssertCaught(fault, new FaultyFactory(right, Pollers[fault]), poller => new NetStack(poller), names);
    }

    [Fact]
    public void A_deadline_that_comes_early_is_caught_and_named()
    {
        EpollNetpollFactory right = new();
        AssertCaught("a clock that is fast", right, poller => new NetStack(poller), " met its deadline 2 ms ahead after ", new FastClock());
    }

    [Fact]
    public void A_fault_that_always_shows_shrinks_to_a_few_commands_and_comes_again_with_its_seed()
    {
        using Netpoller poller = new(new EpollNetpollFactory());
        NetStack wrong = new(poller, new TakesWhatItPeeks());
        int seed = Seed.Next();

        TimeSpan patience = TimeSpan.FromSeconds(1);
        SequenceFailure? failure = NetStackCheck.Run(wrong, seed, Sequences, patience, shrinkFor: TimeSpan.FromMinutes(5)).Failure;

        output.WriteLine($"POLLER_SEED={seed}\n{failure}");
        Assert.NotNull(failure);

        // A write and a wait to read, or a read of nothing.
        Assert.InRange(failure.Commands, 2, 6);
        NetStackRun again = NetStackCheck.Run(wrong, failure.Seed, 1, patience, shrinkFor: TimeSpan.Zero);
        Assert.NotNull(again.Failure);
        Assert.Equal(1, again.Sequences);
        Assert.Equal(failure.Seed, again.Failure.Seed);
    }

    [Fact]
    public void A_stack_without_a_fault_passes_and_the_run_counts_what_it_did()
    {
        using Netpoller poller = new(new EpollNetpollFactory());

        NetStackRun run = NetStackCheck.Run(new NetStack(poller), 1, 10);

        Assert.Null(run.Failure);
        Assert.Equal(10, run.Sequences);
        Assert.InRange(run.Commands, 10, 10 * (ConnCommand.MaxLength + 8));
        Assert.InRange(run.Bytes, 1, long.MaxValue);
    }

    /// <summary>A model of bytes would call the borders of messages a fault.</summary>
    [Theory]
    [InlineData("unixpacket")]
    [InlineData("udp")]
    public void A_network_of_messages_is_refused(string network)
    {
        using Netpoller poller = new(new EpollNetpollFactory());

        Assert.Throws<ArgumentException>(nameof(network), () => NetStackCheck.Run(new NetStack(poller), 1, 1, network: network));
    }

    private void AssertCaught(
        string fault, INetpollFactory backend, Func<Netpoller, NetStack> stackOf, string names, TimeProvider? clock = null)
    {
        int seed = Seed.Next();
        using Netpoller poller = new(backend, new NetpollerOptions { TimeProvider = clock ?? TimeProvider.System });
        long start = Stopwatch.GetTimestamp();

        // A fault that shows by a wait in vain costs the wait, in each run that shrinks it too. The others are not to be taken for one.
        bool waits = names.Contains(Hangs, StringComparison.Ordinal);
        TimeSpan patience = waits ? TimeSpan.FromSeconds(1) : TimeSpan.FromSeconds(5);
        NetStackRun run = NetStackCheck.Run(stackOf(poller), seed, Sequences, patience, shrinkFor: TimeSpan.FromSeconds(1));

        output.WriteLine($"{fault} over {backend.Name}, {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s, POLLER_SEED={seed}: {run}");
        Assert.NotNull(run.Failure);
        Assert.True(
            names.Split('|').Any(name => run.Failure.Fault.Contains(name, StringComparison.Ordinal)),
            $"The fault was called \"{run.Failure.Fault}\", which has none of \"{names}\" in it. POLLER_SEED={seed}");
        string report = run.Failure.Report;
        Assert.StartsWith("The net stack broke the contract of Conn at command ", report, StringComparison.Ordinal);
        Assert.Contains(run.Failure.Fault, report, StringComparison.Ordinal);
        Assert.Contains("\n  client: deadlines ", report, StringComparison.Ordinal);
        Assert.Contains($"POLLER_SEED={run.Failure.Seed} POLLER_CONFORMANCE_SEQUENCES=1", report, StringComparison.Ordinal);
    }

    /// <summary>Measures twice the time that passes.</summary>
    private sealed class FastClock : TimeProvider
    {
        public override long GetTimestamp() => 2 * base.GetTimestamp();
    }
}
