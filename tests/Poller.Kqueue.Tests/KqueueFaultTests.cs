using Xunit.Abstractions;

namespace Poller.Kqueue.Tests;

/// <summary>The kit over this backend, on an emulated kernel, with faults.</summary>
[Trait("Kernel", "emulated")]
public sealed class KqueueFaultTests(ITestOutputHelper output) : BackendFaultTests(new EmulatedKqueueFactory(), output);
