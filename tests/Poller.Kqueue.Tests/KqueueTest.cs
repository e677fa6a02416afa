using Poller.Abstractions;

namespace Poller.Kqueue.Tests;

/// <summary>One poller over an emulated kernel of its own for each test.</summary>
[Trait("Kernel", "emulated")]
public abstract class KqueueTest : PollerTest<KqueueNetpoll>
{
    protected KqueueTest() : this(new EmulatedKernel(KqueuePlatform.MacOS)) { }

    private protected KqueueTest(EmulatedKernel kernel) : base(new KqueueNetpoll(kernel)) => Kernel = kernel;

    private protected EmulatedKernel Kernel { get; }

    /// <summary>The directions of a token are one event.</summary>
    protected override IReadOnlyList<PollEvent> PollAll(int room = 16)
    {
        OrderedDictionary<PollToken, PollReadiness> all = [];
        foreach ((PollToken token, PollReadiness readiness) in base.PollAll(room)) all[token] = all.GetValueOrDefault(token) | readiness;
        return [.. all.Select(found => new PollEvent(found.Key, found.Value))];
    }
}
