using Poller.Conformance;

namespace Poller.Kqueue.Tests;

/// <summary>What holds of every poller, held of this one over an emulated kernel.</summary>
[Trait("Kernel", "emulated")]
public sealed class KqueueConformanceTests() : NetpollConformance(new EmulatedKqueueFactory());

/// <summary>The same where the kernel has no EVFILT_USER, and a pipe wakes it.</summary>
[Trait("Kernel", "emulated")]
public sealed class KqueuePipeConformanceTests() : NetpollConformance(new EmulatedKqueueFactory { HasUserFilter = false });
