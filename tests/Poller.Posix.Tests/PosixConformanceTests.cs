using Poller.Conformance;

namespace Poller.Posix.Tests;

/// <summary>What holds of every poller, held of this one.</summary>
public sealed class PosixConformanceTests() : NetpollConformance(new PosixNetpollFactory());
