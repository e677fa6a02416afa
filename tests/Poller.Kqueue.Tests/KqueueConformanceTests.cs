using Poller.Conformance;

namespace Poller.Kqueue.Tests;

/// <summary>What holds of every poller, held of this one over an emulated kernel.</summary>
[Trait("Kernel", "emulated")]
public sealed class KqueueConformanceTests() : NetpollConformance(new EmulatedKqueueFactory());
