using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Conformance;

// What holds for every backend, edge-triggered or level-triggered. Each theme has one file. The facts come from Go's runtime tests of its
// netpoll and from the tests of our epoll backend. The property is NetpollCheck.

/// <summary>
/// The facts that hold for every <see cref="INetpoll"/>, and the model. Inherit it in a test project, pass the backend's factory, and run
/// the tests.
/// </summary>
/// <remarks>
/// <para>
/// To test your own backend, create a project that references Poller.Conformance, xunit, xunit.runner.visualstudio and
/// Microsoft.NET.Test.Sdk, and write:
/// </para>
/// <code>
/// using System.Diagnostics.CodeAnalysis;
/// using Poller.Abstractions;
/// using Poller.Conformance;
///
/// public sealed class MyConformanceTests() : NetpollConformance(new MyFactory());
///
/// public sealed class MyFactory : INetpollFactory
/// {
///     public string Name => "mine";
///     public INetpoll Create() => new MyNetpoll();
///     public bool IsSupported([NotNullWhen(false)] out string? reason) =>
///         (reason = OperatingSystem.IsWindows() ? "it needs poll(2)" : null) is null;
/// }
/// </code>
/// <para>
/// Two environment variables change the run. <c>POLLER_CONFORMANCE_SEQUENCES</c> is the number of command sequences that are checked
/// against the model; the default is <see cref="Sequences"/>. <c>POLLER_SEED</c> is the seed of the first one: it replays a failure, whose
/// report names its seed.
/// </para>
/// <para>
/// The kit works on Unix. Every test has its own initialised poller. On a <see cref="PollTrigger.Level"/> backend the tests arm the
/// directions that they wait for. The tests allow events that the contract calls spurious.
/// </para>
/// </remarks>
public abstract partial class NetpollConformance : IDisposable
{
    private const long Blocking = -1;
    private const long Millisecond = 1_000_000;
    private const long Second = 1000 * Millisecond;

    private readonly List<IDisposable> _owned = [];

    /// <summary>Creates and initialises the poller of one test.</summary>
    /// <param name="factory">The backend's factory.</param>
    /// <exception cref="PlatformNotSupportedException">The backend does not work on this machine.</exception>
    /// <exception cref="NetpollException">The system refused its <see cref="INetpoll.Init"/>.</exception>
    protected NetpollConformance(INetpollFactory factory)
    {
        ArgumentNullException.ThrowIfNull(factory);
        Factory = factory;
        Poller = factory.Create();
        Poller.Init();
    }

    /// <summary>The factory that was passed to the constructor.</summary>
    protected INetpollFactory Factory { get; }

    /// <summary>How many sequences to check if the environment does not say. The default takes some seconds.</summary>
    protected virtual int Sequences => 200;

    private INetpoll Poller { get; }

    private bool IsLevel => Poller.Trigger == PollTrigger.Level;

    /// <summary>
    /// After any sequence of commands, a poll reports all that it must and nothing that it must not. See <see cref="NetpollCheck"/>.
    /// </summary>
    [Fact]
    public void Any_sequence_of_commands_follows_the_model()
    {
        int seed = Setting.FromEnvironment("POLLER_SEED") ?? Random.Shared.Next();
        int sequences = Setting.FromEnvironment("POLLER_CONFORMANCE_SEQUENCES") ?? Sequences;

        NetpollRun run = NetpollCheck.Run(Factory, seed, sequences, Worker.Bound);

        Assert.True(run.Failure is null, run.Failure?.Report);
        Assert.Equal(sequences, run.Sequences);
    }

