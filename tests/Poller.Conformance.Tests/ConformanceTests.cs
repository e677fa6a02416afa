using Poller.Epoll;

namespace Poller.Conformance.Tests;

/// <summary>The kit over a poller on its edges.</summary>
public sealed class EpollConformanceTests() : NetpollConformance(new EpollNetpollFactory());

/// <summary>The kit over a poller by level.</summary>
public sealed class ReferencePollerConformanceTests() : NetpollConformance(new ReferencePollerFactory());
