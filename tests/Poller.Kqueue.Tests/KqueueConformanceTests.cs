using Poller.Abstractions;
using Poller.Conformance;

namespace Poller.Kqueue.Tests;

/// <summary>What holds of every poller, held of this one over an emulated kernel.</summary>
[Trait("Kernel", "emulated")]
public sealed class KqueueConformanceTests() : NetpollConformance(new EmulatedKqueueFactory());

/// <summary>The same where the kernel has no EVFILT_USER, and a pipe wakes it.</summary>
[Trait("Kernel", "emulated")]
public sealed class KqueuePipeConformanceTests() : NetpollConformance(new EmulatedKqueueFactory { HasUserFilter = false });

/// <summary>
/// The same over the kqueue that this machine has, a kernel's or a library's; where it has none, over the emulated one.
/// </summary>
public sealed class SystemKqueueConformanceTests() : NetpollConformance(Backend)
{
    private static INetpollFactory Backend
    {
        get
        {
            KqueueNetpollFactory system = new();
            return system.IsSupported(out _) ? system : new EmulatedKqueueFactory();
        }
    }
}