    /// <summary>Disposes the test's poller and descriptors.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes the test's poller and descriptors. Override it to dispose more.</summary>
    /// <param name="disposing">Always true, because there is no finalizer.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing) return;
        Poller.Dispose();
        foreach (IDisposable resource in _owned) resource.Dispose();
    }

    private T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    private (Fd, Fd) Own((Fd, Fd) pair) => (Own(pair.Item1), Own(pair.Item2));

    private (Fd Near, Fd Far) OwnSocketPair() => Own(Fd.SocketPair());

    /// <summary>
    /// Registers a descriptor, and polls until its initial readiness is reported. A level-triggered poller reports none.
    /// </summary>
    private void OpenQuietly(nint fd, ulong token)
    {
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(token)));
        List<PollEvent> first = PollAll();
        if (IsLevel) Assert.Empty(first);
    }

    /// <summary>Registers a descriptor and arms both directions.</summary>
    private void Open(nint fd, ulong token, PollMode mode = PollMode.ReadWrite)
    {
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(token)));
        Arm(fd, mode);
    }

    /// <summary>Arms a direction if the poller is level-triggered. An edge-triggered poller needs no arming.</summary>
    private void Arm(nint fd, PollMode mode)
    {
        if (IsLevel) Assert.Equal(Errno.None, Poller.Arm(fd, mode));
    }

    private void AssertThatThereIsNothingToArm(nint fd)
    {
        NotSupportedException error = Assert.Throws<NotSupportedException>(() => { Poller.Arm(fd, PollMode.Read); });
        Assert.NotEmpty(error.Message);
    }

    private PollEvent[] Poll(long delay = 0, int room = 16)
    {
        PollEvent[] events = new PollEvent[room];
        return events[..Poller.Poll(events, delay)];
    }

    /// <summary>Polls without blocking until no events are left.</summary>
    private List<PollEvent> PollAll(int room = 16)
    {
        const int Many = 100_000;
        List<PollEvent> all = [];
        while (Poll(0, room) is { Length: > 0 } some)
        {
            all.AddRange(some);
            Assert.True(all.Count < Many, $"{Many} events were reported while nothing happened: a loop would spin");
        }
        return all;
    }

    /// <summary>
    /// The readiness that is reported right now, all of it under one token. Each direction may come in an event of its own.
    /// </summary>
    private PollReadiness ReadinessOf(ulong token)
    {
        List<PollEvent> events = PollAll();
        Assert.All(events, e => Assert.Equal(new PollToken(token), e.Token));
        return events.Aggregate(PollReadiness.None, (all, e) => all | e.Readiness);
    }

    /// <summary>Waits until all of it is reported. Returns it and all that came with it.</summary>
    private PollReadiness Await(nint fd, ulong token, PollReadiness wanted)
    {
        // A level-triggered poller may leave the hang-up out: a reader that arms again gets another report.
        if (IsLevel) wanted &= ~PollReadiness.ReadHangup;
        PollMode mode = (wanted.HasFlag(PollReadiness.Readable) ? PollMode.Read : 0)
            | (wanted.HasFlag(PollReadiness.Writable) ? PollMode.Write : 0);
        Arm(fd, mode);

        PollReadiness seen = PollReadiness.None;
        long start = Stopwatch.GetTimestamp();
        while ((seen & wanted) != wanted)
        {
            foreach (PollEvent e in Poll(Second))
            {
                Assert.Equal(new PollToken(token), e.Token);
                seen |= e.Readiness;
            }
            Assert.True(Stopwatch.GetElapsedTime(start) < Worker.Bound, $"{wanted} was expected; {seen} was reported");
        }
        return seen;
    }

    /// <summary>Polls on another thread, and blocks there. The result is complete after Join.</summary>
    private (Worker Thread, List<PollEvent> Events) StartPoll(long delay, int room = 16)
    {
        List<PollEvent> events = [];
        Worker thread = Worker.Start(Describe(delay, room), () => events.AddRange(Poll(delay, room)));
        thread.AwaitSleep();
        return (thread, events);
    }

    /// <summary>
    /// Checks that a Break ends a poll, and that the poll reports nothing. It polls on another thread, so a poll that never ends cannot
    /// hang the test.
    /// </summary>
    private void AssertThatABreakEnds(long delay, int room = 16) =>
        Worker.Start($"{Describe(delay, room)}, which a Break ends,", () => Assert.Empty(Poll(delay, room))).Join();

    private void AssertThatNoBreakIsLeft() => Worker.RunUninterrupted("poll for 20 ms", () => AssertLasts(TimeSpan.FromMilliseconds(20)));

    /// <summary>Checks that a poll which finds nothing lasts until its time-out.</summary>
    private void AssertLasts(TimeSpan delay) =>
        Assert.InRange(Time(() => Assert.Empty(Poll((long)delay.TotalNanoseconds))), delay, Worker.Bound);

    private static string Describe(long delay, int room) =>
        $"poll {(delay < 0 ? "without a time-out" : $"for {delay} ns")} with room for {room}";

    private static TimeSpan Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start);
    }
}
