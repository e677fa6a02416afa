using System.Diagnostics;
using Poller.Abstractions;

namespace Poller.Conformance;

// What holds of every backend, on its edges or by level, one file to a theme. The facts are Go's runtime tests of its netpoll and the
// epoll backend's own; the property is NetpollCheck.

/// <summary>
/// The facts every <see cref="INetpoll"/> is held to, and the model: inherit it in a test project, supply the backend's factory, and run
/// the tests.
/// </summary>
/// <remarks>
/// <para>
/// A backend of your own is tested so, in a project that refers to Poller.Conformance, xunit, xunit.runner.visualstudio and
/// Microsoft.NET.Test.Sdk:
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
/// The environment: <c>POLLER_CONFORMANCE_SEQUENCES</c> is how many sequences of commands are held against the model, instead of
/// <see cref="Sequences"/>; <c>POLLER_SEED</c> is the first one's seed, to replay a failure whose report names it.
/// </para>
/// <para>
/// It works on Unix. Every test has a poller of its own, initialised; on a <see cref="PollTrigger.Level"/> backend the tests arm what they
/// wait for. Reports that the contract calls spurious are allowed for.
/// </para>
/// </remarks>
public abstract partial class NetpollConformance : IDisposable
{
    private const long Blocking = -1;
    private const long Millisecond = 1_000_000;
    private const long Second = 1000 * Millisecond;

    private readonly List<IDisposable> _owned = [];

    /// <summary>Makes the poller of one test.</summary>
    /// <param name="factory">The backend.</param>
    /// <exception cref="PlatformNotSupportedException">The backend does not work on this machine.</exception>
    protected NetpollConformance(INetpollFactory factory)
    {
        ArgumentNullException.ThrowIfNull(factory);
        Factory = factory;
        Poller = factory.Create();
        Poller.Init();
    }

    /// <summary>The backend's factory, as it was given.</summary>
    protected INetpollFactory Factory { get; }

    /// <summary>How many sequences the model is tried with where the environment does not say: some seconds' worth.</summary>
    protected virtual int Sequences => 200;

    private INetpoll Poller { get; }

    private bool IsLevel => Poller.Trigger == PollTrigger.Level;

    /// <summary>
    /// After any sequence of commands a poll reports what it must and nothing it must not. See <see cref="NetpollCheck"/>.
    /// </summary>
    [Fact]
    public void Any_sequence_of_commands_follows_the_model()
    {
        int seed = Setting.FromEnvironment("POLLER_SEED") ?? Random.Shared.Next();
        int sequences = Setting.FromEnvironment("POLLER_CONFORMANCE_SEQUENCES") ?? Sequences;

        NetpollRun run = NetpollCheck.Run(Factory, seed, sequences);

        Assert.True(run.Failure is null, run.Failure?.Report);
        Assert.Equal(sequences, run.Sequences);
    }

    /// <summary>Disposes the test's poller and descriptors.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes the test's poller and descriptors; a class with more to dispose adds it here.</summary>
    /// <param name="disposing">True: there is no finalizer.</param>
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
    /// Registers a descriptor and polls the readiness it starts with away, which a level-triggered poller does not report.
    /// </summary>
    private void OpenQuietly(nint fd, ulong token)
    {
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(token)));
        List<PollEvent> first = PollAll();
        if (IsLevel) Assert.Empty(first);
    }

    /// <summary>Registers a descriptor and asks for what it is ready for.</summary>
    private void Open(nint fd, ulong token, PollMode mode = PollMode.ReadWrite)
    {
        Assert.Equal(Errno.None, Poller.Open(fd, new PollToken(token)));
        Arm(fd, mode);
    }

    /// <summary>Where the poller is level-triggered, asks for a direction; on edges that is there already.</summary>
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

    /// <summary>Polls without blocking until there is nothing more.</summary>
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

    /// <summary>What is reported of one token right now, where nothing else is; a direction may come in an event of its own.</summary>
    private PollReadiness ReadinessOf(ulong token)
    {
        List<PollEvent> events = PollAll();
        Assert.All(events, e => Assert.Equal(new PollToken(token), e.Token));
        return events.Aggregate(PollReadiness.None, (all, e) => all | e.Readiness);
    }

    /// <summary>Waits until all of it was reported, and returns that and what came with it.</summary>
    private PollReadiness Await(nint fd, ulong token, PollReadiness wanted)
    {
        // A level-triggered poller may keep the hang-up to itself: who arms again is told again.
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

    /// <summary>Blocks on another thread; the result is there after Join.</summary>
    private (Worker Thread, List<PollEvent> Events) StartPoll(long delay, int room = 16)
    {
        List<PollEvent> events = [];
        Worker thread = Worker.Start(Describe(delay, room), () => events.AddRange(Poll(delay, room)));
        thread.AwaitSleep();
        return (thread, events);
    }

    /// <summary>A poll that is to end with nothing, on a thread that does not hang the test where it does not end.</summary>
    private void AssertThatABreakEnds(long delay, int room = 16) =>
        Worker.Start($"{Describe(delay, room)}, which a Break ends,", () => Assert.Empty(Poll(delay, room))).Join();

    private void AssertThatNoBreakIsLeft() => Worker.RunUninterrupted("poll for 20 ms", () => AssertLasts(TimeSpan.FromMilliseconds(20)));

    /// <summary>A poll that finds nothing is to last as long as it may.</summary>
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
