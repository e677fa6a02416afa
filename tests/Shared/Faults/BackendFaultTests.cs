using Poller.Abstractions;
using Poller.Conformance;
using Xunit.Abstractions;

namespace Poller.Tests.Shared;

/// <summary>That the kit would find it, had this very backend one of these faults. Each backend's test project inherits it.</summary>
public abstract class BackendFaultTests(INetpollFactory backend, ITestOutputHelper output)
{
    // More than enough for each: a hundred or so catch one event in a thousand.
    private const int Sequences = 2000;

    [Fact]
    public void The_kit_catches_one_event_in_a_thousand_that_is_dropped() =>
        AssertCaught(
            (inner, factory) => new DropsOneInAThousand(inner, factory),
            "must be reported, ",
            "a poll returned nothing before its time-out");

    [Fact]
    public void The_kit_catches_a_stale_token() => AssertCaught((inner, _) => new DeliversAStaleToken(inner), "closed it at command ");

    [Fact]
    public void The_kit_catches_a_Break_that_is_ignored() =>
        AssertCaught((inner, _) => new IgnoresBreak(inner), "for a Break that was called");

    /// <summary>Runs the kit over the backend with a fault until it finds one of the messages; prints what that took.</summary>
    internal void AssertCaught(Func<INetpoll, FaultyFactory, FaultyPoller> fault, params string[] messages)
    {
        int seed = Seed.Next();
        NetpollRun run = NetpollCheck.Run(new FaultyFactory(backend, fault), seed, Sequences, TimeSpan.FromSeconds(1));
        output.WriteLine($"{backend.Name}, POLLER_SEED={seed}: {run}");
        Assert.NotNull(run.Failure);
        Assert.Contains(messages, message => run.Failure.Fault.Contains(message, StringComparison.Ordinal));
    }
}

/// <summary>The same for a level-triggered backend, which is armed.</summary>
public abstract class LevelBackendFaultTests(INetpollFactory backend, ITestOutputHelper output) : BackendFaultTests(backend, output)
{
    [Fact]
    public void The_kit_catches_both_directions_armed_for_one() =>
        AssertCaught((inner, _) => new ArmsBoth(inner), "must not be reported: it is not armed");
}
